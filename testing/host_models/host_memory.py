"""A torch model in a program's memory: each weight of a dtype, with strides.

What lies between rows or columns is filled with a pattern that nobody may
touch.
"""

import ctypes as C

import numpy as np
import torch

from testing import peft_ctypes
from testing import peft_structs as structs
from testing import peft_verbs
from testing.host_models import toy_models

# By their names: PEFT_DTYPE_..., bytes of an element, and half the distance of
# two numbers near 1.
DTYPES = {"f32": (12, 4, 2.0 ** -24), "bf16": (11, 2, 2.0 ** -8),
          "f16": (10, 2, 2.0 ** -11)}
_TORCH = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
_BITS = {4: np.uint32, 2: np.uint16}
_GAP = {4: 0xdeadbeef, 2: 0xdead}


def round_to(tensor, dtype):
    """The nearest values that `dtype` has, as f32."""
    return tensor.detach().to(_TORCH[dtype]).float()


def _bits(tensor, dtype):
    size = DTYPES[dtype][1]
    rounded = tensor.detach().to(_TORCH[dtype]).contiguous()
    return rounded.view({4: torch.int32, 2: torch.int16}[size]).numpy().view(
        _BITS[size])


def _floats(bits, dtype):
    if dtype == "bf16":
        return (bits.astype(np.uint32) << 16).view(np.float32)
    return bits.view({"f32": np.float32, "f16": np.float16}[dtype]).astype(
        np.float32)


def _strides(shape, layout, gap, is_stack):
    """In elements."""
    if is_stack and layout != "contiguous":
        inner = _strides(shape[1:], layout, gap, False)
        lines = shape[1] if layout == "rows" else shape[2]
        return [lines * max(inner) + gap] + inner
    if layout == "columns":
        return [1, shape[0] + gap]
    strides = [1]
    for size in shape[:0:-1]:
        strides.insert(0, strides[0] * size)
    if layout == "rows":
        strides[0] += gap
    return strides


class Stored:
    """One tensor in memory. `layout` is "contiguous", "rows" or "columns",
    `gap` what lies between lines; of a stack of matrices those of each."""

    def __init__(self, tensor, dtype, layout="contiguous", gap=0,
                 is_stack=False):
        bits = _bits(tensor, dtype)
        self.dtype = dtype
        strides = _strides(list(bits.shape), layout, gap, is_stack)
        extent = 1 + sum((n - 1) * s for n, s in zip(bits.shape, strides))
        self.memory = np.full(extent + gap, _GAP[bits.itemsize], bits.dtype)
        self.elements = np.lib.stride_tricks.as_strided(
            self.memory, bits.shape, [s * bits.itemsize for s in strides])
        self.elements[...] = bits
        self._sizes = (C.c_int64 * bits.ndim)(*bits.shape)
        self._strides = (C.c_int64 * bits.ndim)(*strides)
        self.view = structs.TensorView(
            data=self.memory.ctypes.data, dtype=DTYPES[dtype][0],
            device_type=1, rank=bits.ndim, sizes=self._sizes,
            strides=None if layout == "contiguous" else self._strides)

    def values(self):
        """The elements as they are now, as f32."""
        return _floats(np.ascontiguousarray(self.elements), self.dtype)


class Program(peft_verbs.Verbs, peft_ctypes.AdaptedModel):
    """A host model whose layers' weights stay in this program's memory.

    `layers` are those of toy_models.layers_of, but that their tensors are
    torch's; `layouts` says how a layer's weight lies: (layout, gap).
    """

    def __init__(self, library, layers, dtype, layouts, writable=False,
                 hidden=False):
        self.library = library
        self.weights, self.biases = {}, {}
        array = (structs.Layer * max(len(layers), 1))()
        for struct, fields in zip(array, layers):
            library.lib.peft_layer_init(C.byref(struct),
                                        C.c_size_t(C.sizeof(structs.Layer)))
            for key, value in fields.items():
                if key in ("name", "weight", "bias"):
                    continue
                if isinstance(value, (tuple, list)):
                    value = (C.c_int64 * 3)(*value)
                setattr(struct, key, value)
            struct.name = fields["name"].encode()
            if "weight" in fields:
                struct.copy_weights = 0
                struct.writable_weights = int(writable)
                self._store(struct, fields, dtype, layouts, hidden)
        self.handle = library.new(
            "peft_model_create", array, C.c_size_t(len(layers)),
            C.byref(structs.ModelOptions(read_mode=1, num_threads=1)))
        self.runner = library.new("peft_layer_runner_create", self.handle)

    def _store(self, struct, fields, dtype, layouts, hidden):
        name, weight = fields["name"], fields["weight"]
        layout, gap = layouts.get(name, ("contiguous", 0))
        is_stack = struct.kind == toy_models.PARAMETER and weight.dim() == 3
        stored = self.weights[name] = Stored(weight, dtype, layout, gap,
                                             is_stack)
        if hidden:
            stored.view.data = None
        struct.weight = C.addressof(stored.view)
        if "bias" in fields:
            self.biases[name] = Stored(fields["bias"], dtype)
            struct.bias = C.addressof(self.biases[name].view)

    def bytes(self):
        """All memory, gaps included."""
        parts = list(self.weights.values()) + list(self.biases.values())
        return [part.memory.tobytes() for part in parts]

    def find(self, name, expert=-1):
        out = C.c_int64()
        self.call("peft_model_find_layer", self.handle, name.encode(),
                  C.c_int64(expert), C.byref(out))
        return out

    def run(self, function, layer, x, y, names=(), x_dtype="f32"):
        """Runs layer (name, expert) on `x`, which `x_dtype` has exactly, into
        `y`; `names` adapters of rows."""
        texts = (C.c_char_p * max(len(names), 1))(
            *[n.encode() for n in names])
        options = structs.RunLayerOptions(expert=-1, adapter_names=texts,
                                          num_adapter_names=len(names))
        code = DTYPES[x_dtype][0]
        if x.dtype == np.int64:
            code = 9
        elif x_dtype != "f32":
            x = _bits(torch.from_numpy(x), x_dtype)
        self.call(function, self.runner, self.find(*layer),
                  C.byref(_view(x, code)), C.byref(options),
                  C.byref(_view(y, DTYPES["f32"][0])))
        return y

    def close(self):
        self.library.lib.peft_layer_runner_free(self.runner)
        super().close()


def _view(array, dtype):
    """Of an array with any strides."""
    sizes = (C.c_int64 * max(array.ndim, 1))(*array.shape)
    steps = (C.c_int64 * max(array.ndim, 1))(
        *[s // array.itemsize for s in array.strides])
    return structs.TensorView(
        data=array.ctypes.data, dtype=dtype, device_type=1, rank=array.ndim,
        sizes=sizes, strides=steps)
