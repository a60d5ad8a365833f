import Peft
import XCTest

/// A session that any task may use: one call at a time.
private actor Conversation {
  private let session: Session

  init(_ model: Model) throws { session = try Session(model) }

  func answer(_ prompt: [Int64]) throws -> [Int64] {
    try session.generate(ForwardInput(prompt)).tokens()
  }
}

final class ConcurrencyTest: XCTestCase {
  private let prompt: [Int64] = [1, 7, 5, 3]

  /// Options of a generate that does not end by itself.
  private func endless() -> GenerateOptions {
    var options = GenerateOptions(maxNewTokens: 1_000_000)
    options.ignoreEOS = true
    return options
  }

  func testAnActorKeepsASession() async throws {
    let model = try openModel()
    let expected = try Session(model).generate(ForwardInput(prompt)).tokens()
    let conversation = try Conversation(model)
    let answers = try await withThrowingTaskGroup(of: [Int64].self) { group in
      for _ in 0..<8 {
        group.addTask { [prompt] in try await conversation.answer(prompt) }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    XCTAssertEqual(answers, Array(repeating: expected, count: 8))
  }

  func testTasksShareAModel() async throws {
    let model = try openModel()
    try model.loadAdapter(TestFiles.plain, as: "plain")
    let expected = try Session(model).generate(ForwardInput(prompt)).tokens()
    try await withThrowingTaskGroup(of: [Int64].self) { group in
      for _ in 0..<8 {
        group.addTask { [prompt] in
          try model.setAdapter("plain")
          return try Session(model).generate(ForwardInput(prompt)).tokens()
        }
      }
      for try await tokens in group { XCTAssertEqual(tokens, expected) }
    }
  }

  func testAStreamHasTheTokensOfGenerate() async throws {
    let model = try openModel()
    let expected = try Session(model).generate(ForwardInput(prompt)).tokens()
    var iterator = model.tokens(ForwardInput(prompt)).makeAsyncIterator()
    var tokens: [Int64] = []
    while let token = try await iterator.next() { tokens.append(token.id) }
    XCTAssertEqual(tokens, expected)
    XCTAssertEqual(iterator.generation?.tokens(), expected)
    let more = try await iterator.next()
    XCTAssertNil(more)
  }

  func testAStreamFailsAsGenerateDoes() async throws {
    let model = try openModel()
    do throws(PeftError) {
      for try await _ in model.tokens(ForwardInput([1000])) {}
      XCTFail("no error")
    } catch {
      XCTAssertEqual(error.id, .tokenOutOfRange)
    }
  }

  func testLeavingAStreamStopsTheGenerate() async throws {
    weak var model: Model?
    do {
      let opened = try openModel()
      model = opened
      let stream = opened.tokens(ForwardInput(prompt), options: endless())
      for try await _ in stream { break }
    }
    try await waitUntilGone { model }
  }

  func testCancellingTheTaskStopsTheGenerate() async throws {
    weak var model: Model?
    do {
      let opened = try openModel()
      model = opened
      let stream = opened.tokens(ForwardInput(prompt), options: endless())
      let reader = Task {
        var seen = 0
        do throws(PeftError) {
          for try await _ in stream { seen += 1 }
          return "\(seen) tokens"
        } catch { return error.id.rawValue }
      }
      try await Task.sleep(for: .milliseconds(20))
      reader.cancel()
      let end = await reader.value
      XCTAssertEqual(end, ErrorID.cancelled.rawValue)
    }
    try await waitUntilGone { model }
  }

  /// Waits until the task of a generate has let go of its model.
  private func waitUntilGone(_ model: () -> Model?) async throws {
    for _ in 0..<1000 {
      if model() == nil { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    XCTFail("the generate goes on")
  }
}
