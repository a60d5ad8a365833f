import CPeft

/// How a layer is run.
public struct RunLayerOptions: Sendable {
  /// Which matrix of a parameter with experts; nil: the layer has none. A
  /// ``LayerRunner`` takes none, as its layers say it.
  public var expert: Int?
  /// Which adapters each index along the first axis of the input runs under.
  public var rows: Rows
  /// Of a ``LayerRunner`` on a CUDA device: the stream that the work is put on;
  /// nil: the default stream.
  public var stream: CudaStream?

  /// All defaults.
  public init(
    expert: Int? = nil, rows: Rows = .active, stream: CudaStream? = nil
  ) {
    self.expert = expert
    self.rows = rows
    self.stream = stream
  }

  func c(_ arena: inout Arena) throws(PeftError) -> peft_run_layer_options_t {
    var c = peft_run_layer_options_t()
    peft_run_layer_options_init(
      &c, MemoryLayout<peft_run_layer_options_t>.stride)
    if let expert { c.expert = Int64(expert) }
    try rows.fill(&c, &arena)
    c.stream = stream?.pointer
    return c
  }
}

extension peft_run_layer_options_t: RowFields {}

extension Model {
  /// What layer `name` computes from `x` under the adapters that are active
  /// when the call begins, as its torch module would, in F32.
  ///
  /// `x` is (..., in), F32, BF16 or F16; for a convolution (batch, channels,
  /// ...) or (channels, ...); for an embedding I64 or I32 ids of any shape.
  /// Works on opened models, too, but not for their norms.
  public func runLayer(
    _ name: String, _ x: borrowing TensorView,
    options: RunLayerOptions = RunLayerOptions()
  ) throws(PeftError) -> Tensor {
    var arena = Arena()
    defer { arena.free() }
    defer { withExtendedLifetime(options) {} }
    var c = try options.c(&arena)
    var view = x.view
    var y: OpaquePointer?
    try check(
      withText(name) { name in
        use { peft_model_run_layer($0, name, &view, &c, &y) }
      })
    guard let y else { throw .internalError("no tensor") }
    return Tensor(taking: y)
  }

  /// The same for elements that must be as many as `shape` says.
  public func runLayer<T: TensorElement>(
    _ name: String, _ x: [T], shape: [Int],
    options: RunLayerOptions = RunLayerOptions()
  ) throws(PeftError) -> Tensor {
    try withTensorView(of: x, shape: shape) { (view) throws(PeftError) in
      try runLayer(name, view, options: options)
    }
  }
}
