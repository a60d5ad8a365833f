import CPeft

/// How tokens are generated. Names and meanings as in transformers'
/// GenerationConfig.
public struct GenerateOptions: Sendable {
  /// At least 1.
  public var maxNewTokens = 20
  /// Whether tokens are drawn, and the next four say how; else the best one is
  /// taken each time.
  public var doSample = false
  /// Divides the logits; over 0.
  public var temperature: Float = 1
  /// Draws from the best so many tokens; 0: from all.
  public var topK = 50
  /// Draws from the best tokens whose probabilities add up to so much; 0 to 1.
  public var topP: Float = 1
  /// Draws from tokens of at least so much of the best one's probability; 0 to
  /// 1.
  public var minP: Float = 0
  /// Makes tokens that the row has already less likely; over 0, 1: off.
  public var repetitionPenalty: Float = 1
  /// Equal seeds give equal tokens.
  public var seed: UInt64 = 0
  /// The tokens that end a row; empty: the model's own.
  public var eosTokenIDs: [Int64] = []
  /// Whether no token ends a row.
  public var ignoreEOS = false
  /// A row ends when its new tokens end in one of these.
  public var stopSequences: [[Int64]] = []
  /// Which adapters the rows run under.
  public var rows = Rows.active

  /// All defaults.
  public init() {}

  /// At most so many tokens.
  public init(maxNewTokens: Int) { self.maxNewTokens = maxNewTokens }

  func c(_ arena: inout Arena) throws(PeftError) -> peft_generate_options_t {
    var c = peft_generate_options_t()
    peft_generate_options_init(
      &c, MemoryLayout<peft_generate_options_t>.stride)
    c.max_new_tokens = Int64(maxNewTokens)
    c.do_sample = doSample ? 1 : 0
    c.temperature = temperature
    c.top_k = Int64(topK)
    c.top_p = topP
    c.min_p = minP
    c.repetition_penalty = repetitionPenalty
    c.seed = seed
    c.eos_token_ids = arena.values(eosTokenIDs)
    c.num_eos_token_ids = eosTokenIDs.count
    c.ignore_eos = ignoreEOS ? 1 : 0
    c.stop_tokens = arena.values(stopSequences.flatMap { $0 })
    c.stop_sequence_lengths = arena.values(stopSequences.map(\.count))
    c.num_stop_sequences = stopSequences.count
    try rows.fill(&c, &arena)
    return c
  }
}
