import CPeft
import XCTest

@testable import Peft

/// The defaults of this package are those of the library.
final class DefaultsTest: XCTestCase {
  /// Compares all bytes of what the package makes of its defaults with those of
  /// the library.
  private func check<C>(
    _ made: C, _ zero: C, _ initialize: (UnsafeMutablePointer<C>?, Int) -> Void,
    file: StaticString = #filePath, line: UInt = #line
  ) {
    var expected = zero
    initialize(&expected, MemoryLayout<C>.stride)
    let same = withUnsafeBytes(of: made) { made in
      withUnsafeBytes(of: expected) { made.elementsEqual($0) }
    }
    XCTAssertTrue(
      same, "\(made) is not \(expected)", file: file, line: line)
  }

  func testOfModels() throws {
    var made: peft_model_options_t?
    try ModelOptions().with(Resources()) { made = $0.pointee }
    check(try XCTUnwrap(made), .init(), peft_model_options_init)
  }

  func testOfLoads() throws {
    var made: peft_load_options_t?
    try LoadOptions().with { made = $0.pointee }
    check(try XCTUnwrap(made), .init(), peft_load_options_init)
  }

  func testOfForwards() throws {
    var arena = Arena()
    check(
      try ForwardOptions().c(&arena), .init(), peft_forward_options_init)
  }

  func testOfGenerates() throws {
    var arena = Arena()
    check(
      try GenerateOptions().c(&arena), .init(), peft_generate_options_init)
  }

  func testOfCombinations() throws {
    var arena = Arena()
    check(try CombineOptions().c(&arena), .init(), peft_combine_options_init)
  }

  func testOfCuda() throws {
    var arena = Arena()
    check(try CudaOptions().c(&arena), .init(), peft_cuda_options_init)
    check(try RunLayerOptions().c(&arena), .init(), peft_run_layer_options_init)
  }

  func testOfInputs() {
    ForwardInput([]).with { input in
      var input = input.pointee
      input.batch = 0  // One row of no tokens, which is no default.
      input.ids = nil
      check(input, .init(), peft_forward_input_init)
    }
  }

  func testOfLayers() throws {
    var arena = Arena()
    defer { arena.free() }
    var layer = try Layer("", .other).c(&arena)
    layer.name = nil
    layer.kind = 0
    check(layer, .init(), peft_layer_init)
  }
}
