import CPeft

/// What a form of a ``Lowered`` does. p is x W^T, where x is the layer's input,
/// rows of (in), and W its weight, (out, in); then y is p + bias.
public struct FormKind: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// p is computed from x * factor (in) in place of x.
  public static let scaleIn = FormKind(rawValue: PEFT_FORM_SCALE_IN)
  /// p is computed with weight in place of W, in the layout of the layer's own.
  public static let weight = FormKind(rawValue: PEFT_FORM_WEIGHT)
  /// Outputs ids (n) of p are x rows^T, (n, in); of an embedding rows ids of
  /// its table are rows.
  public static let rows = FormKind(rawValue: PEFT_FORM_ROWS)
  /// p = p + scale * ((x a^T) * rankScale) b^T, a (r, in), b (out, r), and
  /// rankScale (r), which may be missing. x is the layer's input itself. With
  /// gate, (n) tokens, for a row's tokens only from where these stand in it
  /// last.
  public static let lowRank = FormKind(rawValue: PEFT_FORM_LOW_RANK)
  /// p = p * factor (out).
  public static let scaleOut = FormKind(rawValue: PEFT_FORM_SCALE_OUT)
  /// The bias is bias (out), whatever the layer's own is; bias is missing where
  /// it has none any more.
  public static let bias = FormKind(rawValue: PEFT_FORM_BIAS)
}

/// A tensor of a form. Contiguous; factor, rankScale and ids are F32 and I64,
/// the others of the element type of the adapter's file, or F32.
public struct FormTensor: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// (r, in).
  public static let a = FormTensor(rawValue: PEFT_FORM_TENSOR_A)
  /// (out, r).
  public static let b = FormTensor(rawValue: PEFT_FORM_TENSOR_B)
  /// (r).
  public static let rankScale = FormTensor(
    rawValue: PEFT_FORM_TENSOR_RANK_SCALE)
  /// Tokens, I64.
  public static let gate = FormTensor(rawValue: PEFT_FORM_TENSOR_GATE)
  /// (in) or (out).
  public static let factor = FormTensor(rawValue: PEFT_FORM_TENSOR_FACTOR)
  /// In the layout of the layer's own.
  public static let weight = FormTensor(rawValue: PEFT_FORM_TENSOR_WEIGHT)
  /// Which outputs, or rows of a table.
  public static let ids = FormTensor(rawValue: PEFT_FORM_TENSOR_IDS)
  /// (n, in).
  public static let rows = FormTensor(rawValue: PEFT_FORM_TENSOR_ROWS)
  /// (out).
  public static let bias = FormTensor(rawValue: PEFT_FORM_TENSOR_BIAS)
}

/// What adapters do at a layer, for a program that runs it itself, as on its
/// own GPU: a list of forms, in the order in which they act. Immutable; keeps
/// the generations that it was made of.
public final class Lowered: @unchecked Sendable, HandleOwner {
  /// One form.
  public struct Form: Hashable, Sendable {
    /// What it does.
    public let kind: FormKind
    /// Of ``FormKind/lowRank``, all scales of the adapter and of the activation
    /// multiplied; else 1.
    public let scale: Float
  }

  let handle: OpaquePointer
  private let resources: Resources

  init(taking handle: OpaquePointer, _ resources: Resources) {
    self.handle = handle
    self.resources = resources
  }

  deinit {
    peft_lowered_free(handle)
    withExtendedLifetime(resources) {}
  }

  /// The number of forms; 0: nothing acts.
  public var count: Int { use { peft_lowered_size($0) } }

  /// Form `index`.
  public func form(_ index: Int) throws(PeftError) -> Form {
    var form = peft_form_t()
    form.struct_size = MemoryLayout<peft_form_t>.stride
    try run { peft_lowered_get_form($0, index, &form) }
    return Form(kind: FormKind(rawValue: form.kind), scale: form.scale)
  }

  /// All forms.
  public func forms() throws(PeftError) -> [Form] {
    var forms: [Form] = []
    for index in 0..<count { forms.append(try form(index)) }
    return forms
  }

  /// Lends a tensor of form `index`. Fails with ``ErrorID/tensorMissing`` where
  /// the form has no such tensor.
  public func withTensor<R>(
    _ index: Int, _ tensor: FormTensor,
    _ body: (borrowing TensorView) throws(PeftError) -> R
  ) throws(PeftError) -> R {
    var view = peft_tensor_view_t()
    view.struct_size = MemoryLayout<peft_tensor_view_t>.stride
    try run { peft_lowered_get_tensor($0, index, tensor.rawValue, &view) }
    defer { withExtendedLifetime(self) {} }
    return try body(TensorView(view))
  }
}

extension Model {
  /// What `activation`, or with nil what is active on the model, does at a
  /// layer of ``findLayer(_:expert:)``. The tensors are the adapters' own, not
  /// copies.
  public func lowerLayer(
    _ layer: Int, activation: Activation? = nil
  ) throws(PeftError) -> Lowered {
    defer { withExtendedLifetime(activation) {} }
    let lowered = try make { out in
      use {
        peft_model_lower_layer($0, Int64(layer), activation?.handle, out)
      }
    }
    return Lowered(taking: lowered, resources)
  }
}
