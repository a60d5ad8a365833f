import CPeft

/// A new token of a row.
public struct Token: Hashable, Sendable {
  /// The row of the input that it belongs to.
  public let row: Int
  /// The token.
  public let id: Int64
}

/// Why a row ended.
public struct FinishReason: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// ``GenerateOptions/maxNewTokens`` were made.
  public static let length = FinishReason(rawValue: PEFT_FINISH_LENGTH)
  /// A token that ends a row.
  public static let eos = FinishReason(rawValue: PEFT_FINISH_EOS)
  /// A stop sequence.
  public static let stop = FinishReason(rawValue: PEFT_FINISH_STOP)
}

/// What generate made. Immutable.
public final class Generation: @unchecked Sendable, HandleOwner {
  let handle: OpaquePointer

  init(taking handle: OpaquePointer) { self.handle = handle }

  deinit { peft_generate_result_free(handle) }

  /// The number of rows.
  public var numRows: Int { use { peft_generate_result_num_rows($0) } }

  /// The new tokens of `row`, the eos or stop tokens included; none where there
  /// is no such row.
  public func tokens(_ row: Int = 0) -> [Int64] {
    withTokens(row) { tokens in tokens.indices.map { tokens[$0] } }
  }

  /// Lends the new tokens of `row`, without a copy.
  public func withTokens<R>(_ row: Int, _ body: (Span<Int64>) -> R) -> R {
    use { handle in
      var count = 0
      let tokens = peft_generate_result_tokens(handle, row, &count)
      return body(UnsafeBufferPointer(start: tokens, count: count).span)
    }
  }

  /// Why `row` ended; 0 where there is no such row.
  public func finishReason(_ row: Int = 0) -> FinishReason {
    FinishReason(
      rawValue: use { peft_generate_result_finish_reason($0, row) })
  }
}

extension Session {
  /// Resets the session, then generates from `input` under the adapters that
  /// are active when the call begins, to its end.
  ///
  /// `onToken` is called for each new token of each row, on the thread that
  /// called; when it cancels, the call fails with ``ErrorID/cancelled``, and
  /// the session can be used again.
  public func generate(
    _ input: ForwardInput, options: GenerateOptions = GenerateOptions(),
    onToken: (Token) -> CallbackAction = { _ in .proceed }
  ) throws(PeftError) -> Generation {
    try input.check()
    var arena = Arena()
    defer { arena.free() }
    var c = try options.c(&arena)
    c.on_token = { userData, row, id in
      let token = Token(row: Int(row), id: id)
      return lentClosure(userData, TokenClosure.self)(token).code
    }
    var result: OpaquePointer?
    try runAlone { session in
      lend(onToken) { userData in
        c.user_data = userData
        return withExtendedLifetime(options) {
          input.with { peft_session_generate(session, $0, &c, &result) }
        }
      }
    }
    guard let result else { throw .internalError("no result") }
    return Generation(taking: result)
  }
}

private typealias TokenClosure = (Token) -> CallbackAction
