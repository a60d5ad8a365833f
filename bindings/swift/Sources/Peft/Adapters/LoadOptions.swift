import CPeft

/// How an adapter is loaded.
public struct LoadOptions: Sendable {
  /// A folder below the adapter's own.
  public var subfolder: String?
  /// Whether missing tensors (they act as zero; for those of saved modules and
  /// trained tokens and biases the base's own stand), unexpected tensors,
  /// unknown config keys and another base than the one that the file was saved
  /// over are lines of the report instead of errors.
  public var lenient = false
  /// Of the Hub. For a local folder it has no effect, which the report notes.
  public var hub = HubOptions()
  /// Whether it is marked as trainable: it is then never evicted.
  public var isTrainable = false
  /// Whether a file is taken whose initialisation changed the base by factors
  /// that neither file nor base tell (pissa_niter_n, corda, loftq, lora_ga) and
  /// that was not converted: it acts on the base as it is.
  public var allowUnconvertedInit = false
  /// Of a replace: the generation that must be there; 0: any.
  public var expectedGeneration: UInt64 = 0
  /// Whether the file of the tensors is mapped instead of copied. Truncating it
  /// then kills the process, and writing to it changes the adapter: for files
  /// that are only ever replaced, as those of the Hub's cache.
  public var mapFile = false

  /// All defaults.
  public init() {}

  /// As strict, or as lenient.
  public init(lenient: Bool) { self.lenient = lenient }

  /// Calls `body` with the options as the library reads them. `resources` keeps
  /// memory of files that is used where it is.
  func with(
    _ resources: Resources? = nil, files: [File] = [],
    _ body: (UnsafePointer<peft_load_options_t>) throws(PeftError) -> Void
  ) throws(PeftError) {
    var arena = Arena()
    defer { arena.free() }
    var c = peft_load_options_t()
    peft_load_options_init(&c, MemoryLayout<peft_load_options_t>.stride)
    c.subfolder = try arena.text(subfolder)
    c.lenient = lenient ? 1 : 0
    c.is_trainable = isTrainable ? 1 : 0
    c.allow_unconverted_init = allowUnconvertedInit ? 1 : 0
    c.expected_generation = expectedGeneration
    c.map_file = mapFile ? 1 : 0
    c.files = try files.c(&arena, resources)
    c.num_files = files.count
    let callbacks = try hub.fill(&c, &arena)
    defer { withExtendedLifetime((callbacks, files)) {} }
    try body(&c)
  }
}
