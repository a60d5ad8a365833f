package peft

// Ids of errors, for errors.Is. docs/errors.md has the cures.
const (
	// -- Of the C ABI

	// ErrArgument: a null pointer, or a number, flag, constant or count out of
	// its range; the message names it.
	ErrArgument ID = "ARGUMENT"
	// ErrHandle: a handle that is null, freed, of another kind, or none at all;
	// the message says which.
	ErrHandle ID = "HANDLE"
	// ErrStructSize: struct_size is not that of the struct, or a newer program
	// sets a field that this library does not know.
	ErrStructSize ID = "STRUCT_SIZE"
	// ErrUTF8: a text that is null or not UTF-8.
	ErrUTF8 ID = "UTF8"
	// ErrOutOfMemory: an allocation failed.
	ErrOutOfMemory ID = "OUT_OF_MEMORY"
	// ErrCancelled: on_token asked to stop, or threw an exception.
	ErrCancelled ID = "CANCELLED"
	// ErrSessionBusy: a call on a session that another call is using, as from
	// its own callback.
	ErrSessionBusy ID = "SESSION_BUSY"
	// ErrRunnerBusy: a call on a layer runner that another call is using.
	ErrRunnerBusy ID = "RUNNER_BUSY"
	// ErrAllocator: peft_set_allocator was not the first call, or came a second
	// time.
	ErrAllocator ID = "ALLOCATOR"
	// ErrThreadPool: the program's parallel_for failed, or left pieces out; what
	// it did not do was done.
	ErrThreadPool ID = "THREAD_POOL"
	// ErrUnimplemented: something that this version cannot do and that has no id
	// of its own.
	ErrUnimplemented ID = "UNIMPLEMENTED"
	// ErrInternal: a defect of the library.
	ErrInternal ID = "INTERNAL"

	// -- Files

	// ErrFileNotFound: no such file or folder; the message has the whole path.
	ErrFileNotFound ID = "FILE_NOT_FOUND"
	// ErrFileRead: a file that cannot be read to its end, or is a folder or
	// device.
	ErrFileRead ID = "FILE_READ"
	// ErrFileWrite: a file could not be written; what was there is unchanged.
	ErrFileWrite ID = "FILE_WRITE"
	// ErrFileExists: something is at the path where an adapter is to be saved.
	ErrFileExists ID = "FILE_EXISTS"
	// ErrFileTooLarge: a config or header larger than its limit.
	ErrFileTooLarge ID = "FILE_TOO_LARGE"
	// ErrPathEscapes: a name inside of a file or a subfolder leads out of its
	// folder (.., an absolute path).
	ErrPathEscapes ID = "PATH_ESCAPES"
	// ErrJSON: a config that is not JSON, has a key twice, or nests too deep;
	// the message has line and column.
	ErrJSON ID = "JSON"
	// ErrSafetensors: a safetensors file that breaks a rule of the format, as a
	// truncated one does.
	ErrSafetensors ID = "SAFETENSORS"
	// ErrTorchFile: a .bin that is no file of torch.save, or a damaged one.
	ErrTorchFile ID = "TORCH_FILE"
	// ErrPickleRefused: a .bin that holds more than tensors; the message names
	// what would have been run.
	ErrPickleRefused ID = "PICKLE_REFUSED"

	// -- Adapters

	// ErrAdapterConfig: a value of adapter_config.json that is wrong; the
	// subject is its key.
	ErrAdapterConfig ID = "ADAPTER_CONFIG"
	// ErrAdapterConfigUnknownKey: a key with a value that this version does not
	// know, and that might change the numbers.
	ErrAdapterConfigUnknownKey ID = "ADAPTER_CONFIG_UNKNOWN_KEY"
	// ErrAdapterMethodUnsupported: a peft_type that cannot run yet.
	ErrAdapterMethodUnsupported ID = "ADAPTER_METHOD_UNSUPPORTED"
	// ErrAdapterFeatureUnsupported: a known key that changes the numbers, and
	// that is not implemented yet; an init that changed the base and cannot be
	// computed again.
	ErrAdapterFeatureUnsupported ID = "ADAPTER_FEATURE_UNSUPPORTED"
	// ErrAdapterNotFound: no adapter of that name, or none is active; the
	// message lists the names, and says which were evicted under the limit.
	ErrAdapterNotFound ID = "ADAPTER_NOT_FOUND"
	// ErrAdapterExists: the name is taken.
	ErrAdapterExists ID = "ADAPTER_EXISTS"
	// ErrAdapterLimit: an adapter does not fit the limit of the model, and
	// nothing that may go makes room; the message has both numbers.
	ErrAdapterLimit ID = "ADAPTER_LIMIT"
	// ErrAdapterGeneration: a replace that expects another generation than the
	// one that is loaded.
	ErrAdapterGeneration ID = "ADAPTER_GENERATION"
	// ErrAdapterName: a name that cannot be used.
	ErrAdapterName ID = "ADAPTER_NAME"
	// ErrAdapterConflict: adapters that cannot act together, as when both
	// replace one module.
	ErrAdapterConflict ID = "ADAPTER_CONFLICT"
	// ErrAdapterScale: a scale for an adapter that does not only add.
	ErrAdapterScale ID = "ADAPTER_SCALE"
	// ErrAdapterNotMergeable: what the adapter does is no change of weights
	// (alora_invocation_tokens; LoRA on a convolution with groups), or the
	// weights it changes cannot be written.
	ErrAdapterNotMergeable ID = "ADAPTER_NOT_MERGEABLE"
	// ErrAdapterNotCombinable: adapters that add_weighted_adapter cannot combine
	// in this way; the message says why.
	ErrAdapterNotCombinable ID = "ADAPTER_NOT_COMBINABLE"
	// ErrMerged: not while this adapter, or any, is merged into the weights.
	ErrMerged ID = "MERGED"
	// ErrMergeNotFinite: with safe_merge, a merged weight would be NaN or
	// infinite.
	ErrMergeNotFinite ID = "MERGE_NOT_FINITE"
	// ErrAdapterTensors: the tensors of a file cannot be told apart, as when two
	// names mean the same.
	ErrAdapterTensors ID = "ADAPTER_TENSORS"
	// ErrBaseMismatch: the adapter was saved here for a base whose weights are
	// others than this model's; see [c-api.md](c-api.md).
	ErrBaseMismatch ID = "BASE_MISMATCH"
	// ErrLayerReplication: an adapter's layer_replication is not that of the
	// model, two adapters' differ, or it names layers that the base does not
	// have.
	ErrLayerReplication ID = "LAYER_REPLICATION"
	// ErrNoTargetMatched: target_modules fits no module of this base model.
	ErrNoTargetMatched ID = "NO_TARGET_MATCHED"
	// ErrRegex: a pattern of the config that is no regular expression, or uses
	// what is not translated.
	ErrRegex ID = "REGEX"
	// ErrTensorMissing: a tensor that the config asks for is not in the file, or
	// a state dict has no tensor of that name.
	ErrTensorMissing ID = "TENSOR_MISSING"
	// ErrTensorUnexpected: a tensor of the file that nothing uses.
	ErrTensorUnexpected ID = "TENSOR_UNEXPECTED"
	// ErrTensorShapeMismatch: a tensor of another shape than its layer needs.
	ErrTensorShapeMismatch ID = "TENSOR_SHAPE_MISMATCH"
	// ErrTensorDType: elements of a type that cannot be used there.
	ErrTensorDType ID = "TENSOR_DTYPE"

	// -- Base models and sessions

	// ErrModelConfig: a value of config.json that is missing or wrong; the
	// subject is its key.
	ErrModelConfig ID = "MODEL_CONFIG"
	// ErrModelUnsupported: a family, rope type, activation or quantization that
	// does not run yet.
	ErrModelUnsupported ID = "MODEL_UNSUPPORTED"
	// ErrModelWeights: shards that are missing or contradict their index.
	ErrModelWeights ID = "MODEL_WEIGHTS"
	// ErrModelNotRunnable: a session of a model that was made of a program's own
	// layers.
	ErrModelNotRunnable ID = "MODEL_NOT_RUNNABLE"
	// ErrLayerNotFound: no layer of that name that adapters attach to.
	ErrLayerNotFound ID = "LAYER_NOT_FOUND"
	// ErrLayerWeight: a layer that the program registered without its weight is
	// to be run whole.
	ErrLayerWeight ID = "LAYER_WEIGHT"
	// ErrLayerNoDelta: what acts at the layer does more than add to its output;
	// the message says what.
	ErrLayerNoDelta ID = "LAYER_NO_DELTA"
	// ErrModelBusy: weights are to be written that a call reads, or read that a
	// call writes.
	ErrModelBusy ID = "MODEL_BUSY"
	// ErrModelQuantized: weights that are quantised already are to be quantised,
	// or merged into for a new folder; or they are not and are to be written so.
	ErrModelQuantized ID = "MODEL_QUANTIZED"
	// ErrModelTask: an output that the model does not make: logits of a bare
	// model, tokens of one that is no causal language model, a pooler's output
	// of one without.
	ErrModelTask ID = "MODEL_TASK"
	// ErrOutputNotComputed: an output that the session's last forward was not
	// asked for.
	ErrOutputNotComputed ID = "OUTPUT_NOT_COMPUTED"
	// ErrSequenceTooLong: more positions than the session's max_length, or than
	// the model's own table of positions.
	ErrSequenceTooLong ID = "SEQUENCE_TOO_LONG"
	// ErrTokenOutOfRange: a token id outside of the vocabulary.
	ErrTokenOutOfRange ID = "TOKEN_OUT_OF_RANGE"
	// ErrActivationChanged: the cache was written under other adapters.
	ErrActivationChanged ID = "ACTIVATION_CHANGED"
	// ErrLogitsNotFinite: the model's output is NaN or infinite.
	ErrLogitsNotFinite ID = "LOGITS_NOT_FINITE"

	// -- The Hub

	// ErrHubRepoID: a text that can be no repository; the message says why.
	ErrHubRepoID ID = "HUB_REPO_ID"
	// ErrHubRevision: a text that can be no branch, tag, commit or pull request.
	ErrHubRevision ID = "HUB_REVISION"
	// ErrHubEntryNotFound: the cache knows that the repository has no such file
	// at that commit.
	ErrHubEntryNotFound ID = "HUB_ENTRY_NOT_FOUND"
	// ErrHubLocalEntryNotFound: neither a folder of that name nor the cache has
	// the file, and no request may be made.
	ErrHubLocalEntryNotFound ID = "HUB_LOCAL_ENTRY_NOT_FOUND"
	// ErrHubURL: an endpoint, proxy or redirect that is no http or https URL.
	ErrHubURL ID = "HUB_URL"
	// ErrHubConnect: no connection, one that broke, or an answer that is not
	// HTTP.
	ErrHubConnect ID = "HUB_CONNECT"
	// ErrHubTimeout: nothing came for too long, or too little.
	ErrHubTimeout ID = "HUB_TIMEOUT"
	// ErrHubTLS: a certificate that is not trusted, expired or another host's.
	ErrHubTLS ID = "HUB_TLS"
	// ErrHubProxy: the proxy cannot be reached, or refuses.
	ErrHubProxy ID = "HUB_PROXY"
	// ErrHubRepositoryNotFound: no such repository, or it is private and the
	// token may not see it.
	ErrHubRepositoryNotFound ID = "HUB_REPOSITORY_NOT_FOUND"
	// ErrHubGatedRepo: its conditions must be accepted first.
	ErrHubGatedRepo ID = "HUB_GATED_REPO"
	// ErrHubDisabledRepo: the repository is disabled.
	ErrHubDisabledRepo ID = "HUB_DISABLED_REPO"
	// ErrHubRevisionNotFound: no such branch, tag or commit.
	ErrHubRevisionNotFound ID = "HUB_REVISION_NOT_FOUND"
	// ErrHubUnauthorized: the token is wrong or expired.
	ErrHubUnauthorized ID = "HUB_UNAUTHORIZED"
	// ErrHubRateLimited: too many requests; the message says how long to wait.
	ErrHubRateLimited ID = "HUB_RATE_LIMITED"
	// ErrHubHTTP: another status of 400 or above; the message has it and what
	// the server says.
	ErrHubHTTP ID = "HUB_HTTP"
	// ErrHubResponse: an answer that lacks what the protocol promises, such as a
	// commit or a size.
	ErrHubResponse ID = "HUB_RESPONSE"
	// ErrHubHashMismatch: the bytes that came, twice, are not those that the Hub
	// names; none were kept.
	ErrHubHashMismatch ID = "HUB_HASH_MISMATCH"
	// ErrHubOffline: a request is needed and HF_HUB_OFFLINE or local_files_only
	// forbids it.
	ErrHubOffline ID = "HUB_OFFLINE"
	// ErrCUDADriver: no CUDA driver, one that is too old or finds no device, or
	// a library without CUDA code.
	ErrCUDADriver ID = "CUDA_DRIVER"
	// ErrCUDA: a call of the CUDA driver failed.
	ErrCUDA ID = "CUDA"
	// ErrCuBLASLt: no cuBLASLt, one that is too old, or a call of it failed.
	ErrCuBLASLt ID = "CUBLASLT"
	// ErrCUDAPlans: a file of tuned plans that is damaged, or of another device,
	// library or settings.
	ErrCUDAPlans ID = "CUDA_PLANS"
	// ErrCUDAGraph: a captured call that would have to allocate or copy, or a
	// captured graph that lacks a step which what becomes active needs.
	ErrCUDAGraph ID = "CUDA_GRAPH"
	// ErrCUDAActivations: more activations than the runner was made for.
	ErrCUDAActivations ID = "CUDA_ACTIVATIONS"
)
