import XCTest

final class ScenarioTest: XCTestCase {
  func testEveryStepDoesWhatPythonDoes() async throws {
    let runner = ScenarioRunner(
      folder: TestFiles.scenario, temporary: try temporaryFolder())
    let count = try await runner.run()
    XCTAssertGreaterThan(count, 100)
  }
}
