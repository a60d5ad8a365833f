import CPeft

/// How a session is made.
public struct SessionOptions: Sendable {
  /// How many positions the cache may hold; 0: it grows as memory allows.
  public var maxLength: Int
  /// Where the base's weights are bf16 and the processor multiplies bf16 faster,
  /// forwards of more than 8 tokens round what goes into the linear layers to
  /// bf16, too. Results are then off by some thousandths of their size.
  public var roundActivations = false

  /// All defaults.
  public init(maxLength: Int = 0) { self.maxLength = maxLength }
}

/// A KV cache with its workspace: one conversation, or one batch of them.
///
/// One call at a time, so it is not Sendable: keep it in one task, or in an
/// actor. Any number of sessions of one model run at the same time.
public final class Session: HandleOwner {
  let handle: OpaquePointer
  private let resources: Resources
  // Whether a closure has a view of the outputs, which a call would overwrite.
  private var isLent = false

  /// An empty session of `model`, which may go before it. Fails with
  /// ``ErrorID/modelNotRunnable`` on a host model.
  public init(
    _ model: Model, options: SessionOptions = SessionOptions()
  ) throws(PeftError) {
    var c = peft_session_options_t()
    peft_session_options_init(&c, MemoryLayout<peft_session_options_t>.stride)
    c.max_length = Int64(options.maxLength)
    c.round_activations = options.roundActivations ? 1 : 0
    resources = model.resources
    handle = try make { out in
      model.use { peft_session_create($0, &c, out) }
    }
  }

  deinit {
    peft_session_free(handle)
    withExtendedLifetime(resources) {}
  }

  /// Empties the cache.
  public func reset() throws(PeftError) {
    try runAlone { peft_session_reset($0) }
  }

  /// The number of positions in the cache; 0 while another call uses the
  /// session.
  public var cacheLength: Int { Int(use { peft_session_cache_length($0) }) }

  /// A call that no closure with a view of the outputs may make.
  func runAlone(_ body: (OpaquePointer) -> Status?) throws(PeftError) {
    if isLent { throw .sessionLent }
    try run(body)
  }

  /// Lends the view that `fetch` writes.
  func lendView<R>(
    _ fetch: (OpaquePointer, UnsafeMutablePointer<peft_tensor_view_t>)
      -> Status?,
    _ body: (borrowing TensorView) throws(PeftError) -> R
  ) throws(PeftError) -> R {
    var view = peft_tensor_view_t()
    view.struct_size = MemoryLayout<peft_tensor_view_t>.stride
    try runAlone { fetch($0, &view) }
    isLent = true
    defer {
      isLent = false
      withExtendedLifetime(self) {}
    }
    return try body(TensorView(view))
  }
}
