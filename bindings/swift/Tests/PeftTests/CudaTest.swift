import Peft
import XCTest

/// Layers on CUDA devices, as far as a machine without one goes.
final class CudaTest: XCTestCase {
  /// Two outputs and three inputs.
  private func model() throws -> Model {
    let weight = try HostTensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
    return try Model(layers: [Layer("proj", .linear, weight: weight)])
  }

  /// Elements that nothing reads.
  private func onDevice(_ shape: [Int], strides: [Int]? = nil) -> CudaView {
    CudaView(
      unsafeAddress: 4096, dtype: .f32, shape: shape, strides: strides)
  }

  func testARunnerOnCudaNeedsADriver() throws {
    let model = try model()
    var options = CudaOptions()
    options.driverPath = "/no/driver"
    let error = failure { () throws(PeftError) in
      try LayerRunner(model, onCuda: options)
    }
    XCTAssertEqual(error?.id, .cudaDriver)
  }

  func testOptionsAreCheckedBeforeTheDriverIsOpened() throws {
    let model = try model()
    let changes: [(inout CudaOptions) -> Void] = [
      { $0.dtype = .i32 }, { $0.adapterDtype = .f64 }, { $0.maxAdapters = 0 },
      { $0.maxRank = 0 }, { $0.maxActivations = 1025 }, { $0.adapterBytes = 0 },
      { $0.deviceIndex = Int.max },
    ]
    for change in changes {
      var options = CudaOptions()
      change(&options)
      let error = failure { () throws(PeftError) in
        try LayerRunner(model, onCuda: options)
      }
      XCTAssertEqual(error?.id, .argument, "\(options)")
    }
  }

  func testARunnerOnTheCpuRefusesWhatIsOfCuda() throws {
    let model = try model()
    let runner = try LayerRunner(model)
    let proj = try model.findLayer("proj")
    let (x, y) = (onDevice([1, 3]), onDevice([1, 2]))
    let weight = onDevice([2, 3])
    let errors = [
      failure { () throws(PeftError) in try runner.run(proj, x, into: y) },
      failure { () throws(PeftError) in try runner.addDelta(proj, x, to: y) },
      failure { () throws(PeftError) in try runner.setWeight(proj, weight) },
      failure { () throws(PeftError) in try runner.update() },
    ]
    for error in errors { XCTAssertEqual(error?.id, .argument) }
  }

  func testLayersOnTheCpuHaveNoStreams() throws {
    let model = try model()
    let stream = CudaStream(OpaquePointer(bitPattern: 8))
    let error = failure { () throws(PeftError) in
      try model.runLayer(
        "proj", [1, 0, -1] as [Float], shape: [1, 3],
        options: RunLayerOptions(stream: stream))
    }
    XCTAssertEqual(error?.id, .argument)
  }

  func testAViewHasAStrideForEachSize() throws {
    let model = try model()
    let runner = try LayerRunner(model)
    let proj = try model.findLayer("proj")
    let error = failure { () throws(PeftError) in
      try runner.setWeight(proj, onDevice([2, 3], strides: [1]))
    }
    XCTAssertEqual(error?.message, "1 strides for the shape [2, 3]")
  }
}
