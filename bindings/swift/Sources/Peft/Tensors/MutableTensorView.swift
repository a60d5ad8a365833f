import CPeft

/// Elements in memory that the library writes to.
///
/// As a ``TensorView`` it exists in the closure that it was given to.
public struct MutableTensorView: ~Copyable {
  /// As the library reads it. What its pointers lead to outlives the view.
  let view: peft_tensor_view_t
}

/// Lends a view through which the library writes to `elements`, which must be
/// as many as `shape` says.
public func withMutableTensorView<T: TensorElement, R>(
  of elements: inout [T], shape: [Int],
  _ body: (borrowing MutableTensorView) throws(PeftError) -> R
) throws(PeftError) -> R {
  try elements.withUnsafeMutableBufferPointer {
    (buffer) throws(PeftError) -> R in
    try withMutableTensorView(
      unsafeBytes: UnsafeMutableRawBufferPointer(buffer), dtype: T.dtype,
      shape: shape, body)
  }
}

/// The same for memory of any type and layout, which nobody else may use until
/// `body` returns.
public func withMutableTensorView<R>(
  unsafeBytes memory: UnsafeMutableRawBufferPointer, dtype: DType,
  shape: [Int], strides: [Int]? = nil,
  _ body: (borrowing MutableTensorView) throws(PeftError) -> R
) throws(PeftError) -> R {
  try withTensorView(
    unsafeBytes: UnsafeRawBufferPointer(memory), dtype: dtype, shape: shape,
    strides: strides
  ) { (view) throws(PeftError) in
    try body(MutableTensorView(view: view.view))
  }
}
