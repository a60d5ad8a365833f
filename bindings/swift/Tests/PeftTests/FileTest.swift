import Foundation
import Peft
import Synchronization
import XCTest

/// A file's bytes in memory of a program.
private final class Bytes: @unchecked Sendable {
  let memory: UnsafeMutableRawBufferPointer

  init(_ bytes: Data) {
    memory = .allocate(byteCount: bytes.count, alignment: 64)
    memory.copyBytes(from: bytes)
  }

  deinit { memory.deallocate() }

  func file(_ name: String) -> File {
    File(name, unsafeBytes: UnsafeRawBufferPointer(memory), owner: self)
  }
}

final class FileTest: XCTestCase {
  private let names = ["adapter_config.json", "adapter_model.safetensors"]

  private func content(_ name: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: TestFiles.plain + "/" + name))
  }

  /// The adapter's files as `make` has them.
  private func files(_ make: (String, Data) throws -> File) throws -> [File] {
    try names.map { try make($0, content($0)) }
  }

  private func inMemory() throws -> [File] {
    try files { File($0, bytes: Array($1)) }
  }

  /// The logits of a model with the adapter that `load` loads.
  private func logits(
    _ load: (Model) throws -> Void
  ) throws -> [Float] {
    let model = try openModel()
    try load(model)
    return try Session(model).forward(ForwardInput([1, 7, 5])) {
      (view) throws(PeftError) in try view.floats()
    }
  }

  private func expected() throws -> [Float] {
    try logits { try $0.loadAdapter(TestFiles.plain) }
  }

  func testAnAdapterLoadsFromMemory() throws {
    let files = try inMemory()
    XCTAssertEqual(
      try logits { try $0.loadAdapter(files: files) }, try expected())
  }

  func testAnAdapterLoadsFromFunctions() throws {
    let calls = Mutex(0)
    let files = try files { name, data in
      File(name, size: Int64(data.count)) { offset, buffer in
        calls.withLock { $0 += 1 }
        let part = data.dropFirst(Int(offset)).prefix(min(buffer.count, 100))
        buffer.copyBytes(from: part)
        return part.count
      }
    }
    XCTAssertEqual(
      try logits { try $0.loadAdapter(files: files) }, try expected())
    XCTAssertGreaterThan(calls.withLock { $0 }, 2)
  }

  func testAFunctionThatReadsNothingIsAnError() throws {
    let files = try files { name, data in
      File(name, size: Int64(data.count)) { _, _ in 0 }
    }
    let model = try openModel()
    let error = failure { () throws(PeftError) in
      try model.loadAdapter(files: files)
    }
    XCTAssertEqual(error?.id, .fileRead)
  }

  func testAnAdapterLoadsFromAPartOfAnOpenFile() throws {
    let path = try temporaryFolder().appendingPathComponent("package")
    try (content(names[0]) + content(names[1])).write(to: path)
    let package = try FileHandle(forReadingFrom: path)
    var offset: Int64 = 0
    let files = try files { name, data in
      defer { offset += Int64(data.count) }
      return File(
        name, descriptor: package.fileDescriptor, offset: offset,
        size: Int64(data.count))
    }
    XCTAssertEqual(
      try logits { try $0.loadAdapter(files: files) }, try expected())
  }

  func testMemoryInPlaceIsKeptWithAllThatTheModelGave() throws {
    weak var owner: Bytes?
    var tensor: Tensor?
    do {
      let bytes = Bytes(try content(names[1]))
      owner = bytes
      let files = [
        File(names[0], bytes: Array(try content(names[0]))),
        bytes.file(names[1]),
      ]
      let model = try openModel()
      try model.loadAdapter(files: files)
      let dict = try model.adapterStateDict()
      tensor = try dict.tensor(XCTUnwrap(dict.names.first))
    }
    XCTAssertNotNil(owner)
    XCTAssertFalse(try XCTUnwrap(tensor).floats().isEmpty)
    tensor = nil
    XCTAssertNil(owner)
  }

  func testAReplacementComesFromFiles() throws {
    let files = try inMemory()
    let logits = try logits { model in
      try model.loadAdapter(TestFiles.ranks, as: "x")
      try model.replaceAdapter("x", withFiles: files)
    }
    XCTAssertEqual(logits, try expected())
  }

  func testFilesAreInspectedAsTheirFolderIs() throws {
    let files = try inMemory()
    XCTAssertEqual(
      try AdapterFolder.estimate(files: files),
      try AdapterFolder.estimate(TestFiles.plain))
    let model = try openModel()
    let inspected = try JSON(
      parsing: Data(AdapterFolder.inspect(files: files).utf8))
    XCTAssertEqual(inspected.object?["folder"], .text(""))
    XCTAssertTrue(
      try AdapterFolder.inspect(files: files, model: model)
        .contains("\"unmatched\""))
  }

  func testAModelOpensFromFiles() throws {
    let files = try ["config.json", "model.safetensors"].map { name in
      let url = URL(fileURLWithPath: TestFiles.base + "/" + name)
      return File(name, bytes: Array(try Data(contentsOf: url)))
    }
    let model = try Model(files: files, name: "base")
    let opened = try openModel()
    XCTAssertEqual(try model.info(), try opened.info())
    let prompt = ForwardInput([1, 7, 5])
    XCTAssertEqual(
      try Session(model).generate(prompt).tokens(),
      try Session(opened).generate(prompt).tokens())
  }

  func testAModelOfNoFilesIsRefused() throws {
    let error = failure { () throws(PeftError) in
      try Model(files: [], name: TestFiles.base)
    }
    XCTAssertEqual(error?.id, .argument)
  }
}
