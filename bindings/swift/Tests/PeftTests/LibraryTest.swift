import Peft
import Synchronization
import XCTest

final class LibraryTest: XCTestCase {
  func testTheLibraryIsAsNewAsTheHeader() {
    XCTAssertGreaterThanOrEqual(Library.apiVersion, Library.headerVersion)
  }

  func testBuildInfoHasLists() {
    let info = Library.buildInfo
    XCTAssertEqual(info.apiVersion, Library.apiVersion)
    XCTAssertTrue(info.methods.contains("LORA"))
    XCTAssertTrue(info.modelTypes.contains("llama"))
    XCTAssertFalse(info.version.isEmpty)
    XCTAssertFalse(info.compiler.isEmpty)
    XCTAssertFalse(info.cpuKernels.isEmpty)
  }

  func testTheLoggerReceivesWarnings() throws {
    let lines = Lines()
    Library.setLogger { level, line in lines.add(level, line) }
    defer { Library.setLogger(nil) }
    let model = try openModel()
    try model.loadAdapter(TestFiles.plain, as: "plain")
    try model.mergeAdapters()
    try model.loadAdapter(TestFiles.ranks, as: "ranks")  // Unmerges first.
    XCTAssertTrue(lines.all.contains { $0.0 == .warning })
  }

  func testTheLogLevelDropsLines() throws {
    let lines = Lines()
    Library.setLogger { level, line in lines.add(level, line) }
    try Library.setLogLevel(.none)
    let model = try openModel()
    try model.loadAdapter(TestFiles.plain, as: "plain")
    try model.mergeAdapters()
    try model.loadAdapter(TestFiles.ranks, as: "ranks")  // Unmerges first.
    try Library.setLogLevel(.info)
    Library.setLogger(nil)
    XCTAssertEqual(lines.all.count, 0)
  }

  func testAnAllocatorThatComesTooLateIsRefused() {
    _ = Library.apiVersion
    let allocator = Allocator { size, alignment in
      .allocate(byteCount: size, alignment: alignment)
    } deallocate: { memory, _, _ in
      memory.deallocate()
    }
    let error = failure { () throws(PeftError) in
      try Library.setAllocator(allocator)
    }
    XCTAssertEqual(error?.id, .allocator)
  }

  func testAnUnknownConstantKeepsItsValue() {
    XCTAssertEqual(DType(rawValue: 1000).rawValue, 1000)
    XCTAssertNil(DType(rawValue: 1000).bits)
    XCTAssertEqual(
      ErrorID(rawValue: "OF_A_NEWER_ONE").rawValue, "OF_A_NEWER_ONE")
  }
}

/// Lines of the log, from any thread.
private final class Lines: Sendable {
  private let lines = Mutex<[(LogLevel, String)]>([])

  var all: [(LogLevel, String)] { lines.withLock { $0 } }

  func add(_ level: LogLevel, _ line: String) {
    lines.withLock { $0.append((level, line)) }
  }
}
