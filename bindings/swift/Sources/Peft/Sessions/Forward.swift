import CPeft

/// What a forward can give back.
public struct Outputs: OptionSet, Hashable, Sendable {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Of models with a head.
  public static let logits = Outputs(rawValue: PEFT_OUTPUT_LOGITS)
  /// After the last layer and its norm, of all positions.
  public static let lastHiddenState = Outputs(
    rawValue: PEFT_OUTPUT_LAST_HIDDEN_STATE)
  /// Of models with a pooler.
  public static let poolerOutput = Outputs(rawValue: PEFT_OUTPUT_POOLER_OUTPUT)
}

/// What a forward does besides.
public struct ForwardOptions: Sendable {
  /// Computes the logits of the last so many positions of each row only; 0: of
  /// all.
  public var logitsToKeep = 0
  /// Whether it goes on with a cache that was written under other adapters.
  /// Else that is ``ErrorID/activationChanged``.
  public var allowActivationChange = false
  /// Which adapters the rows run under.
  public var rows = Rows.active
  /// What to compute; empty: what the model's class is for.
  public var outputs: Outputs = []

  /// All defaults.
  public init() {}

  /// With some outputs.
  public init(outputs: Outputs) { self.outputs = outputs }

  /// With rows of their own.
  public init(rows: Rows) { self.rows = rows }

  func c(_ arena: inout Arena) throws(PeftError) -> peft_forward_options_t {
    var c = peft_forward_options_t()
    peft_forward_options_init(&c, MemoryLayout<peft_forward_options_t>.stride)
    c.logits_to_keep = Int64(logitsToKeep)
    c.allow_activation_change = allowActivationChange ? 1 : 0
    c.outputs = outputs.rawValue
    try rows.fill(&c, &arena)
    return c
  }
}

extension Session {
  /// Runs the tokens after those in the cache, under the adapters that are
  /// active when the call begins. ``withOutput(_:_:)`` then gives what the
  /// options ask for.
  ///
  /// The first forward after creation or a reset fixes the batch; encoders
  /// (BERT) keep no cache, and each forward stands for itself. After a failure
  /// the cache is as it was.
  public func forward(
    _ input: ForwardInput, options: ForwardOptions = ForwardOptions()
  ) throws(PeftError) {
    try input.check()
    var arena = Arena()
    defer { arena.free() }
    var c = try options.c(&arena)
    try runAlone { session in
      withExtendedLifetime(options) {
        input.with { peft_session_forward(session, $0, &c, nil) }
      }
    }
  }

  /// The same, and lends the logits: f32, (batch, positions, vocabulary), or as
  /// the model's task has them. The session cannot be called meanwhile.
  public func forward<R>(
    _ input: ForwardInput, options: ForwardOptions = ForwardOptions(),
    withLogits body: (borrowing TensorView) throws(PeftError) -> R
  ) throws(PeftError) -> R {
    try input.check()
    var arena = Arena()
    defer { arena.free() }
    var c = try options.c(&arena)
    return try lendView(
      { session, view in
        withExtendedLifetime(options) {
          input.with { peft_session_forward(session, $0, &c, view) }
        }
      }, body)
  }

  /// Lends what the last forward gave back as `output`, one of ``Outputs``:
  /// f32, the logits, lastHiddenState (batch, length, hidden) or poolerOutput
  /// (batch, hidden). The session cannot be called meanwhile.
  public func withOutput<R>(
    _ output: Outputs,
    _ body: (borrowing TensorView) throws(PeftError) -> R
  ) throws(PeftError) -> R {
    try lendView(
      { peft_session_get_output($0, output.rawValue, $1) }, body)
  }
}
