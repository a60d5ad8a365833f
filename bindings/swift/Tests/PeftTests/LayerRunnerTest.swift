import Peft
import XCTest

final class LayerRunnerTest: XCTestCase {
  private let weight: [Float] = [1, 2, 3, 4, 5, 6]
  private let x: [Float] = [1, 0, -1, 2, 1, 0]

  /// Two outputs, three inputs, and an adapter that does something.
  private func model(_ layer: (inout Layer) throws -> Void = { _ in })
    throws -> Model
  {
    var proj = Layer(
      "proj", .linear, weight: try HostTensor(weight, shape: [2, 3]))
    try layer(&proj)
    let model = try Model(layers: [proj])
    try model.addAdapter(
      "lora",
      configJSON: #"""
        {"peft_type": "LORA", "r": 2, "target_modules": ["proj"],
         "init_lora_weights": false}
        """#)
    return model
  }

  /// What `call` does to two rows of two outputs that begin as `y`.
  private func outputs(
    from y: [Float],
    _ call: (borrowing TensorView, borrowing MutableTensorView)
      throws(PeftError) -> Void
  ) throws(PeftError) -> [Float] {
    var y = y
    try withTensorView(of: x, shape: [2, 3]) { (x) throws(PeftError) in
      try withMutableTensorView(of: &y, shape: [2, 2]) {
        (y) throws(PeftError) in try call(x, y)
      }
    }
    return y
  }

  /// x W^T, whose rows are `width` long.
  private func product(_ x: [Float], _ w: [Float], width: Int) -> [Float] {
    var y: [Float] = []
    for row in stride(from: 0, to: x.count, by: width) {
      for output in stride(from: 0, to: w.count, by: width) {
        var sum: Float = 0
        for index in 0..<width { sum += x[row + index] * w[output + index] }
        y.append(sum)
      }
    }
    return y
  }

  private func expected(_ model: Model) throws -> [Float] {
    try model.runLayer("proj", x, shape: [2, 3]).floats()
  }

  private func assertClose(
    _ a: [Float], _ b: [Float], file: StaticString = #filePath,
    line: UInt = #line
  ) {
    XCTAssertEqual(a.count, b.count, file: file, line: line)
    for (a, b) in zip(a, b) {
      XCTAssertEqual(a, b, accuracy: 1e-5, file: file, line: line)
    }
  }

  func testARunnerWritesWhatTheLayerGives() throws {
    let model = try model()
    let runner = try LayerRunner(model)
    let proj = try model.findLayer("proj")
    let y = try outputs(from: [9, 9, 9, 9]) { (x, y) throws(PeftError) in
      try runner.run(proj, x, into: y)
    }
    assertClose(y, try expected(model))
  }

  func testADeltaIsAddedToWhatTheProgramComputed() throws {
    let model = try model()
    let proj = try model.findLayer("proj")
    let base = product(x, weight, width: 3)
    let runner = try LayerRunner(model)
    let y = try outputs(from: base) { (x, y) throws(PeftError) in
      try runner.addDelta(proj, x, to: y)
    }
    assertClose(y, try expected(model))
    XCTAssertNotEqual(y, base)
  }

  func testRowsHaveAdaptersOfTheirOwn() throws {
    let model = try model()
    let runner = try LayerRunner(model)
    let proj = try model.findLayer("proj")
    let rows = RunLayerOptions(rows: .named(["lora", Rows.base]))
    let y = try outputs(from: [0, 0, 0, 0]) { (x, y) throws(PeftError) in
      try runner.run(proj, x, into: y, options: rows)
    }
    let all = try expected(model)
    assertClose(y, Array(all[..<2]) + [4, 13])
  }

  func testAWeightThatTheProgramKeepsNeedsNoElements() throws {
    let model = try model {
      $0.weight = HostTensor(withoutElements: [2, 3], dtype: .f32)
    }
    let runner = try LayerRunner(model)
    let proj = try model.findLayer("proj")
    let y = try outputs(from: [-2, -2, 4, 13]) { (x, y) throws(PeftError) in
      try runner.addDelta(proj, x, to: y)
    }
    XCTAssertNotEqual(y, [-2, -2, 4, 13])
    let error = failure { () throws(PeftError) in
      try outputs(from: y) { (x, y) throws(PeftError) in
        try runner.run(proj, x, into: y)
      }
    }
    XCTAssertEqual(error?.id, .layerWeight)
  }

  func testAnUnknownLayerHasNoNumber() throws {
    let model = try model()
    let error = failure { () throws(PeftError) in
      try model.findLayer("other")
    }
    XCTAssertEqual(error?.id, .layerNotFound)
  }

  func testMergingWritesIntoTheProgramsWeights() throws {
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: 24, alignment: 64)
    defer { memory.deallocate() }
    let floats = memory.bindMemory(to: Float.self)
    _ = floats.initialize(from: weight)
    let model = try model {
      $0.weight = try HostTensor(
        unsafeMutableBytes: memory, dtype: .f32, shape: [2, 3],
        owner: NoOwner())
      $0.copyWeights = false
      $0.writableWeights = true
    }
    let wanted = try expected(model)
    try model.mergeAdapters()
    XCTAssertNotEqual(Array(floats), weight)
    assertClose(product(x, Array(floats), width: 3), wanted)
    try model.unmergeAdapter()
    XCTAssertEqual(Array(floats), weight)
  }

  func testWeightsThatAreNotWritableAreRefused() throws {
    let weight = weight
    let error = try weight.withUnsafeBytes { bytes in
      var layer = Layer(
        "proj", .linear,
        weight: try HostTensor(
          unsafeBytes: bytes, dtype: .f32, shape: [2, 3], owner: NoOwner()))
      layer.copyWeights = false
      layer.writableWeights = true
      return failure { () throws(PeftError) in try Model(layers: [layer]) }
    }
    XCTAssertEqual(error?.id, .argument)
  }

  func testALoweredAdapterSaysWhatItDoes() throws {
    let model = try model()
    let lowered = try model.lowerLayer(model.findLayer("proj"))
    XCTAssertEqual(lowered.count, 1)
    let form = try lowered.form(0)
    XCTAssertEqual(form.kind, .lowRank)
    let a = try floats(lowered, .a)
    let b = try floats(lowered, .b)
    let delta = product(product(x, a, width: 3), b, width: 2)
    let base = product(x, weight, width: 3)
    let y = zip(base, delta).map { $0 + form.scale * $1 }
    assertClose(y, try expected(model))
    let missing = failure { () throws(PeftError) in
      try lowered.withTensor(0, .gate) { _ in }
    }
    XCTAssertEqual(missing?.id, .tensorMissing)
  }

  func testAnActivationIsLoweredInPlaceOfWhatIsActive() throws {
    let model = try model()
    let none = try model.lowerLayer(
      model.findLayer("proj"), activation: Activation(model, []))
    XCTAssertEqual(try none.forms(), [])
    let half = try model.lowerLayer(
      model.findLayer("proj"),
      activation: Activation(model, ["lora"], scales: [0.5]))
    let full = try model.lowerLayer(model.findLayer("proj"))
    XCTAssertEqual(
      try half.forms().map(\.scale), try full.forms().map { $0.scale / 2 })
  }

  private func floats(
    _ lowered: Lowered, _ tensor: FormTensor
  ) throws(PeftError) -> [Float] {
    try lowered.withTensor(0, tensor) { (view) throws(PeftError) in
      try view.floats()
    }
  }
}

/// Owns memory that the test itself frees.
private final class NoOwner: Sendable {}
