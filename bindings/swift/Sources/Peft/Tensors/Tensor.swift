import CPeft

/// A tensor that keeps its memory alive, whatever becomes of what it came from.
/// Immutable.
public final class Tensor: @unchecked Sendable, HandleOwner {
  let handle: OpaquePointer
  // What it uses of the program's own; of a model that gave it.
  private let resources: Resources?

  init(taking handle: OpaquePointer, _ resources: Resources? = nil) {
    self.handle = handle
    self.resources = resources
  }

  deinit {
    peft_tensor_free(handle)
    withExtendedLifetime(resources) {}
  }

  /// Lends a view of the elements.
  public func withView<R>(
    _ body: (borrowing TensorView) throws(PeftError) -> R
  ) throws(PeftError) -> R {
    var view = peft_tensor_view_t()
    view.struct_size = MemoryLayout<peft_tensor_view_t>.stride
    try run { peft_tensor_get_view($0, &view) }
    defer { withExtendedLifetime(self) {} }
    return try body(TensorView(view))
  }

  /// The number of elements along each axis; empty for a scalar.
  public func shape() throws(PeftError) -> [Int] {
    try withView { $0.shape }
  }

  /// The type of the elements.
  public func dtype() throws(PeftError) -> DType {
    try withView { $0.dtype }
  }

  /// A copy of the elements as floats; see ``TensorView/floats()``.
  public func floats() throws(PeftError) -> [Float] {
    try withView { (view) throws(PeftError) in try view.floats() }
  }

  /// A copy of the elements; see ``TensorView/elements(as:)``.
  public func elements<T: TensorElement>(
    as type: T.Type = T.self
  ) throws(PeftError) -> [T] {
    try withView { (view) throws(PeftError) in try view.elements(as: type) }
  }

  /// A `DLManagedTensor` that keeps the memory alive by itself, also when this
  /// tensor is gone. The consumer ends it with its deleter, on any thread; its
  /// memory must not be written to. Fails with ``ErrorID/tensorDtype`` for
  /// element types that DLPack has no code for.
  public func toDLPack() throws(PeftError) -> OpaquePointer {
    var managed: OpaquePointer?
    try run { peft_tensor_to_dlpack($0, &managed) }
    guard let managed else { throw .internalError("no DLManagedTensor") }
    return managed
  }
}
