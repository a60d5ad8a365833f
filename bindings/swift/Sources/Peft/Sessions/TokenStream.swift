/// The tokens of a generate, as they are made.
///
/// Each iteration generates anew, in a session and a task of its own. When the
/// task that iterates is cancelled the iteration fails with
/// ``ErrorID/cancelled``; then, and when an iteration ends early, the generate
/// stops with its next token.
public struct TokenStream: AsyncSequence, Sendable {
  public typealias Element = Token
  public typealias Failure = PeftError

  let model: Model
  let input: ForwardInput
  let options: GenerateOptions
  let sessionOptions: SessionOptions

  public func makeAsyncIterator() -> Iterator {
    let (events, continuation) = AsyncStream.makeStream(of: Event.self)
    let task = Task.detached { [self] in
      continuation.yield(run { continuation.yield(.token($0)) })
      continuation.finish()
    }
    continuation.onTermination = { _ in task.cancel() }
    return Iterator(events: events.makeAsyncIterator())
  }

  /// Generates to the end, or until the task is cancelled.
  private func run(
    _ yield: (Token) -> AsyncStream<Event>.Continuation.YieldResult
  ) -> Event {
    do throws(PeftError) {
      let session = try Session(model, options: sessionOptions)
      let generation = try session.generate(input, options: options) { token in
        if Task.isCancelled { return .cancel }
        if case .terminated = yield(token) { return .cancel }
        return .proceed
      }
      return .finished(generation)
    } catch {
      return .failed(error)
    }
  }

  fileprivate enum Event: Sendable {
    case token(Token)
    case finished(Generation)
    case failed(PeftError)
  }

  /// One generate.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate var events: AsyncStream<Event>.Iterator
    private var hasFailed = false

    /// What was made, with the reasons why rows ended; nil until then.
    public private(set) var generation: Generation?

    fileprivate init(events: AsyncStream<Event>.Iterator) {
      self.events = events
    }

    /// The next token of any row; nil at the end.
    public mutating func next(
      isolation actor: isolated (any Actor)? = #isolation
    ) async throws(PeftError) -> Token? {
      if generation != nil || hasFailed { return nil }
      switch await events.next(isolation: actor) {
      case .token(let token): return token
      case .finished(let result):
        generation = result
        return nil
      case .failed(let error):
        hasFailed = true
        throw error
      case nil:
        hasFailed = true
        throw .taskCancelled
      }
    }
  }
}

extension Model {
  /// The tokens of a generate from `input`, as they are made, under the
  /// adapters that are active when an iteration begins:
  ///
  ///     for try await token in model.tokens(input) { print(token.id) }
  public func tokens(
    _ input: ForwardInput, options: GenerateOptions = GenerateOptions(),
    sessionOptions: SessionOptions = SessionOptions()
  ) -> TokenStream {
    TokenStream(
      model: self, input: input, options: options,
      sessionOptions: sessionOptions)
  }
}
