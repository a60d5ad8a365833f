"""What docs/lowered.md says that forms do, in numpy."""

import ctypes as C

import numpy as np

from testing import peft_ctypes
from testing import peft_structs as structs
from testing.host_models import toy_models

SCALE_IN, WEIGHT, ROWS, LOW_RANK, SCALE_OUT, BIAS = range(1, 7)
_A, _B, _RANK_SCALE, _GATE, _FACTOR, _WEIGHT, _IDS, _ROWS, _BIAS = range(1, 10)


def _elements(view):
    array = peft_ctypes.view_to_numpy(view)
    if array.dtype == np.uint16:  # bf16
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array if array.dtype == np.int64 else array.astype(np.float32)


def forms_of(program, layer):
    """The forms of layer (name, expert): (kind, scale, {part: array})."""
    lib = program.library
    lowered = lib.new("peft_model_lower_layer", program.handle,
                      program.find(*layer), None)
    lib.lib.peft_lowered_size.restype = C.c_size_t
    forms = []
    for index in range(lib.lib.peft_lowered_size(lowered)):
        form, parts = structs.Form(), {}
        lib.call("peft_lowered_get_form", lowered, C.c_size_t(index),
                 C.byref(form))
        for part in range(_A, _BIAS + 1):
            view = structs.TensorView()
            try:
                lib.call("peft_lowered_get_tensor", lowered,
                         C.c_size_t(index), part, C.byref(view))
            except peft_ctypes.PeftError as error:
                assert error.id == "TENSOR_MISSING", error
                continue
            parts[part] = _elements(view)
        forms.append((form.kind, form.scale, parts))
    lib.lib.peft_lowered_free(lowered)
    return forms


def columns_of(x, layer):
    """torch's unfold for any number of axes: (batch, places, in * kernel), and
    how many places each axis has."""
    axes = x.ndim - 2
    kernel = layer["weight"].shape[2:]
    after = [p if e < 0 else e
             for p, e in zip(layer["padding"], layer.get("padding_end",
                                                         [-1] * 3))]
    x = np.pad(x, [(0, 0), (0, 0)] + list(zip(layer["padding"][:axes],
                                              after[:axes])))
    spans = [d * (k - 1) + 1 for d, k in zip(layer["dilation"], kernel)]
    windows = np.lib.stride_tricks.sliding_window_view(
        x, spans, tuple(range(2, 2 + axes)))
    steps = [slice(None, None, s) for s in layer["stride"][:axes]]
    gaps = [slice(None, None, d) for d in layer["dilation"][:axes]]
    windows = windows[(slice(None), slice(None), *steps, *gaps)]
    places = windows.shape[2:2 + axes]
    windows = np.moveaxis(windows, 1, 1 + axes)
    return windows.reshape(x.shape[0], int(np.prod(places)), -1), places


def _product(x, weight, groups):
    """x W^T; of a convolution group by group."""
    if groups == 1:
        return x @ weight.reshape(weight.shape[0], -1).T
    parts = zip(np.split(x, groups, -1), np.split(weight, groups, 0))
    return np.concatenate([part @ w.reshape(w.shape[0], -1).T
                           for part, w in parts], -1)


def _rows(forms, x, weight, bias, groups):
    """The layer on rows of its input."""
    p = None
    for kind, scale, parts in [(None, None, {})] + forms:
        if kind == SCALE_IN:
            scaled = x * parts[_FACTOR]
        elif kind == WEIGHT:
            weight = parts[_WEIGHT]
        if kind in (SCALE_IN, WEIGHT, None):
            scaled = x if kind is None else scaled
            p = _product(scaled, weight, groups)
        elif kind == ROWS:
            p[..., parts[_IDS]] = scaled @ parts[_ROWS].T
        elif kind == LOW_RANK:
            rank = (x @ parts[_A].T) * parts.get(_RANK_SCALE, 1)
            p = p + np.float32(scale) * (rank @ parts[_B].T)
        elif kind == SCALE_OUT:
            p = p * parts[_FACTOR]
        else:
            assert kind == BIAS, kind
            bias = parts.get(_BIAS)
    return p if bias is None else p + bias


def _table(forms, ids, table):
    p = table[ids]
    for kind, scale, parts in forms:
        if kind == WEIGHT:
            table = parts[_WEIGHT]
            p = table[ids]
        elif kind == ROWS:
            table = table.copy()
            table[parts[_IDS]] = parts[_ROWS]
            p = table[ids]
        elif kind == LOW_RANK:
            rank = parts[_A].T[ids] * parts.get(_RANK_SCALE, 1)
            p = p + np.float32(scale) * (rank @ parts[_B].T)
        else:
            assert kind == SCALE_OUT, kind
            p = p * parts[_FACTOR]
    return p


def _norm(forms, x, layer):
    weight, bias = layer["weight"], layer.get("bias")
    for kind, _, parts in forms:
        if kind == WEIGHT:
            weight = parts[_WEIGHT]
        else:
            assert kind == BIAS, kind
            bias = parts.get(_BIAS)
    if layer["kind"] == toy_models.LAYER_NORM:
        x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) +
                    np.float32(layer["epsilon"]))
    return x * weight if bias is None else x * weight + bias


def magnitude(forms, layer, x):
    """The same with the absolute value of every number: what the terms are
    that may cancel each other."""
    forms = [(kind, abs(scale), {part: np.abs(array)
                                 for part, array in parts.items()})
             for kind, scale, parts in forms]
    fields = {key: np.abs(value) if isinstance(value, np.ndarray) else value
              for key, value in layer.items()}
    is_table = layer["kind"] == toy_models.EMBEDDING
    return run(forms, fields, x if is_table else np.abs(x))


def run(forms, layer, x):
    """What the layer computes from `x`; its tensors are numpy's, f32."""
    weight, bias = layer["weight"], layer.get("bias")
    if layer["kind"] == toy_models.EMBEDDING:
        return _table(forms, x, weight)
    if layer["kind"] in (toy_models.LAYER_NORM, toy_models.RMS_NORM):
        return _norm(forms, x, layer)
    if layer["kind"] == toy_models.CONV:
        rows, places = columns_of(x, layer)
        y = _rows(forms, rows, weight, bias, layer["groups"])
        return np.moveaxis(y, -1, 1).reshape(x.shape[0], -1, *places)
    is_in_out = layer["kind"] == toy_models.CONV1D or \
        layer.get("is_transposed")
    if is_in_out:
        weight = weight.T
        forms = [(kind, scale, {part: array.T if part == _WEIGHT else array
                                for part, array in parts.items()})
                 for kind, scale, parts in forms]
    return _rows(forms, x, weight, bias, 1)
