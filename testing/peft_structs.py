"""The structs of peft_c.h for ctypes, in its order."""

import ctypes as C


class Struct(C.Structure):
    """Fills in struct_size."""

    def __init__(self, **fields):
        super().__init__(struct_size=C.sizeof(self), **fields)


# peft_allocate_fn: user_data, size, alignment.
AllocateFn = C.CFUNCTYPE(C.c_void_p, C.c_void_p, C.c_size_t, C.c_size_t)

# peft_deallocate_fn: user_data, data, size, alignment.
DeallocateFn = C.CFUNCTYPE(None, C.c_void_p, C.c_void_p, C.c_size_t,
                           C.c_size_t)


class Allocator(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("user_data", C.c_void_p),
                ("allocate", AllocateFn), ("deallocate", DeallocateFn)]


# peft_piece_fn: piece_data, index.
PieceFn = C.CFUNCTYPE(None, C.c_void_p, C.c_int64)

# peft_parallel_for_fn: user_data, num_pieces, piece, piece_data.
ParallelForFn = C.CFUNCTYPE(C.c_int32, C.c_void_p, C.c_int64, PieceFn,
                            C.c_void_p)


class ThreadPool(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("user_data", C.c_void_p),
                ("parallel_for", ParallelForFn), ("num_threads", C.c_int32)]


# peft_read_fn: user_data, offset, buffer, size.
ReadFn = C.CFUNCTYPE(C.c_int64, C.c_void_p, C.c_int64, C.c_void_p, C.c_int64)


class File(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("name", C.c_char_p),
                ("kind", C.c_int32), ("fd", C.c_int32), ("offset", C.c_int64),
                ("size", C.c_int64), ("data", C.c_void_p),
                ("copy_data", C.c_int32), ("read", ReadFn),
                ("user_data", C.c_void_p)]


# peft_download_fn: user_data, bytes, total_bytes, files, total_files.
DownloadFn = C.CFUNCTYPE(C.c_int32, C.c_void_p, C.c_int64, C.c_int64,
                         C.c_int64, C.c_int64)


class HttpRequest(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("method", C.c_char_p),
                ("url", C.c_char_p), ("field_names", C.POINTER(C.c_char_p)),
                ("field_values", C.POINTER(C.c_char_p)),
                ("num_fields", C.c_size_t), ("timeout_ms", C.c_int32)]


# peft_transport_fn: user_data, request, exchange.
TransportFn = C.CFUNCTYPE(C.c_int32, C.c_void_p, C.POINTER(HttpRequest),
                          C.c_void_p)


class BuildInfo(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("api_version", C.c_int32),
                ("version", C.c_char_p), ("compiler", C.c_char_p),
                ("cpu_kernels", C.c_char_p), ("methods", C.c_char_p),
                ("model_types", C.c_char_p)]


class TensorView(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("data", C.c_void_p),
                ("dtype", C.c_int32), ("device_type", C.c_int32),
                ("device_index", C.c_int32), ("rank", C.c_int32),
                ("sizes", C.POINTER(C.c_int64)),
                ("strides", C.POINTER(C.c_int64))]


class ModelOptions(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("read_mode", C.c_int32),
                ("num_threads", C.c_int32),
                ("layer_replication", C.POINTER(C.c_int64)),
                ("num_layer_ranges", C.c_size_t),
                ("for_adapters", C.POINTER(C.c_char_p)),
                ("num_for_adapters", C.c_size_t), ("subfolder", C.c_char_p),
                ("revision", C.c_char_p), ("token", C.c_char_p),
                ("cache_dir", C.c_char_p), ("proxies", C.POINTER(C.c_char_p)),
                ("num_proxies", C.c_size_t), ("local_files_only", C.c_int32),
                ("force_download", C.c_int32), ("endpoint", C.c_char_p),
                ("on_download", DownloadFn), ("user_data", C.c_void_p),
                ("adapter_revision", C.c_char_p),
                ("adapter_subfolder", C.c_char_p),
                ("transport", TransportFn),
                ("transport_user_data", C.c_void_p),
                ("thread_pool", C.POINTER(ThreadPool)),
                ("files", C.POINTER(File)), ("num_files", C.c_size_t),
                ("weight_format", C.c_int32), ("quantize_head", C.c_int32),
                ("processors", C.POINTER(C.c_int32)),
                ("num_processors", C.c_size_t), ("task", C.c_int32),
                ("num_labels", C.c_int64),
                ("pad_token_id", C.POINTER(C.c_int64))]


class ModelInfo(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("model_type", C.c_char_p),
                ("vocab_size", C.c_int64), ("hidden_size", C.c_int64),
                ("num_layers", C.c_int64),
                ("max_position_embeddings", C.c_int64),
                ("num_parameters", C.c_int64), ("size_bytes", C.c_int64),
                ("num_sites", C.c_int64), ("num_adapters", C.c_int64),
                ("adapter_bytes", C.c_int64), ("architecture", C.c_char_p),
                ("task", C.c_int32), ("num_labels", C.c_int64),
                ("num_token_types", C.c_int64)]


class LoadOptions(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("subfolder", C.c_char_p),
                ("lenient", C.c_int32), ("revision", C.c_char_p),
                ("token", C.c_char_p), ("cache_dir", C.c_char_p),
                ("proxies", C.POINTER(C.c_char_p)),
                ("num_proxies", C.c_size_t),
                ("local_files_only", C.c_int32), ("force_download", C.c_int32),
                ("is_trainable", C.c_int32),
                ("allow_unconverted_init", C.c_int32),
                ("expected_generation", C.c_uint64),
                ("endpoint", C.c_char_p), ("on_download", DownloadFn),
                ("user_data", C.c_void_p), ("transport", TransportFn),
                ("transport_user_data", C.c_void_p), ("map_file", C.c_int32),
                ("files", C.POINTER(File)), ("num_files", C.c_size_t)]


class AddAdapterOptions(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("seed", C.c_uint64)]


class SetAdapterOptions(Struct):
    _fields_ = [("struct_size", C.c_size_t),
                ("scales", C.POINTER(C.c_float))]


class SaveOptions(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("overwrite", C.c_int32),
                ("path_initial_model_for_weight_conversion", C.c_char_p)]


class AdapterInfo(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("peft_type", C.c_char_p),
                ("generation", C.c_uint64), ("rank", C.c_int64),
                ("num_parameters", C.c_int64), ("size_bytes", C.c_int64),
                ("num_sites", C.c_int64), ("scale", C.c_float),
                ("is_active", C.c_int32), ("is_pinned", C.c_int32),
                ("is_trainable", C.c_int32)]


class AdapterEstimate(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("size_bytes", C.c_int64),
                ("file_bytes", C.c_int64), ("num_parameters", C.c_int64),
                ("num_tensors", C.c_int64)]


class ReportLine(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("kind", C.c_int32),
                ("name", C.c_char_p), ("detail", C.c_char_p)]


class MergeOptions(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("scales", C.POINTER(C.c_float)),
                ("safe_merge", C.c_int32)]


class MergeAndUnloadOptions(Struct):
    _fields_ = [("struct_size", C.c_size_t),
                ("names", C.POINTER(C.c_char_p)), ("num_names", C.c_size_t),
                ("scales", C.POINTER(C.c_float)), ("safe_merge", C.c_int32),
                ("on_progress", C.c_void_p), ("user_data", C.c_void_p)]


class CombineOptions(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("combination_type", C.c_int32),
                ("majority_sign_method", C.c_int32), ("svd_rank", C.c_int64),
                ("svd_clamp", C.c_float), ("density", C.c_float),
                ("seed", C.c_uint64), ("svd_full_matrices", C.c_int32),
                ("svd_driver", C.c_char_p)]


class ProbeOptions(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("seed", C.c_uint64),
                ("rows", C.c_int64)]


class ProbeLine(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("name", C.c_char_p),
                ("base_norm", C.c_double), ("delta_norm", C.c_double),
                ("ratio", C.c_double)]


class ProbeSummary(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("num_sites", C.c_int64),
                ("num_unchanged", C.c_int64), ("ratio", C.c_double),
                ("max_ratio", C.c_double)]


class SessionOptions(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("max_length", C.c_int64),
                ("round_activations", C.c_int32)]


class ForwardInput(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("ids", C.c_void_p),
                ("batch", C.c_int64), ("length", C.c_int64),
                ("attention_mask", C.c_void_p), ("position_ids", C.c_void_p),
                ("token_type_ids", C.c_void_p)]


class ForwardOptions(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("logits_to_keep", C.c_int64),
                ("allow_activation_change", C.c_int32),
                ("adapter_names", C.POINTER(C.c_char_p)),
                ("num_adapter_names", C.c_size_t),
                ("activations", C.POINTER(C.c_void_p)),
                ("num_activations", C.c_size_t), ("outputs", C.c_int32)]


class GenerateOptions(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("max_new_tokens", C.c_int64),
                ("do_sample", C.c_int32), ("temperature", C.c_float),
                ("top_k", C.c_int64), ("top_p", C.c_float),
                ("min_p", C.c_float), ("repetition_penalty", C.c_float),
                ("seed", C.c_uint64), ("eos_token_ids", C.c_void_p),
                ("num_eos_token_ids", C.c_size_t), ("ignore_eos", C.c_int32),
                ("stop_tokens", C.c_void_p),
                ("stop_sequence_lengths", C.c_void_p),
                ("num_stop_sequences", C.c_size_t), ("on_token", C.c_void_p),
                ("user_data", C.c_void_p),
                ("adapter_names", C.POINTER(C.c_char_p)),
                ("num_adapter_names", C.c_size_t),
                ("activations", C.POINTER(C.c_void_p)),
                ("num_activations", C.c_size_t)]


class Layer(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("name", C.c_char_p),
                ("kind", C.c_int32), ("is_output_embedding", C.c_int32),
                ("weight", C.c_void_p), ("bias", C.c_void_p),
                ("copy_weights", C.c_int32), ("is_transposed", C.c_int32),
                ("stride", C.c_int64 * 3), ("padding", C.c_int64 * 3),
                ("padding_end", C.c_int64 * 3), ("dilation", C.c_int64 * 3),
                ("groups", C.c_int64), ("epsilon", C.c_double),
                ("writable_weights", C.c_int32)]


class RunLayerOptions(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("expert", C.c_int64),
                ("adapter_names", C.POINTER(C.c_char_p)),
                ("num_adapter_names", C.c_size_t),
                ("activations", C.POINTER(C.c_void_p)),
                ("num_activations", C.c_size_t), ("stream", C.c_void_p)]


class CudaOptions(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("device_index", C.c_int32),
                ("dtype", C.c_int32), ("adapter_dtype", C.c_int32),
                ("deterministic", C.c_int32), ("max_adapters", C.c_int32),
                ("max_rank", C.c_int32), ("max_activations", C.c_int32),
                ("adapter_bytes", C.c_int64), ("driver_path", C.c_char_p),
                ("cublaslt_path", C.c_char_p), ("kernels_path", C.c_char_p)]


class Form(Struct):
    _fields_ = [("struct_size", C.c_size_t), ("kind", C.c_int32),
                ("scale", C.c_float)]


# What a forward gives back, by transformers' names: PEFT_OUTPUT_...
OUTPUTS = {"logits": 1, "last_hidden_state": 2, "pooler_output": 4}
