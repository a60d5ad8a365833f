import CPeft

/// How a new adapter is made.
public struct AddAdapterOptions: Sendable {
  /// Seeds torch's generator, from which the factors are drawn as
  /// torch.manual_seed and PEFT do.
  public var seed: UInt64

  /// All defaults.
  public init(seed: UInt64 = 0) { self.seed = seed }
}

// MARK: - Loading, making and deleting adapters

extension Model {
  /// Loads the PEFT folder, or the Hub id, `path` under `name` (nil: "default")
  /// and makes it the only active adapter.
  ///
  /// Strict: whatever would make the result differ from Python's is an error
  /// that names it, and the model is then unchanged. Running forwards are not
  /// disturbed.
  @discardableResult
  public func loadAdapter(
    _ path: String, as name: String? = nil,
    options: LoadOptions = LoadOptions()
  ) throws(PeftError) -> LoadReport {
    var arena = Arena()
    defer { arena.free() }
    let (name, path) = (try arena.text(name), try arena.text(path))
    return try report(options) { model, options, report in
      peft_model_load_adapter(model, name, path, options, report)
    }
  }

  /// The same for an adapter whose folder is these files, wherever they are.
  /// Options that say where an adapter comes from are refused.
  @discardableResult
  public func loadAdapter(
    files: [File], as name: String? = nil, options: LoadOptions = LoadOptions()
  ) throws(PeftError) -> LoadReport {
    var arena = Arena()
    defer { arena.free() }
    let name = try arena.text(name)
    return try report(options, files: files) { model, options, report in
      peft_model_load_adapter(model, name, nil, options, report)
    }
  }

  /// The same from the text of an adapter_config.json and the tensors that
  /// would lie beside it. Options that say where an adapter comes from are
  /// refused. The tensors are shared; the state dict may be changed afterwards.
  @discardableResult
  public func loadAdapter(
    configJSON: String, stateDict: StateDict, as name: String? = nil,
    options: LoadOptions = LoadOptions()
  ) throws(PeftError) -> LoadReport {
    var arena = Arena()
    defer { arena.free() }
    let (name, config) = (try arena.text(name), try arena.text(configJSON))
    defer { withExtendedLifetime(stateDict) {} }
    // The tensors are shared with whoever gave them.
    resources.keep(stateDict.resources)
    return try report(options) { model, options, report in
      peft_model_load_adapter_from_memory(
        model, name, config, stateDict.handle, options, report)
    }
  }

  /// Puts the adapter in the folder, or of the Hub id, `path` in the place of
  /// adapter `name`: under its name, among the active ones where it is one,
  /// with its scales, pinned where it is. Forwards that run, and activations,
  /// keep the old generation.
  @discardableResult
  public func replaceAdapter(
    _ name: String, with path: String, options: LoadOptions = LoadOptions()
  ) throws(PeftError) -> LoadReport {
    var arena = Arena()
    defer { arena.free() }
    let (name, path) = (try arena.text(name), try arena.text(path))
    return try report(options) { model, options, report in
      peft_model_replace_adapter(model, name, path, options, report)
    }
  }

  /// The same with an adapter whose folder is these files.
  @discardableResult
  public func replaceAdapter(
    _ name: String, withFiles files: [File],
    options: LoadOptions = LoadOptions()
  ) throws(PeftError) -> LoadReport {
    var arena = Arena()
    defer { arena.free() }
    let name = try arena.text(name)
    return try report(options, files: files) { model, options, report in
      peft_model_replace_adapter(model, name, nil, options, report)
    }
  }

  /// The same with an adapter from memory.
  @discardableResult
  public func replaceAdapter(
    _ name: String, configJSON: String, stateDict: StateDict,
    options: LoadOptions = LoadOptions()
  ) throws(PeftError) -> LoadReport {
    var arena = Arena()
    defer { arena.free() }
    let (name, config) = (try arena.text(name), try arena.text(configJSON))
    defer { withExtendedLifetime(stateDict) {} }
    // The tensors are shared with whoever gave them.
    resources.keep(stateDict.resources)
    return try report(options) { model, options, report in
      peft_model_replace_adapter_from_memory(
        model, name, config, stateDict.handle, options, report)
    }
  }

  /// Makes a fresh adapter of any method that can be loaded, as get_peft_model
  /// does after torch.manual_seed, and makes it the only active one. It is
  /// trainable. `configJSON` is the text of an adapter_config.json; only
  /// peft_type must be there ("total_step" too for ADALORA).
  public func addAdapter(
    _ name: String? = nil, configJSON: String,
    options: AddAdapterOptions = AddAdapterOptions()
  ) throws(PeftError) {
    var arena = Arena()
    defer { arena.free() }
    let (name, config) = (try arena.text(name), try arena.text(configJSON))
    var c = peft_add_adapter_options_t()
    peft_add_adapter_options_init(
      &c, MemoryLayout<peft_add_adapter_options_t>.stride)
    c.seed = options.seed
    try run { peft_model_add_adapter($0, name, config, &c) }
  }

  /// Deletes these adapters, all or none. Active ones among the others stay
  /// active; forwards that run finish with what they began with.
  public func deleteAdapters(_ names: [String]) throws(PeftError) {
    var arena = Arena()
    defer { arena.free() }
    let list = try arena.texts(names)
    try run { peft_model_delete_adapter($0, list, names.count) }
  }

  /// Deletes one adapter.
  public func deleteAdapter(_ name: String) throws(PeftError) {
    try deleteAdapters([name])
  }

  /// Gives adapter `name` another name. What is active stays so, and
  /// activations keep it.
  public func renameAdapter(
    _ name: String, to newName: String
  ) throws(PeftError) {
    var arena = Arena()
    defer { arena.free() }
    let (old, new) = (try arena.text(name), try arena.text(newName))
    try run { peft_model_rename_adapter($0, old, new) }
  }

  /// The report of the load that `body` does.
  private func report(
    _ options: LoadOptions, files: [File] = [],
    _ body: (
      OpaquePointer, UnsafePointer<peft_load_options_t>,
      UnsafeMutablePointer<OpaquePointer?>
    ) -> Status?
  ) throws(PeftError) -> LoadReport {
    var report: OpaquePointer?
    try options.with(resources, files: files) { (options) throws(PeftError) in
      try run { body($0, options, &report) }
    }
    guard let report else { throw .internalError("no report") }
    return LoadReport(taking: report)
  }
}
