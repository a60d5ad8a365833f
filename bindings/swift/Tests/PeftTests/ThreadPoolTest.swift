import Dispatch
import Peft
import Synchronization
import XCTest

final class ThreadPoolTest: XCTestCase {
  private let rows = 64
  private let width = 512

  /// A layer that is large enough for several threads.
  private func open(_ pool: ThreadPool?) throws -> Model {
    let weight = (0..<width * width).map { Float($0 % 7) - 3 }
    var options = ModelOptions()
    options.numThreads = 1
    options.threadPool = pool
    return try Model(
      layers: [
        Layer(
          "proj", .linear,
          weight: try HostTensor(weight, shape: [width, width]))
      ], options: options)
  }

  private func run(_ model: Model) throws(PeftError) -> [Float] {
    let x = (0..<rows * width).map { Float($0 % 5) }
    return try model.runLayer("proj", x, shape: [rows, width]).floats()
  }

  func testTheProgramsThreadsDoTheWork() throws {
    let calls = Mutex(0)
    let pool = ThreadPool(numThreads: 4) { count, piece in
      calls.withLock { $0 += 1 }
      DispatchQueue.concurrentPerform(iterations: count) { piece($0) }
      return true
    }
    let expected = try run(open(nil))
    XCTAssertEqual(try run(open(pool)), expected)
    XCTAssertGreaterThan(calls.withLock { $0 }, 0)
  }

  func testAPoolThatFailsIsAnError() throws {
    let model = try open(ThreadPool(numThreads: 2) { _, _ in false })
    let error = failure { () throws(PeftError) in try run(model) }
    XCTAssertEqual(error?.id, .threadPool)
    XCTAssertEqual(error?.code, .cancelled)
  }

  func testASessionKeepsThePoolOfItsModel() throws {
    final class Threads: Sendable {}
    weak var kept: Threads?
    var session: Session?
    do {
      let threads = Threads()
      kept = threads
      var options = ModelOptions()
      options.threadPool = ThreadPool(numThreads: 1) { _, _ in
        withExtendedLifetime(threads) { false }
      }
      session = try Session(Model(path: TestFiles.base, options: options))
    }
    XCTAssertNotNil(kept)
    try session?.forward(ForwardInput([1]))
    session = nil
    XCTAssertNil(kept)
  }
}
