import CPeft

/// Facts of a loaded adapter.
public struct AdapterInfo: Hashable, Sendable {
  /// The method, as "LORA".
  public let peftType: String
  /// Tells apart what was ever loaded under the name; over 0.
  public let generation: UInt64
  /// The largest rank of a layer; 0 for methods without one.
  public let rank: Int
  /// The elements of its tensors.
  public let numParameters: Int64
  /// The bytes of memory that it takes.
  public let sizeBytes: Int64
  /// The number of layers that it changes.
  public let numSites: Int
  /// What ``Model/setScale(_:_:)`` set; at first 1.
  public let scale: Float
  /// Whether it is among the active ones, also while adapters are disabled.
  public let isActive: Bool
  /// Whether it is never evicted.
  public let isPinned: Bool
  /// Whether it was loaded as trainable, or made by
  /// ``Model/addAdapter(_:configJSON:options:)``.
  public let isTrainable: Bool

  init(_ info: peft_adapter_info_t) {
    peftType = borrowed(info.peft_type)
    generation = info.generation
    rank = Int(info.rank)
    numParameters = info.num_parameters
    sizeBytes = info.size_bytes
    numSites = Int(info.num_sites)
    scale = info.scale
    isActive = info.is_active != 0
    isPinned = info.is_pinned != 0
    isTrainable = info.is_trainable != 0
  }
}

/// How an adapter is saved.
public struct SaveOptions: Sendable {
  /// Whether it replaces the adapter that is at the path; other files in its
  /// folder stay. Else a folder that is not empty is an error.
  public var overwrite: Bool
  /// Of an adapter whose init takes something from the base (pissa, olora and
  /// others): the folder of the adapter as it was before training. What is
  /// written is then a plain LoRA of twice the rank for the base as it was.
  /// `nil`: the adapter as it is.
  public var pathInitialModelForWeightConversion: String?

  /// All defaults.
  public init(
    overwrite: Bool = false,
    pathInitialModelForWeightConversion: String? = nil
  ) {
    self.overwrite = overwrite
    self.pathInitialModelForWeightConversion =
      pathInitialModelForWeightConversion
  }
}

// MARK: - Facts of adapters. A name that is nil means the first active one.

extension Model {
  /// The facts of adapter `name`.
  public func adapterInfo(
    _ name: String? = nil
  ) throws(PeftError) -> AdapterInfo {
    var info = peft_adapter_info_t()
    info.struct_size = MemoryLayout<peft_adapter_info_t>.stride
    try check(
      withText(name) { name in
        use { peft_model_get_adapter_info($0, name, &info) }
      })
    return AdapterInfo(info)
  }

  /// The tensors of adapter `name` under the names that get_adapter_state_dict
  /// gives them in Python.
  public func adapterStateDict(
    _ name: String? = nil
  ) throws(PeftError) -> StateDict {
    var arena = Arena()
    defer { arena.free() }
    let name = try arena.text(name)
    return StateDict(
      taking: try make { out in
        use { peft_model_get_adapter_state_dict($0, name, out) }
      }, resources)
  }

  /// The folder that adapter `name` was loaded from, that in the cache for one
  /// of the Hub, "" for one that came from memory.
  public func adapterSource(
    _ name: String? = nil
  ) throws(PeftError) -> String {
    var arena = Arena()
    defer { arena.free() }
    let name = try arena.text(name)
    return try makeText { out in
      use { peft_model_get_adapter_source($0, name, out) }
    }
  }

  /// The adapter_config.json that ``saveAdapter(_:to:options:)`` writes.
  public func adapterConfig(
    _ name: String? = nil
  ) throws(PeftError) -> String {
    var arena = Arena()
    defer { arena.free() }
    let name = try arena.text(name)
    return try makeText { out in
      use { peft_model_get_adapter_config($0, name, out) }
    }
  }

  /// Writes adapter `name` as the folder `path`, which Python PEFT loads to the
  /// same tensors. The folder appears whole or not at all; its parent must
  /// exist.
  public func saveAdapter(
    _ name: String? = nil, to path: String,
    options: SaveOptions = SaveOptions()
  ) throws(PeftError) {
    var arena = Arena()
    defer { arena.free() }
    let (name, path) = (try arena.text(name), try arena.text(path))
    var c = peft_save_options_t()
    peft_save_options_init(&c, MemoryLayout<peft_save_options_t>.stride)
    c.overwrite = options.overwrite ? 1 : 0
    c.path_initial_model_for_weight_conversion =
      try arena.text(options.pathInitialModelForWeightConversion)
    try run { peft_model_save_adapter($0, name, path, &c) }
  }
}
