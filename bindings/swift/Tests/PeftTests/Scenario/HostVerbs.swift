import Foundation
import Peft

/// A program's own memory of a tensor.
final class HostWeights: @unchecked Sendable {
  let memory: UnsafeMutableRawBufferPointer
  let dtype: DType
  let shape: [Int]

  init(_ tensor: Tensor) throws {
    (dtype, shape) = (try tensor.dtype(), try tensor.shape())
    memory = try tensor.withView { (view) throws(PeftError) in
      try view.withBytes { bytes in
        let copy = UnsafeMutableRawBufferPointer.allocate(
          byteCount: bytes.byteCount, alignment: 64)
        bytes.withUnsafeBytes { copy.copyMemory(from: $0) }
        return copy
      }
    }
  }

  deinit { memory.deallocate() }

  func tensor() throws -> HostTensor {
    try HostTensor(
      unsafeMutableBytes: memory, dtype: dtype, shape: shape, owner: self)
  }
}

/// Verbs of programs with layers of their own.
extension ScenarioRunner {
  func createModel(_ step: Step) throws -> Found {
    let file = try StateDict(reading: path(step.text("tensors")))
    weights = [:]
    for name in file.names {
      weights[name] = try HostWeights(file.tensor(name))
    }
    let layers = try step.list("layers").map { fields in
      try layer(Step(fields: fields.object ?? [:]))
    }
    try take(Model(layers: layers, options: oneThread()))
    return try facts(model().info())
  }

  private func layer(_ step: Step) throws -> Layer {
    var layer = Layer(
      try step.text("name"), try kind(step.text("kind")),
      weight: try weight(step.text("weight")).tensor())
    if step.has("bias") {
      layer.bias = try weight(step.text("bias")).tensor()
    }
    if try step.flag("no_data"), let weight = layer.weight {
      layer.weight = HostTensor(
        withoutElements: weight.shape, dtype: weight.dtype)
    }
    layer.copyWeights = try step.int("copy_weights", default: 1) != 0
    layer.writableWeights = try step.flag("writable_weights")
    return layer
  }

  private func weight(_ name: String) throws -> HostWeights {
    guard let weight = weights[name] else {
      throw ScenarioFailure(description: "no tensor \(name)")
    }
    return weight
  }

  private func kind(_ name: String) throws -> LayerKind {
    switch name {
    case "linear": .linear
    case "conv1d_hf": .conv1dHF
    case "embedding": .embedding
    default: throw ScenarioFailure(description: "the kind \(name)")
    }
  }

  /// Lends the input of a step.
  private func withInput<R>(
    _ step: Step, _ body: (borrowing TensorView) throws(PeftError) -> R
  ) throws -> R {
    let shape = try step.ints("shape")
    if step.has("ids") {
      let ids = try step.ints("ids").map { Int64($0) }
      return try withTensorView(of: ids, shape: shape, body)
    }
    return try withTensorView(
      of: step.floats("x") ?? [], shape: shape, body)
  }

  func runLayer(_ step: Step) throws -> Found {
    let (model, layer) = (try model(), try step.text("layer"))
    let y = try withInput(step) { (x) throws(PeftError) in
      try model.runLayer(layer, x)
    }
    values = try y.floats()
    return ["shape": JSON(try y.shape())]
  }

  func runnerRun(_ step: Step) throws -> Found {
    let size = try step.ints("y_shape").reduce(1, *)
    let y = [Float](repeating: .nan, count: size)
    return try runRunner(step, y) {
      (runner, layer, x, y, rows) throws(PeftError) in
      try runner.run(layer, x, into: y, options: rows)
    }
  }

  func runnerAddDelta(_ step: Step) throws -> Found {
    let y = try step.floats("y") ?? []
    return try runRunner(step, y) {
      (runner, layer, x, y, rows) throws(PeftError) in
      try runner.addDelta(layer, x, to: y, options: rows)
    }
  }

  private func runRunner(
    _ step: Step, _ before: [Float],
    _ body: (
      LayerRunner, Int, borrowing TensorView, borrowing MutableTensorView,
      RunLayerOptions
    ) throws(PeftError) -> Void
  ) throws -> Found {
    let layer = try model().findLayer(step.text("layer"))
    let runner = try currentRunner ?? LayerRunner(model())
    currentRunner = runner
    let options = RunLayerOptions(rows: try rows(step))
    let shape = try step.ints("y_shape")
    var y = before
    try withInput(step) { (x) throws(PeftError) in
      try withMutableTensorView(of: &y, shape: shape) {
        (y) throws(PeftError) in try body(runner, layer, x, y, options)
      }
    }
    values = y
    return ["shape": JSON(shape)]
  }

  func hostWeight(_ step: Step) throws -> Found {
    let weight = try weight(step.text("tensor"))
    return try weight.tensor().withView { (view) throws(PeftError) in
      values = try view.floats()
      return ["shape": JSON(view.shape), "fnv1a": .text(try fnv1a(view))]
    }
  }
}

/// Verbs of lowered adapters.
extension ScenarioRunner {
  private static let kinds: [FormKind: String] = [
    .scaleIn: "scale_in", .weight: "weight", .rows: "rows",
    .lowRank: "low_rank", .scaleOut: "scale_out", .bias: "bias",
  ]

  private static let tensors: [(FormTensor, String)] = [
    (.a, "a"), (.b, "b"), (.rankScale, "rank_scale"), (.gate, "gate"),
    (.factor, "factor"), (.weight, "weight"), (.ids, "ids"), (.rows, "rows"),
    (.bias, "bias"),
  ]

  func lowerLayer(_ step: Step) throws -> Found {
    let activation =
      step.has("activation") ? activations[try step.text("activation")] : nil
    let lowered = try model().lowerLayer(
      model().findLayer(step.text("layer")), activation: activation)
    let forms = try lowered.forms()
    values = forms.map(\.scale)
    return [
      "kinds": JSON(forms.map { Self.kinds[$0.kind] ?? "\($0.kind)" }),
      "shape": JSON([forms.count]),
      "tensors": .list(
        try forms.indices.flatMap { try tensors(of: $0, lowered) }),
    ]
  }

  /// What tensors form `index` has.
  private func tensors(of index: Int, _ lowered: Lowered) throws -> [JSON] {
    try Self.tensors.compactMap { tensor, name in
      do {
        return try lowered.withTensor(index, tensor) {
          (view) throws(PeftError) in
          .object([
            "form": JSON(index), "name": .text(name),
            "dtype": .text(self.name(view.dtype)), "shape": JSON(view.shape),
            "fnv1a": .text(try fnv1a(view)),
          ])
        }
      } catch let error as PeftError where error.id == .tensorMissing {
        return nil
      }
    }
  }
}

/// Verbs of files of a program's own.
extension ScenarioRunner {
  /// Calls `body` with the files of a step.
  private func withFiles<R>(
    _ step: Step, _ body: ([File]) throws -> R
  ) throws -> R {
    var open: [FileHandle] = []
    let kind = try step.text("kind")
    let files = try step.list("files").map { fields in
      try file(Step(fields: fields.object ?? [:]), kind, &open)
    }
    defer {
      for handle in open { try? handle.close() }
    }
    return try body(files)
  }

  private func file(
    _ step: Step, _ kind: String, _ open: inout [FileHandle]
  ) throws -> File {
    let name = try step.text("name")
    let url = URL(fileURLWithPath: path(try step.text("path")))
    let all = try Data(contentsOf: url)
    let offset = try step.int("offset", default: 0)
    let size = try step.int("size", default: all.count - offset)
    let bytes = Array(all[offset..<offset + size])
    switch kind {
    case "memory": return File(name, bytes: bytes)
    case "read":
      return File(name, size: Int64(size)) { offset, buffer in
        let part = bytes.dropFirst(Int(offset)).prefix(min(buffer.count, 1000))
        buffer.copyBytes(from: part)
        return part.count
      }
    case "fd":
      let handle = try FileHandle(forReadingFrom: url)
      open.append(handle)
      return File(
        name, descriptor: handle.fileDescriptor, offset: Int64(offset),
        size: Int64(size))
    default: throw ScenarioFailure(description: "the kind \(kind)")
    }
  }

  func openModelFiles(_ step: Step) throws -> Found {
    try withFiles(step) {
      try take(Model(files: $0, options: oneThread()))
      return try createSession(step, facts(model().info()))
    }
  }

  func loadAdapterFiles(_ step: Step) throws -> Found {
    let options = LoadOptions(lenient: try step.flag("lenient"))
    return try withFiles(step) {
      found(
        try model().loadAdapter(
          files: $0, as: step.text("name"), options: options))
    }
  }

  func estimateFiles(_ step: Step) throws -> Found {
    try withFiles(step) { facts(try AdapterFolder.estimate(files: $0)) }
  }

  func inspectFiles(_ step: Step) throws -> Found {
    try withFiles(step) {
      let json = try AdapterFolder.inspect(files: $0)
      return try JSON(parsing: Data(json.utf8)).object ?? [:]
    }
  }
}
