import CPeft

/// What a model is for.
public struct ModelTask: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// No head: hidden states only.
  public static let base = ModelTask(rawValue: PEFT_TASK_BASE)
  /// Logits of the next token.
  public static let causalLM = ModelTask(rawValue: PEFT_TASK_CAUSAL_LM)
  /// Logits of the token itself.
  public static let maskedLM = ModelTask(rawValue: PEFT_TASK_MASKED_LM)
  /// Logits of labels, per sequence.
  public static let sequenceClassification = ModelTask(
    rawValue: PEFT_TASK_SEQUENCE_CLASSIFICATION)
  /// Logits of labels, per token.
  public static let tokenClassification = ModelTask(
    rawValue: PEFT_TASK_TOKEN_CLASSIFICATION)
  /// Logits of an answer's start and end.
  public static let questionAnswering = ModelTask(
    rawValue: PEFT_TASK_QUESTION_ANSWERING)
}

/// What a model is.
public struct ModelInfo: Hashable, Sendable {
  /// transformers' name of the family, as "llama"; "" of a host model, which
  /// has 0 in the next four, too.
  public let modelType: String
  /// Token ids are below it.
  public let vocabSize: Int
  /// The width of the hidden states.
  public let hiddenSize: Int
  /// The number of layers.
  public let numLayers: Int
  /// What the model was trained for. Longer sequences are refused only where
  /// positions have a table (GPT-2, BERT).
  public let maxPositionEmbeddings: Int
  /// The elements of all weights, tied ones once.
  public let numParameters: Int64
  /// Their bytes.
  public let sizeBytes: Int64
  /// The number of layers that adapters can attach to.
  public let numSites: Int
  /// The adapters that are loaded.
  public let numAdapters: Int
  /// The bytes that they take.
  public let adapterBytes: Int64
  /// transformers' class, as "LlamaForCausalLM".
  public let architecture: String
  /// What the model is for.
  public let task: ModelTask
  /// Of a model that classifies, else 0.
  public let numLabels: Int
  /// Token type ids are below it; 0: the model takes none.
  public let numTokenTypes: Int

  init(_ info: peft_model_info_t) {
    modelType = borrowed(info.model_type)
    vocabSize = Int(info.vocab_size)
    hiddenSize = Int(info.hidden_size)
    numLayers = Int(info.num_layers)
    maxPositionEmbeddings = Int(info.max_position_embeddings)
    numParameters = info.num_parameters
    sizeBytes = info.size_bytes
    numSites = Int(info.num_sites)
    numAdapters = Int(info.num_adapters)
    adapterBytes = info.adapter_bytes
    architecture = borrowed(info.architecture)
    task = ModelTask(rawValue: info.task)
    numLabels = Int(info.num_labels)
    numTokenTypes = Int(info.num_token_types)
  }
}
