import Foundation
import Peft
import XCTest

final class TensorTest: XCTestCase {
  /// A tensor of the library.
  private func tensor<T: TensorElement>(
    _ elements: [T], shape: [Int]
  ) throws -> Tensor {
    let dict = try StateDict()
    try dict.set("x", elements, shape: shape)
    return try dict.tensor("x")
  }

  func testAStateDictKeepsTensorsInNameOrder() throws {
    let dict = try StateDict()
    try dict.set("b", [1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
    try dict.set("a", [7] as [Int64], shape: [])
    XCTAssertEqual(dict.count, 2)
    XCTAssertEqual(dict.names, ["a", "b"])
    XCTAssertEqual(try dict.tensor("a").shape(), [])
    XCTAssertEqual(try dict.tensor("a").elements(as: Int64.self), [7])
    XCTAssertEqual(try dict.tensor("b").shape(), [2, 3])
    XCTAssertEqual(try dict.tensor("b").floats(), [1, 2, 3, 4, 5, 6])
  }

  func testATensorOutlivesItsStateDict() throws {
    let kept = try tensor([1, 2] as [Float], shape: [2])
    XCTAssertEqual(try kept.floats(), [1, 2])
  }

  func testAMissingTensorIsNamed() throws {
    let dict = try StateDict()
    let error = failure { () throws(PeftError) in try dict.tensor("x") }
    XCTAssertEqual(error?.id, .tensorMissing)
  }

  func testAFileRoundTrips() throws {
    let path = try temporaryFolder().appendingPathComponent("x").path
    let dict = try StateDict()
    try dict.set("h", [BFloat16(1.5), BFloat16(-2)], shape: [2])
    try dict.write(to: path)
    let read = try StateDict(reading: path)
    XCTAssertEqual(try read.tensor("h").dtype(), .bf16)
    XCTAssertEqual(try read.tensor("h").floats(), [1.5, -2])
  }

  func testAViewLendsItsElements() throws {
    let sum = try tensor([1, 2, 3] as [Float], shape: [3]).withView {
      (view) throws(PeftError) in
      try view.withElements(as: Float.self) { elements in
        elements.indices.reduce(0) { $0 + elements[$1] }
      }
    }
    XCTAssertEqual(sum, 6)
  }

  func testAViewSaysWhatItIs() throws {
    try tensor([1, 2, 3, 4, 5, 6] as [Int32], shape: [3, 2]).withView { view in
      XCTAssertEqual(view.dtype, .i32)
      XCTAssertEqual(view.deviceType, .cpu)
      XCTAssertEqual(view.deviceIndex, 0)
      XCTAssertEqual(view.rank, 2)
      XCTAssertEqual(view.count, 6)
      XCTAssertEqual(view.size(1), 2)
      XCTAssertTrue(view.isContiguous)
    }
  }

  func testElementsOfAnotherTypeAreRefused() throws {
    let x = try tensor([1] as [Int32], shape: [1])
    let errors = [
      failure { () throws(PeftError) in try x.elements(as: Float.self) },
      failure { () throws(PeftError) in try x.floats() },
    ]
    for error in errors { XCTAssertEqual(error?.id, .tensorDtype) }
  }

  func testAStridedViewIsCopiedInOrder() throws {
    let columns = try [1, 2, 3, 4, 5, 6].map { Float($0) }
      .withUnsafeBytes { bytes in
        try withTensorView(
          unsafeBytes: bytes, dtype: .f32, shape: [3, 2], strides: [1, 3]
        ) { (view) throws(PeftError) in
          XCTAssertFalse(view.isContiguous)
          return try view.floats()
        }
      }
    XCTAssertEqual(columns, [1, 4, 2, 5, 3, 6])
  }

  func testMemoryThatIsTooShortIsRefused() {
    let shapes = [[2, 2], [-1], [Int.max, 2], [Int.max / 2]]
    for shape in shapes {
      let error = failure { () throws(PeftError) in
        try withTensorView(of: [1, 2, 3] as [Float], shape: shape) { _ in }
      }
      XCTAssertEqual(error?.id, .argument, "\(shape)")
    }
  }

  func testStridesThatLeadOutOfMemoryAreRefused() {
    let memory = [Float](repeating: 0, count: 6)
    for strides in [[1, 4], [-1, 1], [1], [Int.max, 1]] {
      let error = memory.withUnsafeBytes { bytes in
        failure { () throws(PeftError) in
          try withTensorView(
            unsafeBytes: bytes, dtype: .f32, shape: [3, 2], strides: strides
          ) { _ in }
        }
      }
      XCTAssertEqual(error?.id, .argument, "\(strides)")
    }
  }

  func testSpansGoInWithoutACopy() throws {
    let elements: [Float] = [1, 2, 3]
    let floats = try withTensorView(of: elements.span, shape: [3]) {
      (view) throws(PeftError) in try view.floats()
    }
    XCTAssertEqual(floats, elements)
  }

  func testBFloat16RoundsToNearestEven() {
    XCTAssertEqual(BFloat16(1).bitPattern, 0x3f80)
    XCTAssertEqual(BFloat16(Float(bitPattern: 0x3f80_8000)).bitPattern, 0x3f80)
    XCTAssertEqual(BFloat16(Float(bitPattern: 0x3f81_8000)).bitPattern, 0x3f82)
    XCTAssertTrue(Float(BFloat16(.nan)).isNaN)
    XCTAssertEqual(Float(BFloat16(.infinity)), .infinity)
  }

  func testADLPackTensorOutlivesTheTensor() throws {
    let managed = UnsafeRawPointer(
      try tensor([1, 2] as [Float], shape: [2]).toDLPack())
    // DLManagedTensor begins with the address of the data, and ends with the
    // deleter after 56 bytes.
    let data = managed.load(as: UnsafePointer<Float>.self)
    XCTAssertEqual([data[0], data[1]], [1, 2])
    typealias Deleter = @convention(c) (UnsafeRawPointer) -> Void
    managed.load(fromByteOffset: 56, as: Deleter.self)(managed)
  }
}
