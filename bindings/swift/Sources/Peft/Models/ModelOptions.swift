import CPeft

/// How base weights are read.
public struct ReadMode: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Maps the files: nothing is copied. Truncating one then kills the process:
  /// where others may write to the folder, use ``read``.
  public static let map = ReadMode(rawValue: PEFT_READ_MODE_MAP)
  /// Copies them to memory.
  public static let read = ReadMode(rawValue: PEFT_READ_MODE_READ)
}

/// What the weights of a model's linear layers are made to.
public struct WeightFormat: OpenEnum {
  public let rawValue: Int32

  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Nothing: they stay mapped.
  public static let asStored = WeightFormat(
    rawValue: PEFT_WEIGHT_FORMAT_AS_STORED)
  /// 8 bits, and 32 for each 32 weights.
  public static let q8 = WeightFormat(rawValue: PEFT_WEIGHT_FORMAT_Q8)
  /// 4 bits, and 32 for each 32 weights.
  public static let q4 = WeightFormat(rawValue: PEFT_WEIGHT_FORMAT_Q4)
}

/// How a base model is opened.
public struct ModelOptions: Sendable {
  /// How its weights are read.
  public var readMode = ReadMode.map
  /// How many threads a forward uses, the one that calls included; 0: one per
  /// core. Numbers do not depend on it.
  public var numThreads = 0
  /// Replicates layers of the base: the model's layers are those of these
  /// ranges, one after another, so that `[0..<4, 2..<5]` makes seven layers of
  /// five. Empty: the base's layers.
  public var layerReplication: [Range<Int>] = []
  /// Without ``layerReplication``: adapters that the model is opened for,
  /// folders or Hub ids. What their configs say of replication is done.
  public var forAdapters: [String] = []
  /// A folder below the model's own.
  public var subfolder: String?
  /// Of the Hub. The revision is the model's.
  public var hub = HubOptions()
  /// The revision of the adapters of ``forAdapters``.
  public var adapterRevision: String?
  /// The folder below the adapters' own.
  public var adapterSubfolder: String?
  /// Works for the model in place of threads of its own; ``numThreads`` is then
  /// not read.
  public var threadPool: ThreadPool?

  /// Of a model that stores its weights as numbers: those of the linear layers
  /// are quantised while it is opened. Adapters act on what the codes stand for.
  public var weightFormat = WeightFormat.asStored
  /// Whether the head is quantised, too, and the embedding that it is tied to.
  public var quantizeHead = false
  /// The processors, as the system numbers them from 0 on, that the model's own
  /// threads run on; with ``numThreads`` 0 there are as many threads. Empty:
  /// all.
  public var processors: [Int32] = []
  /// The head that the model gets, whatever class config.json names. What the
  /// weight files lack of it is made anew, as transformers makes it, and logged:
  /// it is untrained, until an adapter brings its own. `nil`: what the folder
  /// says.
  public var task: ModelTask?
  /// Of a model that classifies: the number of labels; 0: what config.json says,
  /// else, with a ``task``, what the head of the first of ``forAdapters`` has
  /// that has one, else 2.
  public var numLabels = 0
  /// Of a decoder that classifies sequences: the padding token, by which it finds
  /// the last token of each row. `nil`: config.json's.
  public var padTokenID: Int64?

  /// All defaults.
  public init() {}

  /// For adapters, folders or Hub ids.
  public init(forAdapters: [String]) { self.forAdapters = forAdapters }

  /// Calls `body` with the options as the library reads them. `resources` keeps
  /// what the model uses of the program's own.
  func with(
    _ resources: Resources, files: [File] = [],
    _ body: (UnsafePointer<peft_model_options_t>) throws(PeftError) -> Void
  ) throws(PeftError) {
    var arena = Arena()
    defer { arena.free() }
    var c = peft_model_options_t()
    peft_model_options_init(&c, MemoryLayout<peft_model_options_t>.stride)
    c.read_mode = readMode.rawValue
    c.num_threads = try int32(numThreads, "numThreads")
    c.layer_replication = arena.int64s(
      layerReplication.flatMap { [$0.lowerBound, $0.upperBound] })
    c.num_layer_ranges = layerReplication.count
    c.for_adapters = try arena.texts(forAdapters)
    c.num_for_adapters = forAdapters.count
    c.subfolder = try arena.text(subfolder)
    c.adapter_revision = try arena.text(adapterRevision)
    c.adapter_subfolder = try arena.text(adapterSubfolder)
    if let pool = try threadPool?.c(resources) {
      c.thread_pool = arena.values([pool])
    }
    c.files = try files.c(&arena, resources)
    c.num_files = files.count
    c.weight_format = weightFormat.rawValue
    c.quantize_head = quantizeHead ? 1 : 0
    c.processors = arena.values(processors)
    c.num_processors = processors.count
    c.task = task?.rawValue ?? 0
    c.num_labels = Int64(numLabels)
    if let id = padTokenID { c.pad_token_id = arena.values([id]) }
    let callbacks = try hub.fill(&c, &arena)
    defer { withExtendedLifetime((callbacks, files)) {} }
    try body(&c)
  }
}
