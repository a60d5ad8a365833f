import CPeft

/// How adapters are merged.
public struct MergeOptions: Sendable {
  /// One finite number per name, multiplied with the adapter's own scale; nil:
  /// those that active adapters act with now, 1 for the others.
  public var scales: [Float]?
  /// Whether a merged weight that is NaN or infinite is an error, and nothing
  /// has changed.
  public var safeMerge: Bool

  /// All defaults.
  public init(scales: [Float]? = nil, safeMerge: Bool = false) {
    self.scales = scales
    self.safeMerge = safeMerge
  }
}

/// How a merged model is written.
public struct MergeAndUnloadOptions: Sendable {
  /// The adapters to merge, in this order; empty: those that are merged now and
  /// those that are active.
  public var names: [String]
  /// As in ``MergeOptions``.
  public var scales: [Float]?
  /// As in ``MergeOptions``.
  public var safeMerge: Bool

  /// All defaults.
  public init(
    names: [String] = [], scales: [Float]? = nil, safeMerge: Bool = false
  ) {
    self.names = names
    self.scales = scales
    self.safeMerge = safeMerge
  }
}

/// How far the writing of a model is.
public struct MergeProgress: Hashable, Sendable {
  /// The bytes that are written.
  public let done: Int64
  /// All bytes.
  public let total: Int64
}

// MARK: - Merging

extension Model {
  /// Writes what these adapters do into new weights, which stand for those of
  /// the base until ``unmergeAdapter()``; the base's own are kept. With no
  /// names those that are active are merged.
  ///
  /// Merged adapters are not applied a second time; other active ones act on
  /// top. Running forwards finish on what they began with.
  public func mergeAdapters(
    _ names: [String] = [], options: MergeOptions = MergeOptions()
  ) throws(PeftError) {
    try checkCount(options.scales, of: names.count, "scales")
    var arena = Arena()
    defer { arena.free() }
    let list = try arena.texts(names)
    var c = peft_merge_options_t()
    peft_merge_options_init(&c, MemoryLayout<peft_merge_options_t>.stride)
    c.scales = options.scales.flatMap { arena.values($0) }
    c.safe_merge = options.safeMerge ? 1 : 0
    try run { peft_model_merge_adapter($0, list, names.count, &c) }
  }

  /// Goes back to the base's own weights, bit by bit and at once. Does nothing
  /// when nothing is merged.
  public func unmergeAdapter() throws(PeftError) {
    try run { peft_model_unmerge_adapter($0) }
  }

  /// The merged adapters in order, also while adapters are disabled.
  public func mergedAdapters() throws(PeftError) -> [String] {
    try makeNames { out in use { peft_model_merged_adapters($0, out) } }
  }

  /// Writes the model with these adapters merged as the Hugging Face folder
  /// `path`, which transformers and ``init(path:options:)`` open like any
  /// other. The model itself does not change. The folder appears whole or not
  /// at all; its parent must exist. `onProgress` is called after each tensor,
  /// on the thread that called.
  public func mergeAndUnload(
    to path: String, options: MergeAndUnloadOptions = MergeAndUnloadOptions(),
    onProgress: (MergeProgress) -> CallbackAction = { _ in .proceed }
  ) throws(PeftError) {
    try checkCount(options.scales, of: options.names.count, "scales")
    var arena = Arena()
    defer { arena.free() }
    let path = try arena.text(path)
    var c = peft_merge_and_unload_options_t()
    peft_merge_and_unload_options_init(
      &c, MemoryLayout<peft_merge_and_unload_options_t>.stride)
    c.names = try arena.texts(options.names)
    c.num_names = options.names.count
    c.scales = options.scales.flatMap { arena.values($0) }
    c.safe_merge = options.safeMerge ? 1 : 0
    c.on_progress = callProgress
    let status = lend(onProgress) { userData in
      c.user_data = userData
      return use { peft_model_merge_and_unload($0, path, &c) }
    }
    try check(status)
  }

  /// Writes the base of a model that was opened with a
  /// ``ModelOptions/weightFormat`` as the folder `path`, which
  /// ``init(path:options:)`` opens with the same numbers. Adapters are no part
  /// of it. The folder appears whole or not at all; its parent must exist.
  public func writeQuantized(
    to path: String,
    onProgress: (MergeProgress) -> CallbackAction = { _ in .proceed }
  ) throws(PeftError) {
    var arena = Arena()
    defer { arena.free() }
    let path = try arena.text(path)
    let status = lend(onProgress) { userData in
      use { peft_model_write_quantized($0, path, callProgress, userData) }
    }
    try check(status)
  }

  /// Deletes all adapters and keeps the base: what is merged is unmerged.
  public func unload() throws(PeftError) {
    try run { peft_model_unload($0) }
  }
}

private typealias ProgressClosure = (MergeProgress) -> CallbackAction

/// Tells a lent `ProgressClosure` how far the library is.
private let callProgress: peft_progress_fn = { userData, done, total in
  let progress = MergeProgress(done: done, total: total)
  return lentClosure(userData, ProgressClosure.self)(progress).code
}
