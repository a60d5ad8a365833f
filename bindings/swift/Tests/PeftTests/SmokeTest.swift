import Peft
import XCTest

final class SmokeTest: XCTestCase {
  func testVersion() {
    XCTAssertGreaterThanOrEqual(Library.apiVersion, Library.headerVersion)
  }
}
