import Peft
import XCTest

/// Memory of a program.
private final class Weights: @unchecked Sendable {
  let floats: UnsafeMutableBufferPointer<Float>

  init(_ values: [Float]) {
    floats = .allocate(capacity: values.count)
    _ = floats.initialize(from: values)
  }

  deinit { floats.deallocate() }

  func tensor(_ shape: [Int]) throws(PeftError) -> HostTensor {
    try HostTensor(
      unsafeBytes: UnsafeRawBufferPointer(floats), dtype: .f32, shape: shape,
      owner: self)
  }
}

final class HostModelTest: XCTestCase {
  func testALayerIsRun() throws {
    let layer = Layer(
      "proj", .linear,
      weight: try HostTensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3]),
      bias: try HostTensor([10, 20] as [Float], shape: [2]))
    let model = try Model(layers: [layer])
    let y = try model.runLayer("proj", [1, 0, -1] as [Float], shape: [1, 3])
    XCTAssertEqual(try y.shape(), [1, 2])
    XCTAssertEqual(try y.floats(), [8, 18])
  }

  func testWeightsAreUsedWhereTheyAre() throws {
    let weights = Weights([1, 2])
    var layer = Layer("proj", .linear, weight: try weights.tensor([1, 2]))
    layer.copyWeights = false
    let model = try Model(layers: [layer])
    weights.floats[0] = 5
    let y = try model.runLayer("proj", [1, 1] as [Float], shape: [2])
    XCTAssertEqual(try y.floats(), [7])
  }

  func testAModelKeepsTheOwnersOfItsWeights() throws {
    weak var owner: Weights?
    var model: Model?
    do {
      let weights = Weights([1, 2])
      owner = weights
      var layer = Layer("proj", .linear, weight: try weights.tensor([1, 2]))
      layer.copyWeights = false
      model = try Model(layers: [layer])
    }
    XCTAssertNotNil(owner)
    let y = try model?.runLayer("proj", [1, 1] as [Float], shape: [2])
    XCTAssertEqual(try y?.floats(), [3])
    model = nil
    XCTAssertNil(owner)
  }

  func testCopiedWeightsKeepNoOwner() throws {
    weak var owner: Weights?
    var layers: [Layer] = []
    do {
      let weights = Weights([1, 2])
      owner = weights
      layers = [Layer("proj", .linear, weight: try weights.tensor([1, 2]))]
    }
    let model = try Model(layers: layers)
    layers = []
    XCTAssertNil(owner)
    let y = try model.runLayer("proj", [1, 1] as [Float], shape: [2])
    XCTAssertEqual(try y.floats(), [3])
  }

  func testAHostTensorMustFitItsShape() throws {
    let errors = [
      failure { () throws(PeftError) in
        try HostTensor([1, 2] as [Float], shape: [3])
      },
      failure { () throws(PeftError) in try Weights([1, 2]).tensor([3]) },
    ]
    for error in errors { XCTAssertEqual(error?.id, .argument) }
  }

  func testAnUnknownLayerIsNamed() throws {
    let model = try Model(layers: [Layer("a", .other)])
    let error = failure { () throws(PeftError) in
      try model.runLayer("b", [1] as [Float], shape: [1])
    }
    XCTAssertEqual(error?.id, .layerNotFound)
  }
}
