import CPeft

/// The program's own threads, for a model's work.
public struct ThreadPool: Sendable {
  /// How many threads work on one call, the one that calls included: 1 to 4096.
  /// Decides how finely work is cut, and nothing else.
  public var numThreads: Int

  /// Calls the piece once with each index below the number, on any threads and
  /// in any order, and returns when all these calls have returned: true, or
  /// false where it could not. What it leaves out is done by the thread that
  /// called the library, and the call that needed it fails with
  /// ``ErrorID/threadPool``.
  public var parallelFor: @Sendable (_ count: Int, WorkPiece) -> Bool

  /// Threads that `parallelFor` uses.
  public init(
    numThreads: Int,
    parallelFor: @escaping @Sendable (_ count: Int, WorkPiece) -> Bool
  ) {
    self.numThreads = numThreads
    self.parallelFor = parallelFor
  }

  /// As the library reads it. `resources` keeps the closure.
  func c(_ resources: Resources) throws(PeftError) -> peft_thread_pool_t {
    let box = ThreadPoolBox(parallelFor: parallelFor)
    resources.keep(box)
    var c = peft_thread_pool_t()
    peft_thread_pool_init(&c, MemoryLayout<peft_thread_pool_t>.stride)
    c.user_data = Unmanaged.passUnretained(box).toOpaque()
    c.num_threads = try int32(numThreads, "numThreads")
    c.parallel_for = parallelForPieces
    return c
  }
}

/// A piece of a model's work, to be called with an index. Any thread may call
/// it, also at the same time; calls that are too many or too late do nothing.
public struct WorkPiece: @unchecked Sendable {
  let piece: peft_piece_fn
  let data: UnsafeMutableRawPointer?

  /// Does what `index` stands for.
  public func callAsFunction(_ index: Int) { piece(data, Int64(index)) }
}

/// Keeps the closure that the library calls.
private final class ThreadPoolBox: Sendable {
  let parallelFor: @Sendable (Int, WorkPiece) -> Bool

  init(parallelFor: @escaping @Sendable (Int, WorkPiece) -> Bool) {
    self.parallelFor = parallelFor
  }
}

/// The `peft_parallel_for_fn` of all pools.
private let parallelForPieces: peft_parallel_for_fn = {
  userData, count, piece, data in
  guard let userData, let piece else { return 1 }
  let box = Unmanaged<ThreadPoolBox>.fromOpaque(userData).takeUnretainedValue()
  let done = box.parallelFor(Int(count), WorkPiece(piece: piece, data: data))
  return done ? 0 : 1
}
