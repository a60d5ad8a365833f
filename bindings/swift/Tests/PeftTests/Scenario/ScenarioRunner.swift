import Foundation
import Peft

/// Runs the steps of a file of testing/scenario.
final class ScenarioRunner {
  /// What a verb gives.
  typealias Found = [String: JSON]

  let folder: URL
  let temporary: URL
  var currentModel: Model?
  var currentSession: Session?
  var currentRunner: LayerRunner?
  /// The program's own memory of layers.
  var weights: [String: HostWeights] = [:]
  var activations: [String: Activation] = [:]
  var saved: [String: [Float]] = [:]
  /// The floats that the last verb gave.
  var values: [Float] = []

  init(folder: URL, temporary: URL) {
    self.folder = folder
    self.temporary = temporary
  }

  /// Runs all steps and returns their number. Fails with the first that does
  /// not what it says.
  func run(_ name: String) async throws -> Int {
    let text = try Data(contentsOf: folder.appendingPathComponent(name))
    let scenario = Step(fields: try JSON(parsing: text).object ?? [:])
    guard try scenario.int("format") == 1 else {
      throw ScenarioFailure(description: "a format that is not 1")
    }
    let tolerance = try scenario.number("tolerance")
    let steps = try scenario.list("steps")
    for (index, fields) in steps.enumerated() {
      let step = Step(fields: fields.object ?? [:])
      do {
        try await run(step, tolerance)
      } catch {
        let verb = try step.text("verb")
        throw ScenarioFailure(description: "step \(index), \(verb): \(error)")
      }
    }
    return steps.count
  }

  private func run(_ step: Step, _ tolerance: Double) async throws {
    let expect = step.fields["expect"]?.object ?? [:]
    let found: Found
    do {
      found = try await call(step)
    } catch let error as PeftError {
      guard expect["error"]?.text == error.id.rawValue,
        expect["code"]?.number == Double(error.code.rawValue)
      else { throw error }
      return
    }
    if let error = expect["error"] {
      throw ScenarioFailure(description: "succeeded, expected \(error)")
    }
    try check(found, expect, tolerance)
  }

  private func check(
    _ found: Found, _ expect: [String: JSON], _ tolerance: Double
  ) throws {
    for (key, expected) in expect {
      if key == "logits" || key == "values" {
        try checkValues(expected.list ?? [], tolerance)
      } else if found[key] != expected {
        throw ScenarioFailure(
          description: "\(key) is \(String(describing: found[key])), "
            + "expected \(expected)")
      }
    }
  }

  private func checkValues(_ expected: [JSON], _ tolerance: Double) throws {
    let expected = expected.map { $0.number ?? .nan }
    guard expected.count == values.count else {
      throw ScenarioFailure(
        description: "\(values.count) values, not \(expected.count)")
    }
    let difference = zip(values, expected)
      .map { abs(Double($0) - $1) }.reduce(0, nanMax)
    let largest = expected.map(abs).reduce(0, nanMax)
    if !(difference <= tolerance * largest) {
      throw ScenarioFailure(
        description: "values are \(difference) off, the largest is \(largest)")
    }
  }

  /// The larger number; a NaN wins.
  private func nanMax(_ a: Double, _ b: Double) -> Double {
    a.isNaN || b.isNaN ? .nan : max(a, b)
  }

  func path(_ text: String) -> String {
    if text.hasPrefix("$TMP/") {
      return temporary.appendingPathComponent(String(text.dropFirst(5))).path
    }
    return folder.appendingPathComponent(text).path
  }

  func model() throws -> Model {
    guard let currentModel else {
      throw ScenarioFailure(description: "no model")
    }
    return currentModel
  }

  func session() throws -> Session {
    guard let currentSession else {
      throw ScenarioFailure(description: "no session")
    }
    return currentSession
  }
}

extension ScenarioRunner {
  /// Calls the verb of the step.
  private func call(_ step: Step) async throws -> Found {
    switch try step.text("verb") {
    case "open_model": try openModel(step)
    case "create_session": try createSession(step)
    case "reset_session": try nothing(session().reset())
    case "cache_length": ["length": JSON(try session().cacheLength)]
    case "forward": try forward(step)
    case "get_output": try getOutput(step)
    case "generate": try await generate(step)
    case let verb: try callAdapterVerb(verb, step)
    }
  }

  private func callAdapterVerb(_ verb: String, _ step: Step) throws -> Found {
    switch verb {
    case "load_adapter": try loadAdapter(step)
    case "load_adapter_from_memory": try loadFromMemory(step)
    case "replace_adapter": try replaceAdapter(step)
    case "replace_adapter_from_memory": try replaceFromMemory(step)
    case "add_adapter": try addAdapter(step)
    case "add_weighted_adapter": try addWeightedAdapter(step)
    case "rename_adapter":
      try nothing(
        model().renameAdapter(step.text("name"), to: step.text("new_name")))
    case "delete_adapter":
      try nothing(model().deleteAdapters(step.texts("names")))
    case "unload": try nothing(model().unload())
    case "save_adapter": try saveAdapter(step)
    case "write_state_dict": try writeStateDict(step)
    case "set_adapter": try setAdapter(step)
    case "set_scale":
      try nothing(
        model().setScale(step.text("name"), Float(step.number("scale"))))
    case "disable_adapters": try nothing(model().disableAdapters())
    case "enable_adapters": try nothing(model().enableAdapters())
    case "create_activation": try createActivation(step)
    case "free_activation": try freeActivation(step)
    case "merge_adapter": try mergeAdapter(step)
    case "unmerge_adapter": try nothing(model().unmergeAdapter())
    case "merge_and_unload": try mergeAndUnload(step)
    default: try callFactVerb(verb, step)
    }
  }

  private func callFactVerb(_ verb: String, _ step: Step) throws -> Found {
    switch verb {
    case "list_adapters": ["names": JSON(try model().listAdapters())]
    case "active_adapters": ["names": JSON(try model().activeAdapters())]
    case "merged_adapters": ["names": JSON(try model().mergedAdapters())]
    case "has_adapter": try hasAdapter(step)
    case "get_adapter_state_dict": try stateDict(step)
    case "get_adapter_info": try adapterInfo(step)
    case "get_adapter_config": try adapterConfig(step)
    case "get_adapter_source": try adapterSource(step)
    case "estimate_adapter": try estimateAdapter(step)
    case "inspect_adapter": try inspectAdapter(step)
    case "fetch_adapter": try fetchAdapter(step)
    case "probe_adapter": try probeAdapter(step)
    case "pin_adapter":
      try nothing(
        model().pinAdapter(step.text("name"), step.flag("pinned")))
    case "set_adapter_limit": try setAdapterLimit(step)
    default: try callHostVerb(verb, step)
    }
  }

  private func callHostVerb(_ verb: String, _ step: Step) throws -> Found {
    switch verb {
    case "create_model": try createModel(step)
    case "run_layer": try runLayer(step)
    case "runner_run": try runnerRun(step)
    case "runner_add_delta": try runnerAddDelta(step)
    case "lower_layer": try lowerLayer(step)
    case "host_weight": try hostWeight(step)
    case "open_model_files": try openModelFiles(step)
    case "load_adapter_files": try loadAdapterFiles(step)
    case "estimate_files": try estimateFiles(step)
    case "inspect_files": try inspectFiles(step)
    default:
      throw ScenarioFailure(description: "the verb is not known")
    }
  }

  /// Of a verb that gives nothing.
  private func nothing(_: Void) -> Found { [:] }
}
