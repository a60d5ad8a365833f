import CPeft

/// What a layer of a host model computes.
public struct LayerKind: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// A module that nothing attaches to: a name.
  public static let other = LayerKind(rawValue: PEFT_LAYER_OTHER)
  /// Weight (out, in).
  public static let linear = LayerKind(rawValue: PEFT_LAYER_LINEAR)
  /// transformers' Conv1D: weight (in, out).
  public static let conv1dHF = LayerKind(rawValue: PEFT_LAYER_CONV1D_HF)
  /// Weight (rows, width); no bias.
  public static let embedding = LayerKind(rawValue: PEFT_LAYER_EMBEDDING)
  /// torch's LayerNorm.
  public static let layerNorm = LayerKind(rawValue: PEFT_LAYER_LAYER_NORM)
  /// torch's RMSNorm.
  public static let rmsNorm = LayerKind(rawValue: PEFT_LAYER_RMS_NORM)
  /// torch's Conv1d, Conv2d or Conv3d: weight (out, in / groups, kernel ...).
  public static let conv = LayerKind(rawValue: PEFT_LAYER_CONV)
  /// torch's MultiheadAttention with equal query, key and value sizes: its
  /// in_proj_weight and in_proj_bias. Its "out_proj" is a linear layer of its
  /// own.
  public static let multiheadAttention = LayerKind(
    rawValue: PEFT_LAYER_MULTIHEAD_ATTENTION)
  /// A parameter that its module multiplies with by itself: a matrix (out, in),
  /// or (experts, out, in).
  public static let parameter = LayerKind(rawValue: PEFT_LAYER_PARAMETER)
}

/// A layer of a host model.
public struct Layer: Sendable {
  /// As torch's named_modules() has it, or named_parameters() for a parameter.
  public var name: String
  /// What it computes.
  public var kind: LayerKind
  /// Whether it is the head that gives logits, which "all-linear" leaves out.
  public var isOutputEmbedding = false
  /// F32, BF16 or F16; nil for ``LayerKind/other``. With
  /// ``HostTensor/init(withoutElements:dtype:)`` the program keeps the elements
  /// to itself: what needs them fails with ``ErrorID/layerWeight``.
  public var weight: HostTensor?
  /// One number per output; nil: none.
  public var bias: HostTensor?
  /// Whether weight and bias are copied. Else their memory is used as it is,
  /// and the model keeps its owners: rows of a weight may lie apart, and so may
  /// the columns of a matrix that is stored by these; all else is contiguous.
  public var copyWeights = true
  /// Of a parameter with experts: whether its matrices are stored (in, out).
  public var isTransposed = false
  /// Of a convolution, for each axis of its kernel in torch's order.
  public var stride = (1, 1, 1)
  /// Of a convolution: zeros before the first element.
  public var padding = (0, 0, 0)
  /// Of a convolution: zeros after the last element; -1: as ``padding``.
  public var paddingEnd = (-1, -1, -1)
  /// Of a convolution.
  public var dilation = (1, 1, 1)
  /// Of a convolution.
  public var groups = 1
  /// Of a norm: what is added under the root.
  public var epsilon = 1e-5
  /// With ``copyWeights`` false, and weights that are
  /// ``HostTensor/isWritable``: merging writes into weight and bias themselves,
  /// and unmerging writes back what was there, bit by bit, so that the
  /// program's own code runs the merged layer. Nobody may read them meanwhile.
  /// A model that goes leaves them merged.
  public var writableWeights = false

  /// A layer with defaults for all else.
  public init(
    _ name: String, _ kind: LayerKind, weight: HostTensor? = nil,
    bias: HostTensor? = nil
  ) {
    self.name = name
    self.kind = kind
    self.weight = weight
    self.bias = bias
  }

  func c(_ arena: inout Arena) throws(PeftError) -> peft_layer_t {
    if writableWeights {
      for tensor in [weight, bias] where tensor?.isWritable == false {
        throw .argument(
          "layer \(name) has writableWeights in memory that is not writable")
      }
    }
    func axes(_ values: (Int, Int, Int)) -> (Int64, Int64, Int64) {
      (Int64(values.0), Int64(values.1), Int64(values.2))
    }
    var c = peft_layer_t()
    peft_layer_init(&c, MemoryLayout<peft_layer_t>.stride)
    c.name = try arena.text(name)
    c.kind = kind.rawValue
    c.is_output_embedding = isOutputEmbedding ? 1 : 0
    c.weight = weight?.cView(&arena)
    c.bias = bias?.cView(&arena)
    c.copy_weights = copyWeights ? 1 : 0
    c.is_transposed = isTransposed ? 1 : 0
    c.stride = axes(stride)
    c.padding = axes(padding)
    c.padding_end = axes(paddingEnd)
    c.dilation = axes(dilation)
    c.groups = Int64(groups)
    c.epsilon = epsilon
    c.writable_weights = writableWeights ? 1 : 0
    return c
  }
}

extension Model {
  /// A model of a program's own layers, for programs that run their own
  /// forward. All verbs for adapters work on it; sessions are refused. The
  /// layers are listed in the order of named_modules(); modules that only hold
  /// others need no entry.
  public convenience init(
    layers: [Layer], options: ModelOptions = ModelOptions()
  ) throws(PeftError) {
    var arena = Arena()
    defer { arena.free() }
    var list: [peft_layer_t] = []
    for layer in layers { list.append(try layer.c(&arena)) }
    let resources = Resources()
    for layer in layers where !layer.copyWeights {
      resources.keep(layer.weight?.owner)
      resources.keep(layer.bias?.owner)
    }
    var model: OpaquePointer?
    defer { withExtendedLifetime(layers) {} }
    try options.with(resources) { (options) throws(PeftError) in
      let status = withAddress(list) {
        peft_model_create($0, list.count, options, &model)
      }
      try check(status)
    }
    guard let model else { throw .internalError("no model") }
    self.init(taking: model, resources)
  }
}
