"""The part of peft_c.h that tests and benchmarks call, through ctypes."""

import ctypes as C

import numpy as np

from testing import peft_structs as structs


class PeftError(Exception):
    """A failed call: `id` is the stable error id, `code` absl's number."""

    def __init__(self, code, error_id, message):
        super().__init__(f"{message} [{error_id}]")
        self.code = code
        self.id = error_id
        self.message = message


_TEXT_RESULTS = ["peft_status_id", "peft_status_message",
                 "peft_state_dict_name", "peft_string_list_get",
                 "peft_string_data"]
_SIZE_RESULTS = ["peft_state_dict_size", "peft_string_list_size",
                 "peft_load_report_count"]
_NUMPY_DTYPES = {7: np.int32, 9: np.int64, 10: np.float16, 11: np.uint16,
                 12: np.float32, 13: np.float64}


class Library:
    """libpeft.so. Calls that fail raise PeftError."""

    def __init__(self, path):
        self.lib = C.CDLL(path)
        for name in _TEXT_RESULTS:
            getattr(self.lib, name).restype = C.c_char_p
        for name in _SIZE_RESULTS:
            getattr(self.lib, name).restype = C.c_size_t
        self.lib.peft_generate_result_tokens.restype = C.POINTER(C.c_int64)

    def call(self, name, *args):
        function = getattr(self.lib, name)
        function.restype = C.c_void_p
        status = function(*args)
        if not status:
            return
        status = C.c_void_p(status)
        error = PeftError(self.lib.peft_status_code(status),
                          self.lib.peft_status_id(status).decode(),
                          self.lib.peft_status_message(status).decode())
        self.lib.peft_status_free(status)
        raise error

    def new(self, name, *args):
        """Calls a function whose last parameter is an out-handle."""
        out = C.c_void_p()
        self.call(name, *args, C.byref(out))
        return out

    def names(self, function, model):
        handle = self.new(function, model)
        names = [self.lib.peft_string_list_get(handle, C.c_size_t(i)).decode()
                 for i in range(self.lib.peft_string_list_size(handle))]
        self.lib.peft_string_list_free(handle)
        return names


def _pointer(array):
    return None if array is None else array.ctypes.data_as(C.c_void_p)


def _input(ids, attention_mask, position_ids=None):
    arrays = [None if a is None else np.ascontiguousarray(a, dtype=np.int64)
              for a in (ids, attention_mask, position_ids)]
    struct = structs.ForwardInput(
        ids=_pointer(arrays[0]).value, batch=arrays[0].shape[0],
        length=arrays[0].shape[1])
    if arrays[1] is not None:
        struct.attention_mask = _pointer(arrays[1]).value
    if arrays[2] is not None:
        struct.position_ids = _pointer(arrays[2]).value
    struct.keep = arrays  # lives as long as the struct
    return struct


def view_to_numpy(view):
    """A copy of the elements; bf16 comes as the uint16 of its bits."""
    shape = [view.sizes[i] for i in range(view.rank)]
    dtype = np.dtype(_NUMPY_DTYPES[view.dtype])
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return np.frombuffer(C.string_at(view.data, size), dtype).reshape(shape)


def view_of(array):
    """A view of a contiguous numpy array; uint16 is taken for bf16."""
    array = np.ascontiguousarray(array)
    codes = {np.dtype(v): k for k, v in _NUMPY_DTYPES.items()}
    view = structs.TensorView(
        data=_pointer(array).value, dtype=codes[array.dtype], device_type=1,
        rank=array.ndim, sizes=(C.c_int64 * array.ndim)(*array.shape))
    view.keep = array  # lives as long as the struct
    return view


def hub_options(options):
    """Fields of options structs as ctypes takes them: texts, a list of proxies
    or adapters, on_download(bytes, total_bytes, files, total_files), which
    returns true to cancel, and transport(request, exchange)."""
    fields = {}
    for name, value in options.items():
        if name in ("proxies", "for_adapters"):
            fields["num_" + name] = len(value)
            value = (C.c_char_p * len(value))(*[v.encode() for v in value])
        elif name == "on_download":
            callback = value
            value = structs.DownloadFn(
                lambda _, *counts: int(bool(callback(*counts))))
        elif name == "transport":
            transport = value
            value = structs.TransportFn(
                lambda _, request, exchange: transport(request[0], exchange))
        elif isinstance(value, str):
            value = value.encode()
        elif name == "pad_token_id":
            value = C.pointer(C.c_int64(value))
        fields[name] = value
    return fields


class AdaptedModel:
    """The verbs for adapters of a peft_model_t, which is `self.handle`."""

    def close(self):
        self.library.lib.peft_model_free(self.handle)

    def load_adapter(self, path, name, lenient=False, subfolder=None, **hub):
        options = structs.LoadOptions(lenient=int(lenient), **hub_options(hub))
        if subfolder is not None:
            options.subfolder = subfolder.encode()
        report = self.library.new("peft_model_load_adapter", self.handle,
                                  name.encode(), str(path).encode(),
                                  C.byref(options))
        lines = []
        for i in range(self.library.lib.peft_load_report_count(report, 0)):
            line = structs.ReportLine()
            self.library.call("peft_load_report_get_line", report,
                              C.c_size_t(i), C.byref(line))
            lines.append((line.kind, line.name.decode(),
                          line.detail.decode()))
        self.library.lib.peft_load_report_free(report)
        return lines

    def set_adapter(self, names, scales=None):
        array = (C.c_char_p * len(names))(*[n.encode() for n in names])
        options = structs.SetAdapterOptions()
        if scales is not None:
            options.scales = (C.c_float * len(scales))(*scales)
        self.library.call("peft_model_set_adapter", self.handle, array,
                          C.c_size_t(len(names)), C.byref(options))

    def delete_adapter(self, names):
        array = (C.c_char_p * len(names))(*[n.encode() for n in names])
        self.library.call("peft_model_delete_adapter", self.handle, array,
                          C.c_size_t(len(names)))

    def disable_adapters(self):
        self.library.call("peft_model_disable_adapters", self.handle)

    def enable_adapters(self):
        self.library.call("peft_model_enable_adapters", self.handle)

    def active_adapters(self):
        return self.library.names("peft_model_active_adapters", self.handle)

    def state_dict(self, name):
        """Shapes and raw elements of an adapter's tensors by name."""
        handle = self.library.new("peft_model_get_adapter_state_dict",
                                  self.handle, name.encode())
        lib, tensors = self.library.lib, {}
        for i in range(lib.peft_state_dict_size(handle)):
            key = lib.peft_state_dict_name(handle, C.c_size_t(i))
            tensor = self.library.new("peft_state_dict_get", handle, key)
            view = structs.TensorView()
            self.library.call("peft_tensor_get_view", tensor, C.byref(view))
            tensors[key.decode()] = view_to_numpy(view)
            lib.peft_tensor_free(tensor)
        lib.peft_state_dict_free(handle)
        return tensors

    def run_layer(self, name, x, expert=-1):
        """What one adapted layer computes from a numpy array."""
        view = view_of(x)
        options = structs.RunLayerOptions(expert=expert)
        tensor = self.library.new("peft_model_run_layer", self.handle,
                                  name.encode(), C.byref(view),
                                  C.byref(options))
        out = structs.TensorView()
        self.library.call("peft_tensor_get_view", tensor, C.byref(out))
        result = view_to_numpy(out)
        self.library.lib.peft_tensor_free(tensor)
        return result


class HostModel(AdaptedModel):
    """A peft_model_t of layers: dicts of Layer's fields, with numpy arrays."""

    def __init__(self, library, layers, num_threads=1):
        self.library = library
        defaults = structs.Layer()
        library.lib.peft_layer_init(C.byref(defaults),
                                    C.c_size_t(C.sizeof(structs.Layer)))
        array = (structs.Layer * len(layers))()
        keep = []
        for struct, fields in zip(array, layers):
            C.memmove(C.byref(struct), C.byref(defaults),
                      C.sizeof(structs.Layer))
            for key, value in fields.items():
                if key == "name":
                    value = value.encode()
                elif isinstance(value, np.ndarray):
                    keep.append(view_of(value))
                    value = C.addressof(keep[-1])
                elif isinstance(value, (tuple, list)):
                    value = (C.c_int64 * 3)(*value)
                setattr(struct, key, value)
        options = structs.ModelOptions(read_mode=1, num_threads=num_threads)
        self.handle = library.new("peft_model_create", array,
                                  C.c_size_t(len(layers)), C.byref(options))


class Model(AdaptedModel):
    """A peft_model_t with one session."""

    def __init__(self, library, path, num_threads=1, layer_replication=(),
                 round_activations=False, **hub):
        self.library = library
        bounds = [bound for pair in layer_replication for bound in pair]
        options = structs.ModelOptions(
            read_mode=1, num_threads=num_threads,
            layer_replication=(C.c_int64 * len(bounds))(*bounds),
            num_layer_ranges=len(layer_replication), **hub_options(hub))
        self.handle = library.new(
            "peft_model_open", None if path is None else str(path).encode(),
            C.byref(options))
        session = structs.SessionOptions(round_activations=round_activations)
        self.session = library.new("peft_session_create", self.handle,
                                   C.byref(session))

    def close(self):
        self.library.lib.peft_session_free(self.session)
        super().close()

    def reset(self):
        self.library.call("peft_session_reset", self.session)

    def step(self, ids, attention_mask=None, logits_to_keep=1):
        """Runs tokens after those in the cache; a view of the logits that the
        next call overwrites."""
        logits = structs.TensorView()
        struct = _input(ids, attention_mask)
        options = structs.ForwardOptions(logits_to_keep=logits_to_keep)
        self.library.call("peft_session_forward", self.session,
                          C.byref(struct), C.byref(options), C.byref(logits))
        return logits

    def forward(self, ids, attention_mask=None):
        """Logits of all positions, from an empty cache."""
        self.reset()
        return view_to_numpy(self.step(ids, attention_mask, 0))

    def generate(self, ids, attention_mask=None, max_new_tokens=32):
        options = structs.GenerateOptions(
            max_new_tokens=max_new_tokens, temperature=1.0, top_k=50,
            top_p=1.0, repetition_penalty=1.0, ignore_eos=1)
        struct = _input(ids, attention_mask)
        result = self.library.new("peft_session_generate", self.session,
                                  C.byref(struct), C.byref(options))
        rows = []
        for row in range(np.shape(ids)[0]):
            count = C.c_size_t()
            tokens = self.library.lib.peft_generate_result_tokens(
                result, C.c_size_t(row), C.byref(count))
            rows.append([tokens[i] for i in range(count.value)])
        self.library.lib.peft_generate_result_free(result)
        return rows
