/// What happened exactly, in a word that no version renames.
///
/// Ids that this package does not know, as those of a newer library, are kept
/// as they are. Causes and cures of all are in the library's `docs/errors.md`.
public struct ErrorID: RawRepresentable, Hashable, Sendable {
  /// The id, as "ADAPTER_NOT_FOUND".
  public let rawValue: String

  /// The id that is written so.
  public init(rawValue: String) { self.rawValue = rawValue }
}

// Of the C ABI
extension ErrorID {
  /// A null pointer, or a number, flag, constant or count out of its range; the
  /// message names it.
  public static let argument = ErrorID(rawValue: "ARGUMENT")
  /// A handle that is null, freed, of another kind, or none at all; the message
  /// says which.
  public static let handle = ErrorID(rawValue: "HANDLE")
  /// `struct_size` is not that of the struct, or a newer program sets a field
  /// that this library does not know.
  public static let structSize = ErrorID(rawValue: "STRUCT_SIZE")
  /// A text that is null or not UTF-8.
  public static let utf8 = ErrorID(rawValue: "UTF8")
  /// An allocation failed.
  public static let outOfMemory = ErrorID(rawValue: "OUT_OF_MEMORY")
  /// `on_token` asked to stop, or threw an exception.
  public static let cancelled = ErrorID(rawValue: "CANCELLED")
  /// A call on a session that another call is using, as from its own callback.
  public static let sessionBusy = ErrorID(rawValue: "SESSION_BUSY")
  /// A call on a layer runner that another call is using.
  public static let runnerBusy = ErrorID(rawValue: "RUNNER_BUSY")
  /// `peft_set_allocator` was not the first call, or came a second time.
  public static let allocator = ErrorID(rawValue: "ALLOCATOR")
  /// The program's `parallel_for` failed, or left pieces out; what it did not
  /// do was done.
  public static let threadPool = ErrorID(rawValue: "THREAD_POOL")
  /// Something that this version cannot do and that has no id of its own.
  public static let unimplemented = ErrorID(rawValue: "UNIMPLEMENTED")
  /// A defect of the library.
  public static let internalError = ErrorID(rawValue: "INTERNAL")
}

// Files
extension ErrorID {
  /// No such file or folder; the message has the whole path.
  public static let fileNotFound = ErrorID(rawValue: "FILE_NOT_FOUND")
  /// A file that cannot be read to its end, or is a folder or device.
  public static let fileRead = ErrorID(rawValue: "FILE_READ")
  /// A file could not be written; what was there is unchanged.
  public static let fileWrite = ErrorID(rawValue: "FILE_WRITE")
  /// Something is at the path where an adapter is to be saved.
  public static let fileExists = ErrorID(rawValue: "FILE_EXISTS")
  /// A config or header larger than its limit.
  public static let fileTooLarge = ErrorID(rawValue: "FILE_TOO_LARGE")
  /// A name inside of a file or a subfolder leads out of its folder (`..`, an
  /// absolute path).
  public static let pathEscapes = ErrorID(rawValue: "PATH_ESCAPES")
  /// A config that is not JSON, has a key twice, or nests too deep; the message
  /// has line and column.
  public static let json = ErrorID(rawValue: "JSON")
  /// A safetensors file that breaks a rule of the format, as a truncated one
  /// does.
  public static let safetensors = ErrorID(rawValue: "SAFETENSORS")
  /// A `.bin` that is no file of `torch.save`, or a damaged one.
  public static let torchFile = ErrorID(rawValue: "TORCH_FILE")
  /// A `.bin` that holds more than tensors; the message names what would have
  /// been run.
  public static let pickleRefused = ErrorID(rawValue: "PICKLE_REFUSED")
}

// Adapters
extension ErrorID {
  /// A value of `adapter_config.json` that is wrong; the subject is its key.
  public static let adapterConfig = ErrorID(rawValue: "ADAPTER_CONFIG")
  /// A key with a value that this version does not know, and that might change
  /// the numbers.
  public static let adapterConfigUnknownKey = ErrorID(
    rawValue: "ADAPTER_CONFIG_UNKNOWN_KEY")
  /// A `peft_type` that cannot run yet.
  public static let adapterMethodUnsupported = ErrorID(
    rawValue: "ADAPTER_METHOD_UNSUPPORTED")
  /// A known key that changes the numbers, and that is not implemented yet; an
  /// init that changed the base and cannot be computed again.
  public static let adapterFeatureUnsupported = ErrorID(
    rawValue: "ADAPTER_FEATURE_UNSUPPORTED")
  /// No adapter of that name, or none is active; the message lists the names,
  /// and says which were evicted under the limit.
  public static let adapterNotFound = ErrorID(rawValue: "ADAPTER_NOT_FOUND")
  /// The name is taken.
  public static let adapterExists = ErrorID(rawValue: "ADAPTER_EXISTS")
  /// An adapter does not fit the limit of the model, and nothing that may go
  /// makes room; the message has both numbers.
  public static let adapterLimit = ErrorID(rawValue: "ADAPTER_LIMIT")
  /// A replace that expects another generation than the one that is loaded.
  public static let adapterGeneration = ErrorID(rawValue: "ADAPTER_GENERATION")
  /// A name that cannot be used.
  public static let adapterName = ErrorID(rawValue: "ADAPTER_NAME")
  /// Adapters that cannot act together, as when both replace one module.
  public static let adapterConflict = ErrorID(rawValue: "ADAPTER_CONFLICT")
  /// A scale for an adapter that does not only add.
  public static let adapterScale = ErrorID(rawValue: "ADAPTER_SCALE")
  /// What the adapter does is no change of weights (`alora_invocation_tokens`;
  /// LoRA on a convolution with groups), or the weights it changes cannot be
  /// written.
  public static let adapterNotMergeable = ErrorID(
    rawValue: "ADAPTER_NOT_MERGEABLE")
  /// Adapters that `add_weighted_adapter` cannot combine in this way; the
  /// message says why.
  public static let adapterNotCombinable = ErrorID(
    rawValue: "ADAPTER_NOT_COMBINABLE")
  /// Not while this adapter, or any, is merged into the weights.
  public static let merged = ErrorID(rawValue: "MERGED")
  /// With `safe_merge`, a merged weight would be NaN or infinite.
  public static let mergeNotFinite = ErrorID(rawValue: "MERGE_NOT_FINITE")
  /// The tensors of a file cannot be told apart, as when two names mean the
  /// same.
  public static let adapterTensors = ErrorID(rawValue: "ADAPTER_TENSORS")
  /// The adapter was saved here for a base whose weights are others than this
  /// model's; see [c-api.md](c-api.md).
  public static let baseMismatch = ErrorID(rawValue: "BASE_MISMATCH")
  /// An adapter's `layer_replication` is not that of the model, two adapters'
  /// differ, or it names layers that the base does not have.
  public static let layerReplication = ErrorID(rawValue: "LAYER_REPLICATION")
  /// `target_modules` fits no module of this base model.
  public static let noTargetMatched = ErrorID(rawValue: "NO_TARGET_MATCHED")
  /// A pattern of the config that is no regular expression, or uses what is not
  /// translated.
  public static let regex = ErrorID(rawValue: "REGEX")
  /// A tensor that the config asks for is not in the file, or a state dict has
  /// no tensor of that name.
  public static let tensorMissing = ErrorID(rawValue: "TENSOR_MISSING")
  /// A tensor of the file that nothing uses.
  public static let tensorUnexpected = ErrorID(rawValue: "TENSOR_UNEXPECTED")
  /// A tensor of another shape than its layer needs.
  public static let tensorShapeMismatch = ErrorID(
    rawValue: "TENSOR_SHAPE_MISMATCH")
  /// Elements of a type that cannot be used there.
  public static let tensorDtype = ErrorID(rawValue: "TENSOR_DTYPE")
}

// Base models and sessions
extension ErrorID {
  /// A value of `config.json` that is missing or wrong; the subject is its key.
  public static let modelConfig = ErrorID(rawValue: "MODEL_CONFIG")
  /// A family, rope type, activation or quantization that does not run yet.
  public static let modelUnsupported = ErrorID(rawValue: "MODEL_UNSUPPORTED")
  /// Shards that are missing or contradict their index.
  public static let modelWeights = ErrorID(rawValue: "MODEL_WEIGHTS")
  /// A session of a model that was made of a program's own layers.
  public static let modelNotRunnable = ErrorID(rawValue: "MODEL_NOT_RUNNABLE")
  /// No layer of that name that adapters attach to.
  public static let layerNotFound = ErrorID(rawValue: "LAYER_NOT_FOUND")
  /// A layer that the program registered without its weight is to be run whole.
  public static let layerWeight = ErrorID(rawValue: "LAYER_WEIGHT")
  /// What acts at the layer does more than add to its output; the message says
  /// what.
  public static let layerNoDelta = ErrorID(rawValue: "LAYER_NO_DELTA")
  /// Weights are to be written that a call reads, or read that a call writes.
  public static let modelBusy = ErrorID(rawValue: "MODEL_BUSY")
  /// Weights that are quantised already are to be quantised, or merged into for
  /// a new folder; or they are not and are to be written so.
  public static let modelQuantized = ErrorID(rawValue: "MODEL_QUANTIZED")
  /// An output that the model does not make: logits of a bare model, tokens of
  /// one that is no causal language model, a pooler's output of one without.
  public static let modelTask = ErrorID(rawValue: "MODEL_TASK")
  /// An output that the session's last forward was not asked for.
  public static let outputNotComputed = ErrorID(rawValue: "OUTPUT_NOT_COMPUTED")
  /// More positions than the session's `max_length`, or than the model's own
  /// table of positions.
  public static let sequenceTooLong = ErrorID(rawValue: "SEQUENCE_TOO_LONG")
  /// A token id outside of the vocabulary.
  public static let tokenOutOfRange = ErrorID(rawValue: "TOKEN_OUT_OF_RANGE")
  /// The cache was written under other adapters.
  public static let activationChanged = ErrorID(rawValue: "ACTIVATION_CHANGED")
  /// The model's output is NaN or infinite.
  public static let logitsNotFinite = ErrorID(rawValue: "LOGITS_NOT_FINITE")
}

// The Hub
extension ErrorID {
  /// A text that can be no repository; the message says why.
  public static let hubRepoId = ErrorID(rawValue: "HUB_REPO_ID")
  /// A text that can be no branch, tag, commit or pull request.
  public static let hubRevision = ErrorID(rawValue: "HUB_REVISION")
  /// The cache knows that the repository has no such file at that commit.
  public static let hubEntryNotFound = ErrorID(rawValue: "HUB_ENTRY_NOT_FOUND")
  /// Neither a folder of that name nor the cache has the file, and no request
  /// may be made.
  public static let hubLocalEntryNotFound = ErrorID(
    rawValue: "HUB_LOCAL_ENTRY_NOT_FOUND")
  /// An endpoint, proxy or redirect that is no http or https URL.
  public static let hubUrl = ErrorID(rawValue: "HUB_URL")
  /// No connection, one that broke, or an answer that is not HTTP.
  public static let hubConnect = ErrorID(rawValue: "HUB_CONNECT")
  /// Nothing came for too long, or too little.
  public static let hubTimeout = ErrorID(rawValue: "HUB_TIMEOUT")
  /// A certificate that is not trusted, expired or another host's.
  public static let hubTls = ErrorID(rawValue: "HUB_TLS")
  /// The proxy cannot be reached, or refuses.
  public static let hubProxy = ErrorID(rawValue: "HUB_PROXY")
  /// No such repository, or it is private and the token may not see it.
  public static let hubRepositoryNotFound = ErrorID(
    rawValue: "HUB_REPOSITORY_NOT_FOUND")
  /// Its conditions must be accepted first.
  public static let hubGatedRepo = ErrorID(rawValue: "HUB_GATED_REPO")
  /// The repository is disabled.
  public static let hubDisabledRepo = ErrorID(rawValue: "HUB_DISABLED_REPO")
  /// No such branch, tag or commit.
  public static let hubRevisionNotFound = ErrorID(
    rawValue: "HUB_REVISION_NOT_FOUND")
  /// The token is wrong or expired.
  public static let hubUnauthorized = ErrorID(rawValue: "HUB_UNAUTHORIZED")
  /// Too many requests; the message says how long to wait.
  public static let hubRateLimited = ErrorID(rawValue: "HUB_RATE_LIMITED")
  /// Another status of 400 or above; the message has it and what the server
  /// says.
  public static let hubHttp = ErrorID(rawValue: "HUB_HTTP")
  /// An answer that lacks what the protocol promises, such as a commit or a
  /// size.
  public static let hubResponse = ErrorID(rawValue: "HUB_RESPONSE")
  /// The bytes that came, twice, are not those that the Hub names; none were
  /// kept.
  public static let hubHashMismatch = ErrorID(rawValue: "HUB_HASH_MISMATCH")
  /// A request is needed and `HF_HUB_OFFLINE` or `local_files_only` forbids it.
  public static let hubOffline = ErrorID(rawValue: "HUB_OFFLINE")
  /// No CUDA driver, one that is too old or finds no device, or a library
  /// without CUDA code.
  public static let cudaDriver = ErrorID(rawValue: "CUDA_DRIVER")
  /// A call of the CUDA driver failed.
  public static let cuda = ErrorID(rawValue: "CUDA")
  /// No cuBLASLt, one that is too old, or a call of it failed.
  public static let cublaslt = ErrorID(rawValue: "CUBLASLT")
  /// A file of tuned plans that is damaged, or of another device, library or
  /// settings.
  public static let cudaPlans = ErrorID(rawValue: "CUDA_PLANS")
  /// A captured call that would have to allocate or copy, or a captured graph
  /// that lacks a step which what becomes active needs.
  public static let cudaGraph = ErrorID(rawValue: "CUDA_GRAPH")
  /// More activations than the runner was made for.
  public static let cudaActivations = ErrorID(rawValue: "CUDA_ACTIVATIONS")
}
