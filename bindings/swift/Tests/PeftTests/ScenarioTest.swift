import XCTest

/// Every step does what Python does.
final class ScenarioTest: XCTestCase {
  private func run(_ name: String) async throws {
    let runner = ScenarioRunner(
      folder: TestFiles.scenario, temporary: try temporaryFolder())
    let count = try await runner.run(name)
    XCTAssertGreaterThan(count, 30)
  }

  func testModelsAndAdaptersInFolders() async throws {
    try await run("scenario.json")
  }

  func testLayersAndFilesOfAProgram() async throws {
    try await run("host_scenario.json")
  }
}
