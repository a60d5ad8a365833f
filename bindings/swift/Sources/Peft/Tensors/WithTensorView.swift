import CPeft

/// Lends a view of `elements`, which must be as many as `shape` says.
///
/// Nothing is copied: this is how activations go to
/// ``Model/runLayer(_:_:options:)``.
public func withTensorView<T: TensorElement, R>(
  of elements: [T], shape: [Int],
  _ body: (borrowing TensorView) throws(PeftError) -> R
) throws(PeftError) -> R {
  try elements.withUnsafeBufferPointer { (buffer) throws(PeftError) -> R in
    try withTensorView(
      unsafeBytes: UnsafeRawBufferPointer(buffer), dtype: T.dtype,
      shape: shape, body)
  }
}

/// The same for elements that a span lends.
public func withTensorView<T: TensorElement, R>(
  of elements: Span<T>, shape: [Int],
  _ body: (borrowing TensorView) throws(PeftError) -> R
) throws(PeftError) -> R {
  try elements.withUnsafeBufferPointer { (buffer) throws(PeftError) -> R in
    try withTensorView(
      unsafeBytes: UnsafeRawBufferPointer(buffer), dtype: T.dtype,
      shape: shape, body)
  }
}

/// Lends a view of memory of any type and layout, which must stay as it is
/// until `body` returns. Strides are counted in elements; nil: contiguous.
/// Fails where `memory` is shorter than they say.
public func withTensorView<R>(
  unsafeBytes memory: UnsafeRawBufferPointer, dtype: DType, shape: [Int],
  strides: [Int]? = nil,
  _ body: (borrowing TensorView) throws(PeftError) -> R
) throws(PeftError) -> R {
  let layout = try TensorLayout(dtype: dtype, shape: shape, strides: strides)
  // Contiguous elements must be as many; strided ones may leave some out.
  let fits =
    strides == nil
    ? layout.byteCount == memory.count : layout.byteCount <= memory.count
  guard fits else {
    throw .argument(
      "\(memory.count) bytes for the shape \(shape), which takes "
        + "\(layout.byteCount)")
  }
  return try withInt64s(shape) { (sizes) throws(PeftError) -> R in
    guard let strides else {
      return try body(makeView(memory, dtype, shape.count, sizes, nil))
    }
    return try withInt64s(strides) { (steps) throws(PeftError) -> R in
      try body(makeView(memory, dtype, shape.count, sizes, steps))
    }
  }
}

private func makeView(
  _ memory: UnsafeRawBufferPointer, _ dtype: DType, _ rank: Int,
  _ sizes: UnsafePointer<Int64>?, _ strides: UnsafePointer<Int64>?
) -> TensorView {
  var view = peft_tensor_view_t()
  peft_tensor_view_init(&view, MemoryLayout<peft_tensor_view_t>.stride)
  view.data = memory.baseAddress
  view.dtype = dtype.rawValue
  view.device_type = DeviceType.cpu.rawValue
  view.device_index = 0
  view.rank = Int32(rank)
  view.sizes = sizes
  view.strides = strides
  return TensorView(view)
}

/// Lends the numbers as the header counts, without memory from the heap.
private func withInt64s<R>(
  _ values: [Int],
  _ body: (UnsafePointer<Int64>?) throws(PeftError) -> R
) throws(PeftError) -> R {
  let result = withUnsafeTemporaryAllocation(
    of: Int64.self, capacity: values.count
  ) { memory -> Result<R, PeftError> in
    for (index, value) in values.enumerated() {
      memory.initializeElement(at: index, to: Int64(value))
    }
    let address = UnsafePointer(memory.baseAddress)
    return Result { () throws(PeftError) -> R in try body(address) }
  }
  return try result.get()
}
