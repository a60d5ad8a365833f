import CPeft

/// How layers run on a CUDA device.
public struct CudaOptions: Sendable {
  /// CUDA's number of the device.
  public var deviceIndex = 0
  /// Of inputs, outputs and weights: F32, F16 or BF16.
  public var dtype = DType.bf16
  /// Adapters are kept in it on the device: one of the same three.
  public var adapterDtype = DType.bf16
  /// Sums of cuBLASLt are never split, so that results depend on shapes alone.
  public var deterministic = false
  /// Adapters that act together, at most.
  public var maxAdapters = 2
  /// The largest sum of the ranks of adapters that act together at a layer.
  public var maxRank = 64
  /// Different activations that rows of calls may name before one that was used
  /// last must make room: 1 to 1024.
  public var maxActivations = 8
  /// Bytes of device memory for adapters, at least enough for one. They stay
  /// there until others need the room.
  public var adapterBytes = 256 << 20
  /// The driver to open in place of libcuda.so.1.
  public var driverPath: String?
  /// The cuBLASLt to open in place of the one that the dynamic linker finds.
  public var cublasltPath: String?
  /// A file with the machine code of the kernels, for a library that was built
  /// without. It is run: it must be one that you trust.
  public var kernelsPath: String?

  /// All defaults.
  public init() {}

  func c(_ arena: inout Arena) throws(PeftError) -> peft_cuda_options_t {
    var c = peft_cuda_options_t()
    peft_cuda_options_init(&c, MemoryLayout<peft_cuda_options_t>.stride)
    c.device_index = try int32(deviceIndex, "deviceIndex")
    c.dtype = dtype.rawValue
    c.adapter_dtype = adapterDtype.rawValue
    c.deterministic = deterministic ? 1 : 0
    c.max_adapters = try int32(maxAdapters, "maxAdapters")
    c.max_rank = try int32(maxRank, "maxRank")
    c.max_activations = try int32(maxActivations, "maxActivations")
    c.adapter_bytes = Int64(adapterBytes)
    c.driver_path = try arena.text(driverPath)
    c.cublaslt_path = try arena.text(cublasltPath)
    c.kernels_path = try arena.text(kernelsPath)
    return c
  }
}

/// A stream of a CUDA device, which must be there while calls use it.
public struct CudaStream: Hashable, Sendable {
  private let address: UInt

  /// A `CUstream` or `cudaStream_t` of the device's primary context.
  public init(_ stream: OpaquePointer?) {
    address = UInt(bitPattern: stream)
  }

  var pointer: UnsafeMutableRawPointer? {
    UnsafeMutableRawPointer(bitPattern: address)
  }
}

/// A description of elements in the memory of a CUDA device. It owns nothing.
public struct CudaView: Hashable, Sendable {
  /// The `CUdeviceptr` of the first element.
  public let address: UInt64
  /// The type of the elements.
  public let dtype: DType
  /// The number of elements along each axis.
  public let shape: [Int]
  /// From one element to the next along each axis, counted in elements; nil:
  /// contiguous, the last axis fastest.
  public let strides: [Int]?
  /// CUDA's number of the device.
  public let deviceIndex: Int

  /// Nothing here can check that so many elements are at the address: the
  /// calls that take the view say how long they must be.
  public init(
    unsafeAddress address: UInt64, dtype: DType, shape: [Int],
    strides: [Int]? = nil, deviceIndex: Int = 0
  ) {
    self.address = address
    self.dtype = dtype
    self.shape = shape
    self.strides = strides
    self.deviceIndex = deviceIndex
  }

  /// The view with arrays in `arena`.
  func c(_ arena: inout Arena) throws(PeftError) -> peft_tensor_view_t {
    if let strides, strides.count != shape.count {
      throw .argument("\(strides.count) strides for the shape \(shape)")
    }
    var c = peft_tensor_view_t()
    peft_tensor_view_init(&c, MemoryLayout<peft_tensor_view_t>.stride)
    c.data = UnsafeRawPointer(bitPattern: UInt(address))
    c.dtype = dtype.rawValue
    c.device_type = PEFT_DEVICE_CUDA
    c.device_index = try int32(deviceIndex, "deviceIndex")
    c.rank = try int32(shape.count, "the number of axes")
    c.sizes = arena.int64s(shape)
    c.strides = strides.flatMap { arena.int64s($0) }
    return c
  }
}

// MARK: - Runners on CUDA devices

extension LayerRunner {
  /// As ``run(_:_:into:options:)``, in the memory of the runner's device: puts
  /// the work on the stream of `options` and returns without waiting for it.
  ///
  /// `x` and `y` must not overlap, and their memory must be there until the
  /// work has ended. Adapters are copied to the device when they first act
  /// there. A call on another stream than the last waits there for what was put
  /// on that.
  ///
  /// In a CUDA graph: run the same calls once before, uncaptured, or it fails
  /// with ``ErrorID/cudaGraph``. A graph of calls that name no adapters runs
  /// what was active on the model when ``update(on:)`` was last called. Calls
  /// share a workspace: launch graphs on the stream of the other calls, or put
  /// them in order. None may run when the runner is gone. More activations than
  /// the runner was made for are ``ErrorID/cudaActivations``.
  public func run(
    _ layer: Int, _ x: CudaView, into y: CudaView,
    options: RunLayerOptions = RunLayerOptions()
  ) throws(PeftError) {
    try call(peft_layer_runner_run, layer, x, y, options)
  }

  /// As ``addDelta(_:_:to:options:)``, in the memory of the runner's device and
  /// as the other call there. Needs no weight.
  public func addDelta(
    _ layer: Int, _ x: CudaView, to y: CudaView,
    options: RunLayerOptions = RunLayerOptions()
  ) throws(PeftError) {
    try call(peft_layer_runner_add_delta, layer, x, y, options)
  }

  /// Says where `layer` has its weight on the runner's device: (out, in), or
  /// (in, out) for a Conv1D or a transposed parameter, of the options' type,
  /// with any distance between rows. It must be the model's own, where that has
  /// one.
  ///
  /// It is not copied: its memory must not go before the runner, which waits
  /// for its work. ``addDelta(_:_:to:options:)`` does not need it.
  public func setWeight(
    _ layer: Int, _ weight: CudaView
  ) throws(PeftError) {
    var arena = Arena()
    defer { arena.free() }
    var c = try weight.c(&arena)
    try run { peft_layer_runner_set_weight($0, Int64(layer), &c) }
  }

  /// Makes what is active on the model now act in all work that is put on
  /// `stream` afterwards, CUDA graphs that were captured before included; nil:
  /// the default stream.
  ///
  /// Calls that are not captured do this by themselves. Fails with
  /// ``ErrorID/cudaGraph``, and nothing has changed, where a captured graph
  /// lacks a step that it would need.
  public func update(on stream: CudaStream? = nil) throws(PeftError) {
    try run { peft_layer_runner_update($0, stream?.pointer) }
  }

  private func call(
    _ function: Function, _ layer: Int, _ x: CudaView, _ y: CudaView,
    _ options: RunLayerOptions
  ) throws(PeftError) {
    var arena = Arena()
    defer { arena.free() }
    let (input, output) = (try x.c(&arena), try y.c(&arena))
    try call(function, layer, input, output, options)
  }
}
