"""What Python PEFT computes at each layer of a model with one adapter."""

import copy
import tempfile

import peft
import torch
from torch import nn

from testing.host_models import toy_models


class Adapted:
    """A copy of `model` with an adapter of random values, and its folder."""

    def __init__(self, model, config):
        self.peft = peft.get_peft_model(copy.deepcopy(model),
                                        copy.deepcopy(config))
        with torch.no_grad():
            for parameter in self.peft.parameters():
                if parameter.requires_grad:
                    parameter.normal_(std=0.3)
        self.peft.eval()
        self._folder = tempfile.TemporaryDirectory()
        self.folder = self._folder.name
        self.peft.save_pretrained(self.folder)

    def close(self):
        self._folder.cleanup()

    def module(self, name):
        return self.peft.base_model.model.get_submodule(name)

    def output(self, layer, x):
        """Of layer (name, expert)."""
        with torch.no_grad():
            return _output(self.module, *layer, torch.from_numpy(x)).numpy()


def base_output(model, layer, x):
    """The same of a model without adapters."""
    with torch.no_grad():
        return _output(model.get_submodule, *layer,
                       torch.from_numpy(x)).numpy()


def _saved(module):
    """What a wrapper of modules_to_save stands for."""
    copies = getattr(module, "modules_to_save", None)
    return module if copies is None else copies["default"]


def _output(module_of, name, expert, x):
    holder, _, leaf = name.rpartition(".")
    if expert >= 0:
        return _expert(_saved(module_of(holder)), leaf, expert, x)
    if leaf == "out_proj":
        return _out_proj(module_of(holder), x)
    module = module_of(name)
    if isinstance(_base(module), nn.MultiheadAttention):
        return _in_proj(module, x)
    return module(x)


def _base(module):
    return getattr(_saved(module), "base_layer", _saved(module))


def _in_proj(module, x):
    base, weight = _base(module), _base(module).in_proj_weight
    if module is not base and hasattr(module, "get_delta_weight"):
        weight = weight + module.get_delta_weight("default")
    return nn.functional.linear(x, weight, base.in_proj_bias)


def _out_proj(module, x):
    if hasattr(module, "get_delta_weight"):
        # PEFT's forward merges, which adds the part of out_proj twice.
        module = copy.deepcopy(module)
        module.merge()
    projection = _base(module).out_proj
    projection = getattr(projection, "base_layer", projection)
    return nn.functional.linear(x, projection.weight, projection.bias)


def _expert(module, leaf, expert, x):
    while hasattr(module, "parameter_name") and module.parameter_name != leaf:
        module = module.base_layer
    if hasattr(module, "parameter_name"):
        matrices = module.get_param() + module.get_delta_weight("default")
        while not isinstance(module, toy_models.Experts):
            module = module.base_layer
    else:
        matrices = getattr(module, leaf)
    matrix = matrices[expert]
    return x @ (matrix if module.is_transposed else matrix.T)
