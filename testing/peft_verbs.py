"""The verbs of peft_c.h that the mixin has not, and layers of torch models."""

import ctypes as C

import numpy as np
import torch

from testing import peft_ctypes
from testing import peft_structs as structs

COMBINATIONS = ["svd", "linear", "cat", "ties", "ties_svd", "dare_linear",
                "dare_linear_svd", "dare_ties", "dare_ties_svd",
                "magnitude_prune", "magnitude_prune_svd"]


class NotYet(Exception):
    """The library that was built does not have it."""


def _texts(names):
    return (C.c_char_p * len(names))(*[n.encode() for n in names])


def _floats(values):
    return None if values is None else (C.c_float * len(values))(*values)


_TORCH_DTYPES = {torch.float32: 12, torch.float16: 10, torch.bfloat16: 11,
                 torch.float64: 13, torch.int64: 9, torch.int32: 7}


class Verbs:
    """The verbs of a model. A function that the library lacks is NotYet."""

    def call(self, name, *args):
        try:
            self.library.call(name, *args)
        except AttributeError as error:
            raise NotYet(f"{name} is missing") from error
        except peft_ctypes.PeftError as error:
            if error.id == "STRUCT_SIZE":
                raise NotYet(f"{name} lacks these options") from error
            raise

    def new(self, name, *args):
        out = C.c_void_p()
        self.call(name, *args, C.byref(out))
        return out

    def text(self, name, *args):
        handle = self.new(name, *args)
        text = self.library.lib.peft_string_data(handle).decode()
        self.library.lib.peft_string_free(handle)
        return text

    # -- adapters

    def load(self, path, name, **options):
        self.call("peft_model_load_adapter", self.handle, name.encode(),
                  str(path).encode(),
                  C.byref(structs.LoadOptions(**options)), None)

    def _from_memory(self, function, name, config_json, tensors, options):
        state = self.library.new("peft_state_dict_create")
        for key, tensor in tensors.items():
            tensor = tensor.contiguous()
            sizes = (C.c_int64 * max(tensor.dim(), 1))(*tensor.shape)
            view = structs.TensorView(
                data=tensor.data_ptr(), dtype=_TORCH_DTYPES[tensor.dtype],
                device_type=1, rank=tensor.dim(), sizes=sizes)
            self.library.call("peft_state_dict_set", state, key.encode(),
                              C.byref(view))
        try:
            self.call(function, self.handle, name.encode(),
                      config_json.encode(), state,
                      C.byref(structs.LoadOptions(**options)), None)
        finally:
            self.library.lib.peft_state_dict_free(state)

    def load_from_memory(self, name, config_json, tensors, **options):
        self._from_memory("peft_model_load_adapter_from_memory", name,
                          config_json, tensors, options)

    def replace(self, name, path, **options):
        self.call("peft_model_replace_adapter", self.handle, name.encode(),
                  str(path).encode(),
                  C.byref(structs.LoadOptions(**options)), None)

    def replace_from_memory(self, name, config_json, tensors, **options):
        self._from_memory("peft_model_replace_adapter_from_memory", name,
                          config_json, tensors, options)

    def add_adapter(self, name, config_json, seed):
        self.call("peft_model_add_adapter", self.handle, name.encode(),
                  config_json.encode(),
                  C.byref(structs.AddAdapterOptions(seed=seed)))

    def save_adapter(self, name, path, overwrite=False):
        self.call("peft_model_save_adapter", self.handle, name.encode(),
                  str(path).encode(),
                  C.byref(structs.SaveOptions(overwrite=int(overwrite))))

    def rename_adapter(self, name, new_name):
        self.call("peft_model_rename_adapter", self.handle, name.encode(),
                  new_name.encode())

    def set_scale(self, name, scale):
        self.call("peft_model_set_scale", self.handle, name.encode(),
                  C.c_float(scale))

    def info(self, name):
        info = structs.AdapterInfo()
        self.call("peft_model_get_adapter_info", self.handle, name.encode(),
                  C.byref(info))
        return info

    def config(self, name):
        return self.text("peft_model_get_adapter_config", self.handle,
                         name.encode())

    def estimate(self, path):
        estimate = structs.AdapterEstimate()
        self.call("peft_estimate_adapter", str(path).encode(), None,
                  C.byref(estimate))
        return estimate

    def pin(self, name, pinned):
        self.call("peft_model_pin_adapter", self.handle, name.encode(),
                  int(pinned))

    def set_limit(self, max_bytes, max_adapters):
        self.call("peft_model_set_adapter_limit", self.handle,
                  C.c_int64(max_bytes), C.c_int64(max_adapters))

    def names(self):
        try:
            return self.library.names("peft_model_list_adapters", self.handle)
        except AttributeError as error:
            raise NotYet("peft_model_list_adapters is missing") from error

    # -- merging, combining, probing

    def merge(self, names=(), scales=None, safe_merge=False):
        options = structs.MergeOptions(safe_merge=int(safe_merge))
        if scales is not None:
            options.scales = _floats(scales)
        self.call("peft_model_merge_adapter", self.handle, _texts(names),
                  C.c_size_t(len(names)), C.byref(options))

    def unmerge(self):
        self.call("peft_model_unmerge_adapter", self.handle)

    def merge_and_unload(self, path):
        self.call("peft_model_merge_and_unload", self.handle,
                  str(path).encode(), C.byref(structs.MergeAndUnloadOptions()))

    def unload(self):
        self.call("peft_model_unload", self.handle)

    def add_weighted(self, new_name, names, weights, kind, density=None,
                     majority="total", svd_rank=None, svd_clamp=None, seed=0):
        options = structs.CombineOptions(
            combination_type=1 + COMBINATIONS.index(kind),
            majority_sign_method=1 + ["total", "frequency"].index(majority),
            svd_rank=svd_rank or 0, svd_clamp=svd_clamp or 0.0,
            density=density or 0.0, seed=seed)
        self.call("peft_model_add_weighted_adapter", self.handle,
                  new_name.encode(), _texts(names), _floats(weights),
                  C.c_size_t(len(names)), C.byref(options))

    def probe(self, name, seed=0):
        report = self.new("peft_model_probe_adapter", self.handle,
                          name.encode(),
                          C.byref(structs.ProbeOptions(seed=seed, rows=16)))
        summary = structs.ProbeSummary()
        self.call("peft_probe_report_get_summary", report, C.byref(summary))
        self.library.lib.peft_probe_report_free(report)
        return summary

    def activation(self, names, scales=None):
        out = C.c_void_p()
        self.call("peft_activation_create", self.handle, _texts(names),
                  _floats(scales), C.c_size_t(len(names)), C.byref(out))
        return out

    def free_activation(self, activation):
        self.library.lib.peft_activation_free(activation)


class Model(Verbs, peft_ctypes.Model):
    """A model in a folder, with one session. `pick` names the output of the
    transformers model that is compared."""

    def __init__(self, library, path, pick, num_threads=1,
                 layer_replication=()):
        super().__init__(library, path, num_threads, layer_replication)
        self.pick = pick

    def forward(self, ids, mask=None):
        return self.forward_rows(ids, mask)

    def forward_rows(self, ids, mask, adapter_names=None, activations=None):
        self.reset()
        struct, view = peft_ctypes._input(ids, mask), structs.TensorView()
        options = self._row_options(structs.ForwardOptions(), adapter_names,
                                    activations)
        if self.pick == "logits":
            self.call("peft_session_forward", self.session, C.byref(struct),
                      C.byref(options), C.byref(view))
            return peft_ctypes.view_to_numpy(view)
        options.outputs = structs.OUTPUTS[self.pick]
        self.call("peft_session_forward", self.session, C.byref(struct),
                  C.byref(options), None)
        self.call("peft_session_get_output", self.session, options.outputs,
                  C.byref(view))
        return peft_ctypes.view_to_numpy(view)

    def step_rows(self, ids, activations=None):
        """Runs tokens after those in the cache, for their last logits."""
        options = self._row_options(structs.ForwardOptions(logits_to_keep=1),
                                    None, activations)
        struct, view = peft_ctypes._input(ids, None), structs.TensorView()
        self.call("peft_session_forward", self.session, C.byref(struct),
                  C.byref(options), C.byref(view))

    def _row_options(self, options, adapter_names, activations):
        if adapter_names is not None:
            options.adapter_names = _texts(adapter_names)
            options.num_adapter_names = len(adapter_names)
        if activations is not None:
            options.activations = (C.c_void_p * len(activations))(
                *[None if a is None else a.value for a in activations])
            options.num_activations = len(activations)
        return options

    def generate_rows(self, ids, mask, count, adapter_names=None,
                      activations=None):
        options = self._row_options(structs.GenerateOptions(
            max_new_tokens=count, temperature=1.0, top_k=50, top_p=1.0,
            repetition_penalty=1.0, ignore_eos=1), adapter_names, activations)
        struct = peft_ctypes._input(ids, mask)
        result = self.new("peft_session_generate", self.session,
                          C.byref(struct), C.byref(options))
        rows = []
        for row in range(np.shape(ids)[0]):
            size = C.c_size_t()
            tokens = self.library.lib.peft_generate_result_tokens(
                result, C.c_size_t(row), C.byref(size))
            rows.append([tokens[i] for i in range(size.value)])
        self.library.lib.peft_generate_result_free(result)
        return rows


class HostModel(Verbs, peft_ctypes.HostModel):
    """A model of single layers; `torch_model` says which, and feeds them."""

    def __init__(self, library, torch_model, dtype):
        self.torch_model = torch_model
        try:
            super().__init__(library, layers_of(torch_model, dtype))
        except (AttributeError, TypeError) as error:
            raise NotYet("peft_model_create is missing") from error

    def forward(self, ids, mask):
        """All outputs one after the other, as the torch model has them."""
        parts = [self._run(name).flatten() for name in self.torch_model.names]
        return np.concatenate(parts)[None]

    def _run(self, name):
        x = getattr(self.torch_model, f"x_{name}").numpy()
        if name == "attn":
            return self._attention(x)
        if name == "experts":
            return np.stack([self.run_layer("experts.weight", part, i)
                             for i, part in enumerate(x)])
        return self.run_layer(name, x)

    def _attention(self, x):
        heads = self.torch_model.attn.num_heads
        q, k, v = [part.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)
                   for part in np.split(self.run_layer("attn", x), 3, -1)]
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = scores / scores.sum(-1, keepdims=True) @ v
        mixed = mixed.swapaxes(1, 2).reshape(x.shape)
        return self.run_layer("attn.out_proj", mixed.astype(np.float32))


def _elements(tensor, dtype):
    tensor = tensor.detach().to(dtype)
    if dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(np.uint16)
    return tensor.numpy().copy()


LAYER_KINDS = {"Linear": 2, "NonDynamicallyQuantizableLinear": 2, "Conv1D": 3,
               "Embedding": 4, "LayerNorm": 5, "Conv1d": 7, "Conv2d": 7,
               "Conv3d": 7, "MultiheadAttention": 8}


def layers_of(model, dtype):
    """The layers of a torch model as peft_model_create takes them."""
    layers = []
    for name, module in model.named_modules():
        kind = LAYER_KINDS.get(type(module).__name__)
        if kind is None:
            layers += [
                {"name": f"{name}.{leaf}", "kind": 9,
                 "weight": _elements(parameter, dtype)}
                for leaf, parameter in module.named_parameters(recurse=False)]
            continue
        prefix = "in_proj_" if kind == 8 else ""
        layer = {"name": name, "kind": kind, "weight": _elements(
            getattr(module, prefix + "weight"), dtype)}
        bias = getattr(module, prefix + "bias", None)
        if bias is not None:
            layer["bias"] = _elements(bias, dtype)
        if kind == 7:
            for key in ("stride", "padding", "dilation"):
                value = list(getattr(module, key))
                layer[key] = value + [1] * (3 - len(value))
            layer["groups"] = module.groups
        layers.append(layer)
    return layers
