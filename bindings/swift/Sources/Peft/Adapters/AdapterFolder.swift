import CPeft

/// What an adapter will take before it is loaded.
public struct AdapterEstimate: Hashable, Sendable {
  /// The bytes of memory once it is loaded, at most.
  public let sizeBytes: Int64
  /// The bytes of the file that holds its tensors.
  public let fileBytes: Int64
  /// The elements of all tensors.
  public let numParameters: Int64
  /// The number of tensors.
  public let numTensors: Int

  init(_ estimate: peft_adapter_estimate_t) {
    sizeBytes = estimate.size_bytes
    fileBytes = estimate.file_bytes
    numParameters = estimate.num_parameters
    numTensors = Int(estimate.num_tensors)
  }
}

/// Adapters that are not loaded: in a folder, or of a Hub id.
public enum AdapterFolder {
  /// The folder that ``Model/loadAdapter(_:as:options:)`` would load `path`
  /// from, the subfolder included, fetched where it is of the Hub.
  public static func fetch(
    _ path: String, options: LoadOptions = LoadOptions()
  ) throws(PeftError) -> String {
    var arena = Arena()
    defer { arena.free() }
    let path = try arena.text(path)
    var folder = ""
    try options.with { (options) throws(PeftError) in
      folder = try makeText { peft_fetch_adapter(path, options, $0) }
    }
    return folder
  }

  /// What the adapter would take, from the index of its tensors alone. Options
  /// of the Hub are those of the environment: others are
  /// ``fetch(_:options:)``'s, which gives a folder.
  public static func estimate(
    _ path: String, subfolder: String? = nil
  ) throws(PeftError) -> AdapterEstimate {
    var arena = Arena()
    defer { arena.free() }
    let path = try arena.text(path)
    let subfolder = try arena.text(subfolder)
    var estimate = peft_adapter_estimate_t()
    estimate.struct_size = MemoryLayout<peft_adapter_estimate_t>.stride
    try check(peft_estimate_adapter(path, subfolder, &estimate))
    return AdapterEstimate(estimate)
  }

  /// The same of an adapter whose folder is these files.
  public static func estimate(
    files: [File]
  ) throws(PeftError) -> AdapterEstimate {
    var arena = Arena()
    defer { arena.free() }
    defer { withExtendedLifetime(files) {} }
    let list = try files.c(&arena, nil)
    var estimate = peft_adapter_estimate_t()
    estimate.struct_size = MemoryLayout<peft_adapter_estimate_t>.stride
    try check(peft_estimate_files(list, files.count, &estimate))
    return AdapterEstimate(estimate)
  }

  /// A JSON object that describes the adapter, of any method, also of those
  /// that cannot run yet. With a model also which of its modules match. The
  /// fields are in the library's `docs/c-api.md`.
  public static func inspect(
    _ path: String, subfolder: String? = nil, model: Model? = nil
  ) throws(PeftError) -> String {
    var arena = Arena()
    defer { arena.free() }
    let path = try arena.text(path)
    let subfolder = try arena.text(subfolder)
    defer { withExtendedLifetime(model) {} }
    return try makeText {
      peft_inspect_adapter(path, subfolder, model?.handle, $0)
    }
  }

  /// The same of an adapter whose folder is these files.
  public static func inspect(
    files: [File], model: Model? = nil
  ) throws(PeftError) -> String {
    var arena = Arena()
    defer { arena.free() }
    defer { withExtendedLifetime((files, model)) {} }
    let list = try files.c(&arena, nil)
    return try makeText {
      peft_inspect_files(list, files.count, model?.handle, $0)
    }
  }
}
