import Dispatch
import Peft
import Synchronization
import XCTest

final class ThreadPoolTest: XCTestCase {
  private let prompt = ForwardInput([1, 7, 5, 3])

  private func open(_ pool: ThreadPool) throws -> Model {
    var options = ModelOptions()
    options.threadPool = pool
    return try Model(path: TestFiles.base, options: options)
  }

  private func logits(_ session: Session) throws -> [Float] {
    try session.forward(prompt) { (view) throws(PeftError) in
      try view.floats()
    }
  }

  func testTheProgramsThreadsDoTheWork() throws {
    let calls = Mutex(0)
    let pool = ThreadPool(numThreads: 4) { count, piece in
      calls.withLock { $0 += 1 }
      DispatchQueue.concurrentPerform(iterations: count) { piece($0) }
      return true
    }
    let expected = try logits(Session(openModel()))
    // The session keeps the pool; its model goes.
    let session = try Session(open(pool))
    XCTAssertEqual(try logits(session), expected)
    XCTAssertGreaterThan(calls.withLock { $0 }, 0)
  }

  func testAPoolThatFailsIsAnError() throws {
    let session = try Session(open(ThreadPool(numThreads: 2) { _, _ in false }))
    let error = failure { () throws(PeftError) in try session.forward(prompt) }
    XCTAssertEqual(error?.id, .threadPool)
    XCTAssertEqual(error?.code, .cancelled)
  }
}
