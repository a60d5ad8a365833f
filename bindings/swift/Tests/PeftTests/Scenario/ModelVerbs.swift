import Foundation
import Peft

/// Verbs of models and sessions.
extension ScenarioRunner {
  func oneThread() -> ModelOptions {
    var options = ModelOptions()
    options.numThreads = 1
    return options
  }

  func openModel(_ step: Step) throws -> Found {
    try take(Model(path: path(step.text("path")), options: oneThread()))
    return try createSession(step, facts(model().info()))
  }

  /// Lets go of the model that was there.
  func take(_ model: Model) {
    currentModel = model
    currentSession = nil
    currentRunner = nil
  }

  func facts(_ info: ModelInfo) -> Found {
    [
      "model_type": .text(info.modelType),
      "architecture": .text(info.architecture),
      "vocab_size": JSON(info.vocabSize),
      "hidden_size": JSON(info.hiddenSize),
      "num_layers": JSON(info.numLayers),
      "max_position_embeddings": JSON(info.maxPositionEmbeddings),
      "num_parameters": JSON(info.numParameters),
      "size_bytes": JSON(info.sizeBytes),
      "num_sites": JSON(info.numSites),
      "num_adapters": JSON(info.numAdapters),
      "adapter_bytes": JSON(info.adapterBytes),
      "task": JSON(Int(info.task.rawValue)),
      "num_labels": JSON(info.numLabels),
      "num_token_types": JSON(info.numTokenTypes),
    ]
  }

  func createSession(
    _ step: Step, _ found: Found = [:]
  ) throws -> Found {
    currentSession = try Session(
      model(),
      options: SessionOptions(maxLength: step.int("max_length", default: 0)))
    return found
  }

  private func input(_ step: Step) throws -> ForwardInput {
    let ids = try step.rows("ids")
    var input = ForwardInput(
      ids.flatMap { $0 }, batch: ids.count, length: ids[0].count)
    if step.has("attention_mask") {
      input.attentionMask = try step.rows("attention_mask").flatMap { $0 }
    }
    return input
  }

  func rows(_ step: Step) throws -> Rows {
    if step.has("adapter_names") {
      return .named(try step.texts("adapter_names"))
    }
    guard step.has("activations") else { return .active }
    return .activations(try step.texts("activations").map { activations[$0] })
  }

  func forward(_ step: Step) throws -> Found {
    let session = try session()
    if try !step.flag("keep_cache") { try session.reset() }
    var options = ForwardOptions(rows: try rows(step))
    options.logitsToKeep = try step.int("logits_to_keep", default: 0)
    if step.has("outputs") {
      options.outputs = try Outputs(step.texts("outputs").map(output))
      try session.forward(input(step), options: options)
      return [:]
    }
    let shape = try session.forward(input(step), options: options) {
      (logits) throws(PeftError) in
      values = try logits.floats()
      return logits.shape
    }
    if step.has("save_as") { saved[try step.text("save_as")] = values }
    if step.has("equal_to") { try checkEqual(step.text("equal_to")) }
    return ["shape": JSON(shape)]
  }

  private func checkEqual(_ name: String) throws {
    let same =
      saved[name]?.map(\.bitPattern) == values.map(\.bitPattern)
    if !same {
      throw ScenarioFailure(description: "not bit by bit equal to \(name)")
    }
  }

  private func output(_ name: String) throws -> Outputs {
    switch name {
    case "logits": .logits
    case "last_hidden_state": .lastHiddenState
    case "pooler_output": .poolerOutput
    default: throw ScenarioFailure(description: "the output \(name)")
    }
  }

  func getOutput(_ step: Step) throws -> Found {
    let shape = try session().withOutput(output(step.text("output"))) {
      (view) throws(PeftError) in
      values = try view.floats()
      return view.shape
    }
    return ["shape": JSON(shape)]
  }

  func generate(_ step: Step) async throws -> Found {
    let input = try input(step)
    var options = GenerateOptions(maxNewTokens: try step.int("max_new_tokens"))
    options.ignoreEOS = try step.flag("ignore_eos")
    if step.has("eos_token_ids") {
      options.eosTokenIDs = try step.ints("eos_token_ids").map { Int64($0) }
    }
    if step.has("stop_sequences") {
      options.stopSequences = try step.rows("stop_sequences")
    }
    options.rows = try rows(step)
    let cancelAfter = try step.int("cancel_after", default: 0)
    var calls = 0
    let made = try session().generate(input, options: options) { _ in
      calls += 1
      return calls == cancelAfter ? .cancel : .proceed
    }
    let tokens = (0..<made.numRows).map { made.tokens($0) }
    if try step.flag("stream") { try await stream(input, options, tokens) }
    let finish = (0..<made.numRows).map { name(made.finishReason($0)) }
    return ["tokens": .list(tokens.map { JSON($0) }), "finish": JSON(finish)]
  }

  /// The same as an async sequence.
  private func stream(
    _ input: ForwardInput, _ options: GenerateOptions, _ expected: [[Int64]]
  ) async throws {
    var streamed = expected.map { _ in [Int64]() }
    for try await token in try model().tokens(input, options: options) {
      streamed[token.row].append(token.id)
    }
    if streamed != expected {
      throw ScenarioFailure(description: "streamed \(streamed)")
    }
  }

  private func name(_ reason: FinishReason) -> String {
    switch reason {
    case .length: "length"
    case .eos: "eos"
    case .stop: "stop"
    default: "\(reason)"
    }
  }
}
