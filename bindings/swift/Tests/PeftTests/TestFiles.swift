import Foundation
import Peft
import XCTest

/// The files of the repository that tests read.
enum TestFiles {
  /// The folder of the repository: that of PEFT_REPOSITORY, or else the one
  /// that this file is in.
  static let repository: URL = {
    if let path = ProcessInfo.processInfo.environment["PEFT_REPOSITORY"] {
      return URL(fileURLWithPath: path)
    }
    return (0..<5).reduce(URL(fileURLWithPath: #filePath)) { url, _ in
      url.deletingLastPathComponent()
    }
  }()

  static let scenario = repository.appendingPathComponent("testing/scenario")
  static let base = path("testing/scenario/base")
  /// A model with layers of some width.
  static let wideBase = path("examples/quickstart/base")
  static let plain = path("testing/scenario/adapters/plain")
  static let ranks = path("testing/scenario/adapters/ranks")

  static func path(_ name: String) -> String {
    repository.appendingPathComponent(name).path
  }
}

extension XCTestCase {
  /// A model of 5000 weights, in one thread.
  func openModel() throws -> Model {
    var options = ModelOptions()
    options.numThreads = 1
    return try Model(path: TestFiles.base, options: options)
  }

  /// An empty folder that goes with the test.
  func temporaryFolder() throws -> URL {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(
      at: folder, withIntermediateDirectories: true)
    addTeardownBlock { try FileManager.default.removeItem(at: folder) }
    return folder
  }

  /// The error that `body` fails with.
  func failure<R>(
    file: StaticString = #filePath, line: UInt = #line,
    _ body: () throws(PeftError) -> R
  ) -> PeftError? {
    do throws(PeftError) {
      _ = try body()
      XCTFail("no error", file: file, line: line)
      return nil
    } catch {
      return error
    }
  }
}
