import CPeft

/// A program's own tensor, as a weight of a ``Layer``: it keeps its memory, or
/// keeps the owner of memory that lies elsewhere.
public struct HostTensor: @unchecked Sendable {
  /// The type of the elements.
  public let dtype: DType
  /// The number of elements along each axis.
  public let shape: [Int]
  /// In elements; nil: contiguous.
  public let strides: [Int]?

  /// Whether a model may write to the elements.
  public let isWritable: Bool

  // Without an address where the program keeps the elements to itself.
  let memory: UnsafeRawBufferPointer
  // Keeps `memory`; nobody but a model writes to it meanwhile.
  let owner: (any AnyObject & Sendable)?

  /// A copy of `elements`, which must be as many as `shape` says.
  public init<T: TensorElement>(
    _ elements: [T], shape: [Int]
  ) throws(PeftError) {
    let count = try TensorLayout.count(of: shape)
    guard count == elements.count else {
      throw .argument(
        "\(elements.count) elements for the shape \(shape), which has \(count)")
    }
    let copy = OwnedMemory(elements)
    (dtype, self.shape, strides) = (T.dtype, shape, nil)
    memory = UnsafeRawBufferPointer(copy.bytes)
    owner = copy
    isWritable = true
  }

  /// Memory that is used where it is. `owner` keeps it alive and unchanged; it
  /// is let go of when the last copy of this tensor, and each model that was
  /// made with it and ``Layer/copyWeights`` false, is gone.
  public init(
    unsafeBytes memory: UnsafeRawBufferPointer, dtype: DType, shape: [Int],
    strides: [Int]? = nil, owner: any AnyObject & Sendable
  ) throws(PeftError) {
    try self.init(
      memory, isWritable: false, dtype: dtype, shape: shape, strides: strides,
      owner: owner)
  }

  /// The same for memory that a model may write to: ``Layer/writableWeights``.
  public init(
    unsafeMutableBytes memory: UnsafeMutableRawBufferPointer, dtype: DType,
    shape: [Int], owner: any AnyObject & Sendable
  ) throws(PeftError) {
    try self.init(
      UnsafeRawBufferPointer(memory), isWritable: true, dtype: dtype,
      shape: shape, strides: nil, owner: owner)
  }

  /// A weight whose elements the program keeps to itself.
  public init(withoutElements shape: [Int], dtype: DType) {
    self.dtype = dtype
    self.shape = shape
    strides = nil
    isWritable = false
    memory = UnsafeRawBufferPointer(start: nil, count: 0)
    owner = nil
  }

  private init(
    _ memory: UnsafeRawBufferPointer, isWritable: Bool, dtype: DType,
    shape: [Int], strides: [Int]?, owner: any AnyObject & Sendable
  ) throws(PeftError) {
    let layout = try TensorLayout(dtype: dtype, shape: shape, strides: strides)
    guard layout.byteCount <= memory.count else {
      throw .argument(
        "\(memory.count) bytes for the shape \(shape), which takes "
          + "\(layout.byteCount)")
    }
    self.dtype = dtype
    self.shape = shape
    self.strides = strides
    self.isWritable = isWritable
    self.memory = UnsafeRawBufferPointer(rebasing: memory[..<layout.byteCount])
    self.owner = owner
  }

  /// Lends a view of the elements. Fails where there are none.
  public func withView<R>(
    _ body: (borrowing TensorView) throws(PeftError) -> R
  ) throws(PeftError) -> R {
    defer { withExtendedLifetime(owner) {} }
    return try withTensorView(
      unsafeBytes: memory, dtype: dtype, shape: shape, strides: strides, body)
  }

  /// The view in memory of `arena`, for arrays of structs. The tensor must
  /// outlive the arena.
  func cView(_ arena: inout Arena) -> UnsafePointer<peft_tensor_view_t>? {
    var view = peft_tensor_view_t()
    peft_tensor_view_init(&view, MemoryLayout<peft_tensor_view_t>.stride)
    view.data = memory.baseAddress
    view.dtype = dtype.rawValue
    view.rank = Int32(shape.count)
    view.sizes = arena.int64s(shape)
    view.strides = strides.flatMap { arena.int64s($0) }
    return arena.values([view])
  }
}

/// Memory that goes with its last user.
private final class OwnedMemory: @unchecked Sendable {
  let bytes: UnsafeMutableRawBufferPointer

  init<T: TensorElement>(_ elements: [T]) {
    bytes = .allocate(
      byteCount: elements.count * MemoryLayout<T>.stride, alignment: 64)
    elements.withUnsafeBytes { bytes.copyMemory(from: $0) }
  }

  deinit { bytes.deallocate() }
}
