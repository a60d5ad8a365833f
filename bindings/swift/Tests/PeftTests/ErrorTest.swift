import Peft
import XCTest

final class ErrorTest: XCTestCase {
  func testAnErrorSaysCodeIdAndMessage() throws {
    let error = try XCTUnwrap(
      failure { () throws(PeftError) in try Model(path: "/no/such/folder") })
    XCTAssertEqual(error.code, .notFound)
    XCTAssertEqual(error.id, .fileNotFound)
    XCTAssertTrue(error.message.contains("/no/such/folder"))
    XCTAssertEqual(error.description, "FILE_NOT_FOUND: \(error.message)")
  }

  func testAnErrorSaysSubjectExpectedAndFound() throws {
    let model = try openModel()
    let folder = TestFiles.path("testing/scenario/adapters/wrong_shape")
    let error = try XCTUnwrap(
      failure { () throws(PeftError) in try model.loadAdapter(folder) })
    XCTAssertEqual(error.id, .tensorShapeMismatch)
    XCTAssertFalse(error.subject.isEmpty)
    XCTAssertTrue(error.expected.hasPrefix("["))
    XCTAssertNotEqual(error.found, error.expected)
  }

  func testATextThatHoldsANulIsRefused() throws {
    let model = try openModel()
    try model.loadAdapter(TestFiles.plain, as: "plain")
    let direct = failure { () throws(PeftError) in
      try model.setAdapter("plain\0x")
    }
    let listed = failure { () throws(PeftError) in
      try model.setAdapters(["plain\0x"])
    }
    XCTAssertEqual(direct?.id, .utf8)
    XCTAssertEqual(listed?.id, .utf8)
    XCTAssertTrue(listed?.message.contains("plain\\0x") ?? false)
  }

  func testScalesThatAreNotAsManyAsNamesAreRefused() throws {
    let model = try openModel()
    try model.loadAdapter(TestFiles.plain, as: "plain")
    let errors = [
      failure { () throws(PeftError) in
        try model.setAdapters(["plain"], options: .init(scales: []))
      },
      failure { () throws(PeftError) in
        try model.mergeAdapters([], options: .init(scales: [1]))
      },
      failure { () throws(PeftError) in
        try Activation(model, ["plain"], scales: [1, 2])
      },
      failure { () throws(PeftError) in
        try model.addWeightedAdapter("new", of: ["plain"], weights: [])
      },
      failure { () throws(PeftError) in
        try model.mergeAndUnload(to: "/x", options: .init(scales: [1]))
      },
    ]
    for error in errors { XCTAssertEqual(error?.id, .argument) }
  }
}
