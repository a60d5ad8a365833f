"""The structs of peft_c.h that the conformance run's verbs take."""

import ctypes as C

from testing import peft_ctypes
from testing.peft_ctypes import _Options


class LoadOptions(_Options):
    _fields_ = [("struct_size", C.c_size_t), ("subfolder", C.c_char_p),
                ("lenient", C.c_int32), ("revision", C.c_char_p),
                ("token", C.c_char_p), ("cache_dir", C.c_char_p),
                ("proxies", C.c_void_p), ("num_proxies", C.c_size_t),
                ("local_files_only", C.c_int32), ("force_download", C.c_int32),
                ("is_trainable", C.c_int32),
                ("allow_unconverted_init", C.c_int32),
                ("expected_generation", C.c_uint64)]


# As far as both have them; peft_ctypes may know the newer ones.
_GENERATE_FIELDS = [field for field in peft_ctypes.GenerateOptions._fields_
                    if "adapter" not in field[0] and "activ" not in field[0]]
OUTPUTS = {"logits": 1, "last_hidden_state": 2, "pooler_output": 4}


class ForwardOptions(_Options):
    _fields_ = [("struct_size", C.c_size_t), ("logits_to_keep", C.c_int64),
                ("allow_activation_change", C.c_int32),
                ("adapter_names", C.POINTER(C.c_char_p)),
                ("num_adapter_names", C.c_size_t),
                ("activations", C.POINTER(C.c_void_p)),
                ("num_activations", C.c_size_t), ("outputs", C.c_int32)]


class GenerateOptions(_Options):
    _fields_ = [*_GENERATE_FIELDS, *ForwardOptions._fields_[3:7]]


class AddAdapterOptions(_Options):
    _fields_ = [("struct_size", C.c_size_t), ("seed", C.c_uint64)]


class SaveOptions(_Options):
    _fields_ = [("struct_size", C.c_size_t), ("overwrite", C.c_int32)]


class MergeOptions(_Options):
    _fields_ = [("struct_size", C.c_size_t), ("scales", C.POINTER(C.c_float)),
                ("safe_merge", C.c_int32)]


class MergeAndUnloadOptions(_Options):
    _fields_ = [("struct_size", C.c_size_t),
                ("names", C.POINTER(C.c_char_p)), ("num_names", C.c_size_t),
                ("scales", C.POINTER(C.c_float)), ("safe_merge", C.c_int32),
                ("on_progress", C.c_void_p), ("user_data", C.c_void_p)]


class CombineOptions(_Options):
    _fields_ = [("struct_size", C.c_size_t), ("combination_type", C.c_int32),
                ("majority_sign_method", C.c_int32), ("svd_rank", C.c_int64),
                ("svd_clamp", C.c_float), ("density", C.c_float),
                ("seed", C.c_uint64)]


class ProbeOptions(_Options):
    _fields_ = [("struct_size", C.c_size_t), ("seed", C.c_uint64),
                ("rows", C.c_int64)]


class ProbeSummary(_Options):
    _fields_ = [("struct_size", C.c_size_t), ("num_sites", C.c_int64),
                ("num_unchanged", C.c_int64), ("ratio", C.c_double),
                ("max_ratio", C.c_double)]


class AdapterEstimate(_Options):
    _fields_ = [("struct_size", C.c_size_t), ("size_bytes", C.c_int64),
                ("file_bytes", C.c_int64), ("num_parameters", C.c_int64),
                ("num_tensors", C.c_int64)]


class AdapterInfo(_Options):
    _fields_ = [("struct_size", C.c_size_t), ("peft_type", C.c_char_p),
                ("generation", C.c_uint64), ("rank", C.c_int64),
                ("num_parameters", C.c_int64), ("size_bytes", C.c_int64),
                ("num_sites", C.c_int64), ("scale", C.c_float),
                ("is_active", C.c_int32), ("is_pinned", C.c_int32),
                ("is_trainable", C.c_int32)]
