import CPeft

/// A base model, or a program's own layers, with any number of adapters.
///
/// Thread-safe: it may be used by any number of tasks at the same time.
/// Sessions and activations keep what they need of it.
public final class Model: @unchecked Sendable, HandleOwner {
  let handle: OpaquePointer
  /// What it uses of the program's own; whatever it gives keeps it, too.
  let resources: Resources

  init(taking handle: OpaquePointer, _ resources: Resources) {
    self.handle = handle
    self.resources = resources
  }

  deinit {
    peft_model_free(handle)
    withExtendedLifetime(resources) {}
  }

  /// Opens the model in the Hugging Face folder, or of the Hub id, `path`. It
  /// may be nil where `options` has ``ModelOptions/forAdapters``: the model is
  /// then the one that their configs name.
  public convenience init(
    path: String?, options: ModelOptions = ModelOptions()
  ) throws(PeftError) {
    try self.init(opening: path, files: [], options: options)
  }

  /// Opens a model whose folder is these files, wherever they are. `name` is
  /// what it is called. Of `options` those of the Hub are the adapters'.
  public convenience init(
    files: [File], name: String? = nil, options: ModelOptions = ModelOptions()
  ) throws(PeftError) {
    // No files at all would mean the folder `name`.
    if files.isEmpty { throw .argument("a model of no files") }
    try self.init(opening: name, files: files, options: options)
  }

  private convenience init(
    opening path: String?, files: [File], options: ModelOptions
  ) throws(PeftError) {
    let resources = Resources()
    var model: OpaquePointer?
    try options.with(resources, files: files) { (options) throws(PeftError) in
      try check(withText(path) { peft_model_open($0, options, &model) })
    }
    guard let model else { throw .internalError("no model") }
    self.init(taking: model, resources)
  }

  /// The folder that ``init(path:options:)`` would open, fetched where it is of
  /// the Hub: for a download ahead of time, and for the tokenizer's files.
  public static func fetch(
    _ path: String?, options: ModelOptions = ModelOptions()
  ) throws(PeftError) -> String {
    var folder = ""
    try options.with(Resources()) { (options) throws(PeftError) in
      var arena = Arena()
      defer { arena.free() }
      let path = try arena.text(path)
      folder = try makeText { peft_fetch_model(path, options, $0) }
    }
    return folder
  }

  /// What the model is, as it is now.
  public func info() throws(PeftError) -> ModelInfo {
    var info = peft_model_info_t()
    info.struct_size = MemoryLayout<peft_model_info_t>.stride
    try run { peft_model_get_info($0, &info) }
    // The texts are the model's.
    return withExtendedLifetime(self) { ModelInfo(info) }
  }
}
