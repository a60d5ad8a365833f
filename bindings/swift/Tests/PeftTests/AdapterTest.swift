import Foundation
import Peft
import XCTest

final class AdapterTest: XCTestCase {
  func testAReportHasLines() throws {
    let model = try openModel()
    let report = try model.loadAdapter(TestFiles.plain, as: "plain")
    let lines = try report.lines()
    XCTAssertEqual(lines.count, report.count())
    XCTAssertEqual(
      lines.filter { $0.kind == .matched }.count, report.count(.matched))
    XCTAssertTrue(lines.contains { $0.name.contains("lora_A") })
    let error = failure { () throws(PeftError) in try report.line(-1) }
    XCTAssertEqual(error?.id, .argument)
  }

  func testAProbeHasLines() throws {
    let model = try openModel()
    try model.loadAdapter(TestFiles.plain, as: "plain")
    let report = try model.probeAdapter(options: ProbeOptions(rows: 4))
    let lines = try report.lines()
    XCTAssertEqual(lines.count, try report.summary().numSites)
    XCTAssertEqual(
      lines.map(\.ratio).max(), try report.summary().maxRatio)
    for line in lines {
      XCTAssertGreaterThan(line.baseNorm, 0)
      XCTAssertGreaterThan(line.deltaNorm, 0)
      XCTAssertFalse(line.name.isEmpty)
    }
  }

  func testAnInspectionSaysWhatMatchesAModel() throws {
    let model = try openModel()
    let alone = try AdapterFolder.inspect(TestFiles.plain)
    let both = try AdapterFolder.inspect(TestFiles.plain, model: model)
    XCTAssertFalse(alone.contains("\"unmatched\""))
    XCTAssertTrue(both.contains("\"unmatched\""))
  }

  func testScalesMultiply() throws {
    let model = try openModel()
    try model.loadAdapter(TestFiles.plain, as: "plain")
    try model.setScale("plain", 0.5)
    XCTAssertEqual(try model.adapterInfo("plain").scale, 0.5)
    XCTAssertTrue(try model.adapterInfo().isActive)
  }

  func testMergingReportsItsProgress() throws {
    let model = try openModel()
    try model.loadAdapter(TestFiles.plain, as: "plain")
    let folder = try temporaryFolder().appendingPathComponent("merged").path
    var steps: [MergeProgress] = []
    try model.mergeAndUnload(to: folder) { progress in
      steps.append(progress)
      return .proceed
    }
    XCTAssertGreaterThan(steps.count, 1)
    XCTAssertEqual(steps.last?.done, steps.last?.total)
    XCTAssertNoThrow(try Model(path: folder))
  }

  func testAQuantisedModelIsWritten() throws {
    var options = ModelOptions()
    options.weightFormat = .q8
    options.quantizeHead = true
    let model = try Model(path: TestFiles.wideBase, options: options)
    let folder = try temporaryFolder().appendingPathComponent("q8").path
    var last: MergeProgress?
    try model.writeQuantized(to: folder) { progress in
      last = progress
      return .proceed
    }
    XCTAssertEqual(last?.done, last?.total)
    XCTAssertNoThrow(try Model(path: folder))
    let plain = try openModel()
    let error = failure { () throws(PeftError) in
      try plain.writeQuantized(to: folder + "2")
    }
    XCTAssertEqual(error?.id, .modelQuantized)
  }

  func testMergingCanBeCancelled() throws {
    let model = try openModel()
    try model.loadAdapter(TestFiles.plain, as: "plain")
    let folder = try temporaryFolder().appendingPathComponent("merged").path
    let error = failure { () throws(PeftError) in
      try model.mergeAndUnload(to: folder) { _ in .cancel }
    }
    XCTAssertEqual(error?.id, .cancelled)
    XCTAssertFalse(FileManager.default.fileExists(atPath: folder))
  }

  func testReplicatedLayersAreNew() throws {
    var options = ModelOptions()
    options.numThreads = 1
    options.layerReplication = [0..<2, 1..<2]
    let model = try Model(path: TestFiles.base, options: options)
    XCTAssertEqual(try model.info().numLayers, 3)
  }

  func testALocalFolderIsFetchedFromNowhere() throws {
    XCTAssertEqual(try Model.fetch(TestFiles.base), TestFiles.base)
    XCTAssertEqual(try AdapterFolder.fetch(TestFiles.plain), TestFiles.plain)
  }
}
