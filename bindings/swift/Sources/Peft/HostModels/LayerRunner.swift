import CPeft

extension Model {
  /// The number of layer `name`, or of matrix `expert` of a parameter with
  /// experts: for a ``LayerRunner`` and ``lowerLayer(_:activation:)``, as long
  /// as the model lives.
  public func findLayer(
    _ name: String, expert: Int? = nil
  ) throws(PeftError) -> Int {
    var layer: Int64 = 0
    try check(
      withText(name) { name in
        use { peft_model_find_layer($0, name, Int64(expert ?? -1), &layer) }
      })
    return Int(layer)
  }
}

/// Workspace in which layers of a model run, for a program's own forward.
///
/// One call at a time, so it is not Sendable: one for each task. Once calls of
/// a shape have been made, further ones take no memory from the heap, unless
/// they name adapters.
public final class LayerRunner: HandleOwner {
  let handle: OpaquePointer
  private let resources: Resources

  /// A runner of the layers of `model`.
  public init(_ model: Model) throws(PeftError) {
    resources = model.resources
    handle = try make { out in
      model.use { peft_layer_runner_create($0, out) }
    }
  }

  /// A runner on a CUDA device, with the device's primary context: it runs
  /// layers in the device's memory, by calls with a ``CudaView``.
  ///
  /// Linear layers, Conv1D, MultiheadAttention's in_proj and parameters run.
  /// Fails with ``ErrorID/cudaDriver`` or ``ErrorID/cublaslt`` where the driver,
  /// cuBLASLt or code for the device is missing or too old.
  public init(
    _ model: Model, onCuda options: CudaOptions
  ) throws(PeftError) {
    var arena = Arena()
    defer { arena.free() }
    var c = try options.c(&arena)
    resources = model.resources
    handle = try make { out in
      model.use { peft_layer_runner_create_cuda($0, &c, out) }
    }
  }

  deinit {
    peft_layer_runner_free(handle)
    withExtendedLifetime(resources) {}
  }

  /// Writes what ``Model/runLayer(_:_:options:)`` computes to `y`, which has
  /// the result's shape and is F32, BF16 or F16. Rows of `x` and `y` may lie
  /// apart, their elements may not; a convolution's are contiguous. They must
  /// not overlap. After a failure `y` is as it was, but for
  /// ``ErrorID/threadPool``.
  public func run(
    _ layer: Int, _ x: borrowing TensorView,
    into y: borrowing MutableTensorView,
    options: RunLayerOptions = RunLayerOptions()
  ) throws(PeftError) {
    try call(peft_layer_runner_run, layer, x.view, y.view, options)
  }

  /// Adds to `y`, which holds what the program itself computed from `x` with
  /// the layer's own weight and bias, what adapters add to it. Reads no weight.
  /// Fails with ``ErrorID/layerNoDelta`` where what acts does more than add.
  public func addDelta(
    _ layer: Int, _ x: borrowing TensorView,
    to y: borrowing MutableTensorView,
    options: RunLayerOptions = RunLayerOptions()
  ) throws(PeftError) {
    try call(peft_layer_runner_add_delta, layer, x.view, y.view, options)
  }

  typealias Function = (
    OpaquePointer?, Int64, UnsafePointer<peft_tensor_view_t>?,
    UnsafePointer<peft_run_layer_options_t>?,
    UnsafePointer<peft_tensor_view_t>?
  ) -> Status?

  /// Calls `function`; what the pointers of `x` and `y` lead to outlives it.
  func call(
    _ function: Function, _ layer: Int, _ x: peft_tensor_view_t,
    _ y: peft_tensor_view_t, _ options: RunLayerOptions
  ) throws(PeftError) {
    var arena = Arena()
    defer { arena.free() }
    defer { withExtendedLifetime(options) {} }
    var c = try options.c(&arena)
    var (input, output) = (x, y)
    try run { function($0, Int64(layer), &input, &c, &output) }
  }
}
