"""Torch modules as host models: random ones, and how they are listed."""

import sys

import numpy as np
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from testing import peft_ctypes

OTHER, LINEAR, CONV1D, EMBEDDING, LAYER_NORM, RMS_NORM, CONV, ATTENTION, \
    PARAMETER = range(1, 10)

_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Experts(nn.Module):
    """Parameters of three axes, as the mixtures of transformers have them."""

    def __init__(self, experts, width, hidden, is_transposed):
        super().__init__()
        self.is_transposed = is_transposed
        up, down = (experts, hidden, width), (experts, width, hidden)
        if is_transposed:
            up, down = down, up
        self.up = nn.Parameter(torch.randn(up))
        self.down = nn.Parameter(torch.randn(down))

    def product(self, name, expert, x):
        matrix = getattr(self, name)[expert]
        return x @ (matrix if self.is_transposed else matrix.T)

    def forward(self, x, expert):
        return self.product("down", expert, self.product("up", expert, x))


def library():
    """The library that the test's first argument names."""
    path = sys.argv[1].split("=", 1)[1]
    del sys.argv[1]
    return peft_ctypes.Library(path)


def numpy(tensor):
    """bf16 comes as its bits, as peft_ctypes takes it."""
    tensor = tensor.detach().contiguous()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy()
    return tensor.numpy()


def _fill(values):
    return list(values) + [0] * (3 - len(values))


def _same_padding(module):
    """What torch's padding="same" stands for: before and after."""
    total = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size)]
    return [t // 2 for t in total], [t - t // 2 for t in total]


def _conv(module):
    before = after = module.padding
    if module.padding == "same":
        before, after = _same_padding(module)
    return dict(kind=CONV, stride=_fill(module.stride), padding=_fill(before),
                padding_end=_fill(after), dilation=_fill(module.dilation),
                groups=module.groups)


def _module(module):
    """The fields of a module with a weight; None for others."""
    if isinstance(module, _CONVS):
        return _conv(module)
    kinds = {nn.Linear: LINEAR, Conv1D: CONV1D, nn.Embedding: EMBEDDING,
             nn.LayerNorm: LAYER_NORM, nn.RMSNorm: RMS_NORM}
    for kind, number in kinds.items():
        if isinstance(module, kind):
            fields = dict(kind=number)
            if hasattr(module, "eps"):
                fields["epsilon"] = module.eps
            return fields
    return None


def layers_of(model, convert=numpy):
    """What peft_model_create is told of a torch model; `convert` makes what
    stands for a tensor."""
    def tensors(fields, weight, bias):
        fields["weight"] = convert(weight)
        if bias is not None:
            fields["bias"] = convert(bias)
        return fields

    layers = []
    for name, module in model.named_modules():
        if not name:
            continue
        fields = _module(module)
        if fields is not None:
            fields = tensors(fields, module.weight,
                              getattr(module, "bias", None))
        elif isinstance(module, nn.MultiheadAttention):
            fields = tensors(dict(kind=ATTENTION), module.in_proj_weight,
                              module.in_proj_bias)
        else:
            fields = dict(kind=OTHER)
        layers.append(dict(name=name, **fields))
        if isinstance(module, Experts):
            for part, tensor in module.named_parameters():
                layers.append(dict(
                    name=f"{name}.{part}", kind=PARAMETER,
                    weight=convert(tensor),
                    is_transposed=int(module.is_transposed)))
    return layers


def host_model(lib, model):
    return peft_ctypes.HostModel(lib, layers_of(model))


def error_of(found, expected):
    """The largest difference in units of the largest value."""
    expected = numpy(expected.float())
    assert found.shape == expected.shape, (found.shape, expected.shape)
    return np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30)
