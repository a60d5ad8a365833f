import Foundation
import Peft

/// Verbs of adapters.
extension ScenarioRunner {
  private func loadOptions(_ step: Step) throws -> LoadOptions {
    var options = LoadOptions(lenient: try step.flag("lenient"))
    options.isTrainable = try step.flag("is_trainable")
    return options
  }

  func found(_ report: LoadReport) -> Found {
    [
      "matched": JSON(report.count(.matched)),
      "missing": JSON(report.count(.missing)),
      "unexpected": JSON(report.count(.unexpected)),
      "mismatched": JSON(report.count(.mismatched)),
      "ignored_keys": JSON(report.count(.ignoredKey)),
      "num_sites": JSON(report.numSites),
      "num_parameters": JSON(report.numParameters),
    ]
  }

  private func config(_ step: Step) throws -> String {
    try String(
      contentsOfFile: path(step.text("config")), encoding: .utf8)
  }

  private func tensors(_ step: Step) throws -> StateDict {
    try StateDict(reading: path(step.text("tensors")))
  }

  func loadAdapter(_ step: Step) throws -> Found {
    found(
      try model().loadAdapter(
        path(step.text("path")), as: step.text("name"),
        options: loadOptions(step)))
  }

  func loadFromMemory(_ step: Step) throws -> Found {
    found(
      try model().loadAdapter(
        configJSON: config(step), stateDict: tensors(step),
        as: step.text("name"), options: loadOptions(step)))
  }

  func replaceAdapter(_ step: Step) throws -> Found {
    found(
      try model().replaceAdapter(
        step.text("name"), with: path(step.text("path")),
        options: loadOptions(step)))
  }

  func replaceFromMemory(_ step: Step) throws -> Found {
    found(
      try model().replaceAdapter(
        step.text("name"), configJSON: config(step),
        stateDict: tensors(step), options: loadOptions(step)))
  }

  func addAdapter(_ step: Step) throws -> Found {
    try model().addAdapter(
      step.text("name"), configJSON: config(step),
      options: AddAdapterOptions(seed: UInt64(step.int("seed"))))
    return [:]
  }

  func addWeightedAdapter(_ step: Step) throws -> Found {
    var options = CombineOptions(
      try combination(step.text("combination_type")))
    options.svdRank = try step.int("svd_rank", default: 0)
    if step.has("density") {
      options.density = Float(try step.number("density"))
    }
    try model().addWeightedAdapter(
      step.text("new_name"), of: step.texts("names"),
      weights: step.floats("weights") ?? [], options: options)
    return [:]
  }

  private func combination(_ name: String) throws -> CombinationType {
    switch name {
    case "svd": .svd
    case "linear": .linear
    case "cat": .cat
    case "ties": .ties
    case "ties_svd": .tiesSVD
    case "dare_linear": .dareLinear
    case "dare_linear_svd": .dareLinearSVD
    case "dare_ties": .dareTies
    case "dare_ties_svd": .dareTiesSVD
    case "magnitude_prune": .magnitudePrune
    case "magnitude_prune_svd": .magnitudePruneSVD
    default: throw ScenarioFailure(description: "the type \(name)")
    }
  }

  func saveAdapter(_ step: Step) throws -> Found {
    try model().saveAdapter(
      step.text("name"), to: path(step.text("path")),
      options: SaveOptions(overwrite: step.flag("overwrite")))
    return [:]
  }

  func writeStateDict(_ step: Step) throws -> Found {
    try model().adapterStateDict(step.text("name"))
      .write(to: path(step.text("path")))
    return [:]
  }

  func setAdapter(_ step: Step) throws -> Found {
    try model().setAdapters(
      step.texts("names"),
      options: SetAdapterOptions(scales: step.floats("scales")))
    return [:]
  }

  func createActivation(_ step: Step) throws -> Found {
    activations[try step.text("activation")] = try Activation(
      model(), step.texts("names"), scales: step.floats("scales"))
    return [:]
  }

  func freeActivation(_ step: Step) throws -> Found {
    activations[try step.text("activation")] = nil
    return [:]
  }

  func mergeAdapter(_ step: Step) throws -> Found {
    try model().mergeAdapters(
      step.texts("names"),
      options: MergeOptions(
        scales: step.floats("scales"), safeMerge: step.flag("safe_merge")))
    return [:]
  }

  func mergeAndUnload(_ step: Step) throws -> Found {
    try model().mergeAndUnload(
      to: path(step.text("path")),
      options: MergeAndUnloadOptions(names: step.texts("names")))
    return [:]
  }
}

/// Verbs that tell of adapters.
extension ScenarioRunner {
  func hasAdapter(_ step: Step) throws -> Found {
    ["has": JSON(try model().hasAdapter(step.text("name")) ? 1 : 0)]
  }

  func stateDict(_ step: Step) throws -> Found {
    let tensors = try model().adapterStateDict(step.text("name"))
    return [
      "tensors": .list(
        try tensors.names.map { name in
          let tensor = try tensors.tensor(name)
          return .object([
            "name": .text(name), "dtype": .text(self.name(try tensor.dtype())),
            "shape": JSON(try tensor.shape()),
            "fnv1a": .text(try tensor.withView(fnv1a)),
          ])
        })
    ]
  }

  func name(_ dtype: DType) -> String {
    switch dtype {
    case .f32: "float32"
    case .f16: "float16"
    case .bf16: "bfloat16"
    case .i64: "int64"
    default: "\(dtype)"
    }
  }

  func fnv1a(
    _ view: borrowing TensorView
  ) throws(PeftError) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    try view.withBytes { bytes in
      for index in bytes.byteOffsets {
        let byte = bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
        hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
      }
    }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  func adapterInfo(_ step: Step) throws -> Found {
    let info = try model().adapterInfo(step.text("name"))
    return [
      "peft_type": .text(info.peftType), "rank": JSON(info.rank),
      "num_parameters": JSON(info.numParameters),
      "size_bytes": JSON(info.sizeBytes), "num_sites": JSON(info.numSites),
      "scale": .number(Double(info.scale)),
      "is_active": JSON(info.isActive ? 1 : 0),
      "is_pinned": JSON(info.isPinned ? 1 : 0),
      "is_trainable": JSON(info.isTrainable ? 1 : 0),
      "generation": JSON(Int64(info.generation)),
    ]
  }

  func adapterConfig(_ step: Step) throws -> Found {
    let json = try model().adapterConfig(step.text("name"))
    return try JSON(parsing: Data(json.utf8)).object ?? [:]
  }

  /// As much of the end of `path` as the step expects.
  private func end(of path: String, _ step: Step) -> Found {
    let expected = step.fields["expect"]?.object?["path"]?.text ?? path
    return ["path": .text(String(path.suffix(expected.count)))]
  }

  func adapterSource(_ step: Step) throws -> Found {
    end(of: try model().adapterSource(step.text("name")), step)
  }

  func fetchAdapter(_ step: Step) throws -> Found {
    end(of: try AdapterFolder.fetch(path(step.text("path"))), step)
  }

  func estimateAdapter(_ step: Step) throws -> Found {
    facts(try AdapterFolder.estimate(path(step.text("path"))))
  }

  func inspectAdapter(_ step: Step) throws -> Found {
    let json = try AdapterFolder.inspect(path(step.text("path")))
    return try JSON(parsing: Data(json.utf8)).object ?? [:]
  }

  func facts(_ estimate: AdapterEstimate) -> Found {
    [
      "size_bytes": JSON(estimate.sizeBytes),
      "file_bytes": JSON(estimate.fileBytes),
      "num_parameters": JSON(estimate.numParameters),
      "num_tensors": JSON(estimate.numTensors),
    ]
  }

  func probeAdapter(_ step: Step) throws -> Found {
    let summary = try model().probeAdapter(step.text("name")).summary()
    return [
      "num_sites": JSON(summary.numSites),
      "num_unchanged": JSON(summary.numUnchanged),
    ]
  }

  func setAdapterLimit(_ step: Step) throws -> Found {
    try model().setAdapterLimit(
      maxBytes: Int64(step.int("max_bytes")),
      maxAdapters: step.int("max_adapters"))
    return [:]
  }
}
