import Peft
import XCTest

final class SessionTest: XCTestCase {
  private let prompt = ForwardInput([1, 7, 5, 3])

  func testForwardLendsTheLogits() throws {
    let session = try Session(openModel())
    let shape = try session.forward(prompt) { $0.shape }
    XCTAssertEqual(shape, [1, 4, 32])
    XCTAssertEqual(session.cacheLength, 4)
    try session.reset()
    XCTAssertEqual(session.cacheLength, 0)
  }

  func testAModelGetsTheHeadThatIsAskedFor() throws {
    var options = ModelOptions()
    options.task = .sequenceClassification
    options.numLabels = 3
    options.padTokenID = 0
    let session = try Session(Model(path: TestFiles.base, options: options))
    let shape = try session.forward(prompt) { $0.shape }
    XCTAssertEqual(shape, [1, 3])
  }

  func testOutputsAreThoseThatWereAskedFor() throws {
    let session = try Session(openModel())
    try session.forward(
      prompt, options: ForwardOptions(outputs: [.lastHiddenState]))
    let shape = try session.withOutput(.lastHiddenState) { $0.shape }
    XCTAssertEqual(shape, [1, 4, 16])
    let error = failure { () throws(PeftError) in
      try session.withOutput(.logits) { _ in }
    }
    XCTAssertEqual(error?.id, .outputNotComputed)
  }

  func testASessionThatLendsItsOutputsIsNotCalled() throws {
    let session = try Session(openModel())
    let error = try session.forward(prompt) { _ in
      failure { () throws(PeftError) in try session.reset() }
    }
    XCTAssertEqual(error?.id, .sessionBusy)
    try session.reset()
  }

  func testAnErrorOfTheClosureComesThrough() throws {
    let session = try Session(openModel())
    let error = failure { () throws(PeftError) in
      try session.forward(prompt) { (view) throws(PeftError) in
        try view.elements(as: Int64.self)
      }
    }
    XCTAssertEqual(error?.id, .tensorDtype)
    try session.reset()
  }

  func testArraysThatAreTooShortAreRefused() throws {
    let session = try Session(openModel())
    var masked = prompt
    masked.attentionMask = [1]
    let inputs = [
      masked, ForwardInput([1, 2, 3], batch: 2, length: 2),
      ForwardInput([1], batch: Int.max, length: 2),
    ]
    for input in inputs {
      let error = failure { () throws(PeftError) in
        try session.forward(input)
      }
      XCTAssertEqual(error?.id, .argument)
    }
  }

  func testPaddedRowsGiveWhatTheyGiveAlone() throws {
    let session = try Session(openModel())
    let rows: [[Int64]] = [[1, 7, 5, 3], [1, 7]]
    let alone = try rows.map { row in
      try session.generate(ForwardInput(row)).tokens()
    }
    let together = try session.generate(ForwardInput(paddingLeft: rows))
    XCTAssertEqual((0..<2).map { together.tokens($0) }, alone)
  }

  func testGenerateCallsBackAndSaysWhyRowsEnd() throws {
    let session = try Session(openModel())
    var options = GenerateOptions(maxNewTokens: 5)
    options.ignoreEOS = true
    var seen: [Int64] = []
    let made = try session.generate(prompt, options: options) { token in
      XCTAssertEqual(token.row, 0)
      seen.append(token.id)
      return .proceed
    }
    XCTAssertEqual(made.numRows, 1)
    XCTAssertEqual(made.tokens(), seen)
    XCTAssertEqual(seen.count, 5)
    XCTAssertEqual(made.finishReason(), .length)
    XCTAssertEqual(made.tokens(1), [])
    XCTAssertEqual(made.finishReason(1).rawValue, 0)
  }

  func testGenerateCanBeCancelled() throws {
    let session = try Session(openModel())
    var calls = 0
    let error = failure { () throws(PeftError) in
      try session.generate(prompt) { _ in
        calls += 1
        return .cancel
      }
    }
    XCTAssertEqual(error?.id, .cancelled)
    XCTAssertEqual(error?.code, .cancelled)
    XCTAssertEqual(calls, 1)
    try session.forward(prompt)
  }

  func testACallFromACallbackIsRefused() throws {
    let session = try Session(openModel())
    var error: PeftError?
    _ = try session.generate(prompt) { _ in
      error = failure { () throws(PeftError) in try session.reset() }
      return .proceed
    }
    XCTAssertEqual(error?.id, .sessionBusy)
  }

  func testASessionOutlivesItsModel() throws {
    let session = try Session(openModel())
    XCTAssertEqual(try session.forward(prompt) { $0.count }, 128)
  }

  func testRowsWithoutAdaptersAreRefused() throws {
    let session = try Session(openModel())
    for rows in [Rows.named([]), .activations([])] {
      let error = failure { () throws(PeftError) in
        try session.forward(prompt, options: ForwardOptions(rows: rows))
      }
      XCTAssertEqual(error?.id, .argument)
    }
  }

  func testRowsRunUnderAdaptersOfTheirOwn() throws {
    let model = try openModel()
    try model.loadAdapter(TestFiles.plain, as: "plain")
    let session = try Session(model)
    let both = ForwardInput(prompt.ids + prompt.ids, batch: 2, length: 4)
    func logits(_ rows: Rows) throws -> [Float] {
      try session.reset()
      return try session.forward(both, options: ForwardOptions(rows: rows)) {
        (view) throws(PeftError) in try view.floats()
      }
    }
    let named = try logits(.named(["plain", Rows.base]))
    let activations = try logits(
      .activations([Activation(model, ["plain"]), nil]))
    XCTAssertEqual(named, activations)
    XCTAssertNotEqual(Array(named[..<128]), Array(named[128...]))
  }
}
