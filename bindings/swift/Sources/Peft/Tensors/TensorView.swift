import CPeft

/// Elements in memory that somebody else owns.
///
/// A view exists in the closure that it was given to and cannot leave it: it
/// can be neither copied nor stored.
public struct TensorView: ~Copyable {
  /// As the library reads it. What its pointers lead to outlives the view.
  let view: peft_tensor_view_t

  init(_ view: peft_tensor_view_t) { self.view = view }

  /// The type of the elements.
  public var dtype: DType { DType(rawValue: view.dtype) }

  /// Where the memory is.
  public var deviceType: DeviceType { DeviceType(rawValue: view.device_type) }

  /// Which of these devices.
  public var deviceIndex: Int { Int(view.device_index) }

  /// The number of elements along each axis; empty for a scalar.
  public var shape: [Int] { (0..<rank).map { size($0) } }

  /// The number of axes.
  public var rank: Int { Int(view.rank) }

  /// The number of elements.
  public var count: Int {
    (0..<rank).reduce(1) { $0 * size($1) }
  }

  /// From one element to the next along each axis, counted in elements; nil:
  /// contiguous, the last axis fastest.
  public var strides: [Int]? {
    guard let strides = view.strides else { return nil }
    return (0..<rank).map { Int(strides[$0]) }
  }

  /// Whether the elements lie one after another, the last axis fastest.
  public var isContiguous: Bool {
    guard let strides = view.strides else { return true }
    var expected: Int64 = 1
    for axis in (0..<rank).reversed() where size(axis) != 1 {
      if strides[axis] != expected { return count == 0 }
      expected *= view.sizes[axis]
    }
    return true
  }

  /// The number of elements along `axis`, which must be below ``rank``.
  public func size(_ axis: Int) -> Int {
    precondition(axis >= 0 && axis < rank, "no such axis")
    return Int(view.sizes[axis])
  }
}

// MARK: - Reading

extension TensorView {
  /// Lends the bytes. Fails where they do not lie one after another.
  public func withBytes<R>(
    _ body: (RawSpan) throws(PeftError) -> R
  ) throws(PeftError) -> R {
    try body(bytes().bytes)
  }

  /// Lends the elements. Fails where they are of another type, do not lie one
  /// after another, or lie at an address that `T` cannot have, as in some
  /// files: ``elements(as:)`` copies those.
  public func withElements<T: TensorElement, R>(
    as type: T.Type = T.self, _ body: (Span<T>) throws(PeftError) -> R
  ) throws(PeftError) -> R {
    try checkType(type)
    let bytes = try bytes()
    let address = UInt(bitPattern: bytes.baseAddress)
    guard address % UInt(MemoryLayout<T>.alignment) == 0 else {
      throw .argument(
        "the elements are not aligned: copy them by elements(as:)")
    }
    let elements = UnsafeBufferPointer(
      start: bytes.baseAddress?.assumingMemoryBound(to: T.self), count: count)
    return try body(elements.span)
  }

  /// A copy of the elements, the last axis fastest. Fails where they are of
  /// another type.
  public func elements<T: TensorElement>(
    as type: T.Type = T.self
  ) throws(PeftError) -> [T] {
    try checkType(type)
    return copy(T.self)
  }

  /// A copy of the elements as floats, the last axis fastest. Fails where they
  /// are not F32, BF16 or F16.
  public func floats() throws(PeftError) -> [Float] {
    switch dtype {
    case .f32: return copy(Float.self)
    case .bf16:
      return copy { Float($0.loadUnaligned(as: BFloat16.self)) }
    #if !(os(macOS) && arch(x86_64))
      case .f16: return copy { Float($0.loadUnaligned(as: Float16.self)) }
    #endif
    default: throw .elementType("the elements are \(dtype), no floats")
    }
  }

  /// All bytes, one after another.
  private func bytes() throws(PeftError) -> UnsafeRawBufferPointer {
    guard deviceType == .cpu else {
      throw .argument("the tensor is not in the memory of the process")
    }
    guard isContiguous else {
      throw .argument("the tensor is not contiguous: elements(as:) copies it")
    }
    guard let bits = dtype.bits else {
      throw .elementType("\(dtype) is not known: update the package")
    }
    // The address of an empty tensor may be anything.
    return UnsafeRawBufferPointer(
      start: count == 0 ? nil : view.data, count: (count * bits + 7) / 8)
  }

  private func checkType<T: TensorElement>(
    _ type: T.Type
  ) throws(PeftError) {
    guard dtype == T.dtype else {
      throw .elementType("the elements are \(dtype), not \(T.dtype)")
    }
    guard deviceType == .cpu else {
      throw .argument("the tensor is not in the memory of the process")
    }
  }

  /// The elements as they are, the last axis fastest.
  private func copy<T: TensorElement>(_ type: T.Type) -> [T] {
    guard isContiguous, count > 0, let data = view.data else {
      return copy { $0.loadUnaligned(as: T.self) }
    }
    return Array(unsafeUninitializedCapacity: count) { memory, filled in
      UnsafeMutableRawBufferPointer(memory).copyMemory(
        from: UnsafeRawBufferPointer(
          start: data, count: count * MemoryLayout<T>.stride))
      filled = count
    }
  }

  /// What `load` makes of each element, by its address.
  private func copy<T>(_ load: (UnsafeRawPointer) -> T) -> [T] {
    let size = (dtype.bits ?? 0) / 8
    guard count > 0, let data = view.data else { return [] }
    if isContiguous { return (0..<count).map { load(data + $0 * size) } }
    return (0..<count).map { load(data + offset(of: $0) * size) }
  }

  /// Where element `index` of the contiguous order lies, in elements.
  private func offset(of index: Int) -> Int {
    var (rest, offset) = (index, 0)
    for axis in (0..<rank).reversed() {
      offset += rest % size(axis) * Int(view.strides[axis])
      rest /= size(axis)
    }
    return offset
  }
}
