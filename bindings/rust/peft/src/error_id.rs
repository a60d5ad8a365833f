//! The stable ids of errors.

use std::fmt;

macro_rules! error_ids {
    ($($(#[$doc:meta])* $variant:ident = $id:literal,)*) => {
        /// The stable id of an error: what a program decides by. Causes and
        /// cures of each are in `docs/errors.md`.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorId {
            $($(#[$doc])* $variant,)*
            /// An id of a newer library.
            Other(Box<str>),
        }

        impl ErrorId {
            /// The id as `peft_c.h` has it: `"ADAPTER_NOT_FOUND"`.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $id,)*
                    Self::Other(id) => id,
                }
            }
        }

        impl From<&str> for ErrorId {
            fn from(id: &str) -> Self {
                match id {
                    $($id => Self::$variant,)*
                    other => Self::Other(other.into()),
                }
            }
        }
    };
}

error_ids! {
    /// A null pointer, or a number, flag, constant or count out of its range.
    Argument = "ARGUMENT",
    /// A handle that is null, freed, of another kind, or none at all.
    Handle = "HANDLE",
    /// `struct_size` is not that of the struct, or a newer program sets a
    /// field that this library does not know.
    StructSize = "STRUCT_SIZE",
    /// A text that is null or not UTF-8.
    Utf8 = "UTF8",
    /// An allocation failed.
    OutOfMemory = "OUT_OF_MEMORY",
    /// `on_token` asked to stop, or threw an exception.
    Cancelled = "CANCELLED",
    /// A call on a session that another call is using, as from its own
    /// callback.
    SessionBusy = "SESSION_BUSY",
    /// A call on a layer runner that another call is using.
    RunnerBusy = "RUNNER_BUSY",
    /// `set_allocator` was not the first call, or came a second time.
    Allocator = "ALLOCATOR",
    /// The program's `parallel_for` failed, or left pieces out.
    ThreadPool = "THREAD_POOL",
    /// Something that this version cannot do and that has no id of its own.
    Unimplemented = "UNIMPLEMENTED",
    /// A defect of the library.
    Internal = "INTERNAL",
    /// No such file or folder.
    FileNotFound = "FILE_NOT_FOUND",
    /// A file that cannot be read to its end, or is a folder or device.
    FileRead = "FILE_READ",
    /// A file could not be written.
    FileWrite = "FILE_WRITE",
    /// Something is at the path where an adapter is to be saved.
    FileExists = "FILE_EXISTS",
    /// A config or header larger than its limit.
    FileTooLarge = "FILE_TOO_LARGE",
    /// A name inside of a file or a subfolder leads out of its folder (`..`,
    /// an absolute path).
    PathEscapes = "PATH_ESCAPES",
    /// A config that is not JSON, has a key twice, or nests too deep.
    Json = "JSON",
    /// A safetensors file that breaks a rule of the format, as a truncated
    /// one does.
    Safetensors = "SAFETENSORS",
    /// A `.bin` that is no file of `torch.save`, or a damaged one.
    TorchFile = "TORCH_FILE",
    /// A `.bin` that holds more than tensors.
    PickleRefused = "PICKLE_REFUSED",
    /// A value of `adapter_config.json` that is wrong.
    AdapterConfig = "ADAPTER_CONFIG",
    /// A key with a value that this version does not know, and that might
    /// change the numbers.
    AdapterConfigUnknownKey = "ADAPTER_CONFIG_UNKNOWN_KEY",
    /// A `peft_type` that cannot run yet.
    AdapterMethodUnsupported = "ADAPTER_METHOD_UNSUPPORTED",
    /// A known key that changes the numbers, and that is not implemented yet.
    AdapterFeatureUnsupported = "ADAPTER_FEATURE_UNSUPPORTED",
    /// No adapter of that name, or none is active.
    AdapterNotFound = "ADAPTER_NOT_FOUND",
    /// The name is taken.
    AdapterExists = "ADAPTER_EXISTS",
    /// An adapter does not fit the limit of the model, and nothing that may
    /// go makes room.
    AdapterLimit = "ADAPTER_LIMIT",
    /// A replace that expects another generation than the one that is loaded.
    AdapterGeneration = "ADAPTER_GENERATION",
    /// A name that cannot be used.
    AdapterName = "ADAPTER_NAME",
    /// Adapters that cannot act together, as when both replace one module.
    AdapterConflict = "ADAPTER_CONFLICT",
    /// A scale for an adapter that does not only add.
    AdapterScale = "ADAPTER_SCALE",
    /// What the adapter does is no change of weights
    /// (`alora_invocation_tokens`.
    AdapterNotMergeable = "ADAPTER_NOT_MERGEABLE",
    /// Adapters that `add_weighted_adapter` cannot combine in this way.
    AdapterNotCombinable = "ADAPTER_NOT_COMBINABLE",
    /// Not while this adapter, or any, is merged into the weights.
    Merged = "MERGED",
    /// With `safe_merge`, a merged weight would be NaN or infinite.
    MergeNotFinite = "MERGE_NOT_FINITE",
    /// The tensors of a file cannot be told apart, as when two names mean the
    /// same.
    AdapterTensors = "ADAPTER_TENSORS",
    /// The adapter was saved here for a base whose weights are others than
    /// this model's.
    BaseMismatch = "BASE_MISMATCH",
    /// An adapter's `layer_replication` is not that of the model, two
    /// adapters' differ, or it names layers that the base does not have.
    LayerReplication = "LAYER_REPLICATION",
    /// `target_modules` fits no module of this base model.
    NoTargetMatched = "NO_TARGET_MATCHED",
    /// A pattern of the config that is no regular expression, or uses what is
    /// not translated.
    Regex = "REGEX",
    /// A tensor that the config asks for is not in the file, or a state dict
    /// has no tensor of that name.
    TensorMissing = "TENSOR_MISSING",
    /// A tensor of the file that nothing uses.
    TensorUnexpected = "TENSOR_UNEXPECTED",
    /// A tensor of another shape than its layer needs.
    TensorShapeMismatch = "TENSOR_SHAPE_MISMATCH",
    /// Elements of a type that cannot be used there.
    TensorDtype = "TENSOR_DTYPE",
    /// A value of `config.json` that is missing or wrong.
    ModelConfig = "MODEL_CONFIG",
    /// `weight_format` for a model whose weights are quantised already, or
    /// merging into a new folder over a quantised model.
    ModelQuantized = "MODEL_QUANTIZED",
    /// A family, rope type, activation or quantization that does not run yet.
    ModelUnsupported = "MODEL_UNSUPPORTED",
    /// Shards that are missing or contradict their index.
    ModelWeights = "MODEL_WEIGHTS",
    /// A session of a model that was made of a program's own layers.
    ModelNotRunnable = "MODEL_NOT_RUNNABLE",
    /// A layer that the program registered without its weight is to be run
    /// whole.
    LayerWeight = "LAYER_WEIGHT",
    /// What acts at the layer does more than add to its output.
    LayerNoDelta = "LAYER_NO_DELTA",
    /// Weights are to be written that a call reads, or read that a call writes.
    ModelBusy = "MODEL_BUSY",
    /// No layer of that name that adapters attach to.
    LayerNotFound = "LAYER_NOT_FOUND",
    /// An output that the model does not make: logits of a bare model, tokens
    /// of one that is no causal language model, a pooler's output of one
    /// without.
    ModelTask = "MODEL_TASK",
    /// An output that the session's last forward was not asked for.
    OutputNotComputed = "OUTPUT_NOT_COMPUTED",
    /// More positions than the session's `max_length`, or than the model's
    /// own table of positions.
    SequenceTooLong = "SEQUENCE_TOO_LONG",
    /// A token id outside of the vocabulary.
    TokenOutOfRange = "TOKEN_OUT_OF_RANGE",
    /// The cache was written under other adapters.
    ActivationChanged = "ACTIVATION_CHANGED",
    /// The model's output is NaN or infinite.
    LogitsNotFinite = "LOGITS_NOT_FINITE",
    /// A text that can be no repository.
    HubRepoId = "HUB_REPO_ID",
    /// A text that can be no branch, tag, commit or pull request.
    HubRevision = "HUB_REVISION",
    /// The cache knows that the repository has no such file at that commit.
    HubEntryNotFound = "HUB_ENTRY_NOT_FOUND",
    /// Neither a folder of that name nor the cache has the file, and no
    /// request may be made.
    HubLocalEntryNotFound = "HUB_LOCAL_ENTRY_NOT_FOUND",
    /// An endpoint, proxy or redirect that is no http or https URL.
    HubUrl = "HUB_URL",
    /// No connection, one that broke, or an answer that is not HTTP.
    HubConnect = "HUB_CONNECT",
    /// Nothing came for too long, or too little.
    HubTimeout = "HUB_TIMEOUT",
    /// A certificate that is not trusted, expired or another host's.
    HubTls = "HUB_TLS",
    /// The proxy cannot be reached, or refuses.
    HubProxy = "HUB_PROXY",
    /// No such repository, or it is private and the token may not see it.
    HubRepositoryNotFound = "HUB_REPOSITORY_NOT_FOUND",
    /// Its conditions must be accepted first.
    HubGatedRepo = "HUB_GATED_REPO",
    /// The repository is disabled.
    HubDisabledRepo = "HUB_DISABLED_REPO",
    /// No such branch, tag or commit.
    HubRevisionNotFound = "HUB_REVISION_NOT_FOUND",
    /// The token is wrong or expired.
    HubUnauthorized = "HUB_UNAUTHORIZED",
    /// Too many requests.
    HubRateLimited = "HUB_RATE_LIMITED",
    /// Another status of 400 or above.
    HubHttp = "HUB_HTTP",
    /// An answer that lacks what the protocol promises, such as a commit or a
    /// size.
    HubResponse = "HUB_RESPONSE",
    /// The bytes that came, twice, are not those that the Hub names.
    HubHashMismatch = "HUB_HASH_MISMATCH",
    /// A request is needed and `HF_HUB_OFFLINE` or `local_files_only` forbids
    /// it.
    HubOffline = "HUB_OFFLINE",
    /// No CUDA driver, one that is too old or finds no device, or a library
    /// without CUDA code.
    CudaDriver = "CUDA_DRIVER",
    /// A call of the CUDA driver failed.
    Cuda = "CUDA",
    /// No cuBLASLt, one that is too old, or a call of it failed.
    Cublaslt = "CUBLASLT",
    /// A file of tuned plans that is damaged, or of another device, library or
    /// settings.
    CudaPlans = "CUDA_PLANS",
    /// A captured call that would have to allocate or copy, or a captured graph
    /// that lacks a step which what becomes active needs.
    CudaGraph = "CUDA_GRAPH",
    /// More activations than the runner was made for.
    CudaActivations = "CUDA_ACTIVATIONS",
}

impl fmt::Display for ErrorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorId;

    #[test]
    fn ids_go_there_and_back() {
        let id = ErrorId::from("HUB_TLS");
        assert_eq!(id, ErrorId::HubTls);
        assert_eq!(id.to_string(), "HUB_TLS");
    }

    #[test]
    fn an_id_of_a_newer_library_is_kept() {
        let id = ErrorId::from("FROM_THE_FUTURE");
        assert_eq!(id, ErrorId::Other("FROM_THE_FUTURE".into()));
        assert_eq!(id.as_str(), "FROM_THE_FUTURE");
    }
}
