import CPeft

/// Where the library's memory comes from.
public struct Allocator: Sendable {
  /// Returns so many bytes, 0 or more, at a multiple of the alignment; or nil:
  /// the call that needed them then fails with ``ErrorID/outOfMemory``. On any
  /// thread, several at once; must not call the library.
  public typealias Allocate =
    @Sendable (_ size: Int, _ alignment: Int) -> UnsafeMutableRawPointer?

  /// Takes back what ``Allocate`` returned for this size and alignment. On any
  /// thread.
  public typealias Deallocate =
    @Sendable (UnsafeMutableRawPointer, _ size: Int, _ alignment: Int) -> Void

  let allocate: Allocate
  let deallocate: Deallocate

  /// Memory from these functions.
  public init(
    allocate: @escaping Allocate, deallocate: @escaping Deallocate
  ) {
    self.allocate = allocate
    self.deallocate = deallocate
  }
}

extension Library {
  /// Takes all memory of the library from `allocator`, to the end of the
  /// process.
  ///
  /// Must be the first call of all, and the only one of its kind: else it fails
  /// with ``ErrorID/allocator``.
  public static func setAllocator(
    _ allocator: Allocator
  ) throws(PeftError) {
    let box = Unmanaged.passRetained(AllocatorBox(allocator))
    var c = peft_allocator_t()
    peft_allocator_init(&c, MemoryLayout<peft_allocator_t>.stride)
    c.user_data = box.toOpaque()
    c.allocate = { userData, size, alignment in
      AllocatorBox.from(userData)?.allocator.allocate(size, alignment)
    }
    c.deallocate = { userData, data, size, alignment in
      guard let data else { return }
      AllocatorBox.from(userData)?.allocator.deallocate(data, size, alignment)
    }
    do throws(PeftError) {
      try check(peft_set_allocator(&c))
    } catch {
      box.release()  // The library has not taken it.
      throw error
    }
  }
}

/// Keeps the closures that the library calls.
private final class AllocatorBox: Sendable {
  let allocator: Allocator

  init(_ allocator: Allocator) { self.allocator = allocator }

  static func from(_ userData: UnsafeMutableRawPointer?) -> AllocatorBox? {
    userData.map {
      Unmanaged<AllocatorBox>.fromOpaque($0).takeUnretainedValue()
    }
  }
}
