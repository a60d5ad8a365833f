import CPeft

/// How adapters act together.
public struct SetAdapterOptions: Sendable {
  /// One finite number per name, multiplied with the adapter's own scale; nil:
  /// all 1.
  public var scales: [Float]?

  /// All defaults.
  public init(scales: [Float]? = nil) { self.scales = scales }
}

// MARK: - Choosing adapters

extension Model {
  /// Makes exactly these adapters active, in this order; their effects add up.
  /// With none the base model runs. Does not enable disabled adapters.
  public func setAdapters(
    _ names: [String], options: SetAdapterOptions = SetAdapterOptions()
  ) throws(PeftError) {
    try checkCount(options.scales, of: names.count, "scales")
    var arena = Arena()
    defer { arena.free() }
    let list = try arena.texts(names)
    var c = peft_set_adapter_options_t()
    peft_set_adapter_options_init(
      &c, MemoryLayout<peft_set_adapter_options_t>.stride)
    let status = withAddress(options.scales) { scales in
      c.scales = scales
      return use { peft_model_set_adapter($0, list, names.count, &c) }
    }
    try check(status)
  }

  /// Makes one adapter the only active one.
  public func setAdapter(_ name: String) throws(PeftError) {
    let status = try withText(name) { name in
      withUnsafePointer(to: name) { list in
        use { peft_model_set_adapter($0, list, 1, nil) }
      }
    }
    try check(status)
  }

  /// Makes forwards run the base model, exactly. Which adapters are active is
  /// remembered.
  public func disableAdapters() throws(PeftError) {
    try run { peft_model_disable_adapters($0) }
  }

  /// Undoes ``disableAdapters()``.
  public func enableAdapters() throws(PeftError) {
    try run { peft_model_enable_adapters($0) }
  }

  /// The active adapters in order, also while they are disabled.
  public func activeAdapters() throws(PeftError) -> [String] {
    try makeNames { out in use { peft_model_active_adapters($0, out) } }
  }

  /// All loaded adapters, in load order.
  public func listAdapters() throws(PeftError) -> [String] {
    try makeNames { out in use { peft_model_list_adapters($0, out) } }
  }

  /// Whether an adapter `name` is loaded.
  public func hasAdapter(_ name: String) throws(PeftError) -> Bool {
    var has: Int32 = 0
    try check(
      withText(name) { name in use { peft_model_has_adapter($0, name, &has) } })
    return has != 0
  }

  /// Multiplies all that adapter `name` adds by `scale`, wherever it is active.
  /// The scale of ``setAdapters(_:options:)`` or of an activation comes on top;
  /// activations that exist keep theirs.
  public func setScale(_ name: String, _ scale: Float) throws(PeftError) {
    try check(
      withText(name) { name in use { peft_model_set_scale($0, name, scale) } })
  }

  /// Limits the loaded adapters; 0: no limit. A load that would go over it
  /// evicts the adapters whose last use is longest ago; those that are active,
  /// pinned, trainable or named by an ``Activation`` stay.
  public func setAdapterLimit(
    maxBytes: Int64 = 0, maxAdapters: Int = 0
  ) throws(PeftError) {
    try run { peft_model_set_adapter_limit($0, maxBytes, Int64(maxAdapters)) }
  }

  /// Whether adapter `name` is never evicted.
  public func pinAdapter(
    _ name: String, _ pinned: Bool = true
  ) throws(PeftError) {
    try check(
      withText(name) { name in
        use { peft_model_pin_adapter($0, name, pinned ? 1 : 0) }
      })
  }
}

// MARK: - Activations

/// Adapters with scales that act together on a row, in this order: a small
/// value for a call of its own choice, whatever is active on the model. It
/// keeps the generations that it was made with. Immutable.
public final class Activation: @unchecked Sendable, HandleOwner {
  let handle: OpaquePointer
  private let resources: Resources

  /// Adapters of `model` with as many scales (nil: all 1); with none the base
  /// model.
  public init(
    _ model: Model, _ names: [String], scales: [Float]? = nil
  ) throws(PeftError) {
    try checkCount(scales, of: names.count, "scales")
    var arena = Arena()
    defer { arena.free() }
    let list = try arena.texts(names)
    resources = model.resources
    handle = try make { out in
      withAddress(scales) { scales in
        model.use {
          peft_activation_create($0, list, scales, names.count, out)
        }
      }
    }
  }

  deinit {
    peft_activation_free(handle)
    withExtendedLifetime(resources) {}
  }
}
