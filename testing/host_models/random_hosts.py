"""Random torch models of single layers, and random adapters of them."""

import math

import numpy as np
import peft
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from testing.host_models import toy_models

_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Layer:
    """One module, and an input of it: rows along the first axis."""

    def __init__(self, name, module, x):
        self.name, self.module, self.x = name, module, x

    def is_a(self, *kinds):
        return isinstance(self.module, kinds)

    @property
    def groups(self):
        return self.module.groups if self.is_a(*_CONVS) else 1

    @property
    def parts(self):
        """What peft_model_find_layer finds of it, with an input each."""
        if self.is_a(nn.MultiheadAttention):
            return [((self.name, -1), self.x),
                    ((f"{self.name}.out_proj", -1), self.x)]
        if self.is_a(toy_models.Experts):
            count = self.module.up.shape[0]
            hidden = np.resize(self.x, self.x.shape[:-1] +
                               (self.module.hidden,))
            return [((f"{self.name}.{part}", expert), x)
                    for part, x in (("up", self.x), ("down", hidden))
                    for expert in range(count)]
        return [((self.name, -1), self.x)]


def _floats(rng, *shape):
    generator = np.random.default_rng(rng.randrange(1 << 30))
    return generator.standard_normal(shape).astype(np.float32)


def _rows(rng, width):
    middle = (rng.randint(1, 3),) if rng.random() < 0.3 else ()
    return _floats(rng, rng.randint(1, 7), *middle, width)


def _linear(rng, kind):
    inputs, outputs = rng.randint(1, 40), rng.randint(1, 40)
    if kind == "conv1d_hf":
        return Conv1D(outputs, inputs), _rows(rng, inputs)
    module = nn.Linear(inputs, outputs, bias=rng.random() < 0.7)
    return module, _rows(rng, inputs)


def _embedding(rng):
    count = rng.randint(2, 30)
    shape = [rng.randint(1, 4) for _ in range(rng.randint(1, 2))]
    ids = np.array([rng.randrange(count) for _ in range(math.prod(shape))],
                   np.int64)
    return nn.Embedding(count, rng.randint(1, 20)), ids.reshape(shape)


def _conv(rng):
    axes, groups = rng.randint(1, 3), rng.choice([1, 1, 2, 3])
    options = dict(
        stride=[rng.randint(1, 3) for _ in range(axes)],
        padding=[rng.randint(0, 2) for _ in range(axes)],
        dilation=[rng.choice([1, 1, 2]) for _ in range(axes)])
    if rng.random() < 0.15:
        options.update(stride=1, padding="same")
    conv = _CONVS[axes - 1](
        groups * rng.randint(1, 4), groups * rng.randint(1, 4),
        [rng.randint(1, 3) for _ in range(axes)], groups=groups,
        bias=rng.random() < 0.7, **options)
    sizes = [d * (k - 1) + 1 + rng.randint(0, 5)
             for d, k in zip(conv.dilation, conv.kernel_size)]
    return conv, _floats(rng, rng.randint(1, 3), conv.in_channels, *sizes)


def _norm(rng):
    width = rng.randint(2, 30)
    if rng.random() < 0.5:
        return nn.RMSNorm(width, eps=1e-6), _rows(rng, width)
    return nn.LayerNorm(width, bias=rng.random() < 0.7), _rows(rng, width)


def _attention(rng):
    width = 2 * rng.randint(1, 8)
    module = nn.MultiheadAttention(width, 2)
    nn.init.normal_(module.in_proj_bias)
    return module, _rows(rng, width)


def _experts(rng):
    width, hidden = rng.randint(1, 12), rng.randint(1, 12)
    # PEFT's delta of a single one that is transposed has another shape.
    is_transposed = rng.random() < 0.5
    module = toy_models.Experts(rng.randint(1 + is_transposed, 3), width,
                                hidden, is_transposed)
    module.hidden = hidden
    return module, _rows(rng, width)


_DRAWS = {"linear": lambda rng: _linear(rng, "linear"),
          "conv1d_hf": lambda rng: _linear(rng, "conv1d_hf"),
          "embedding": _embedding, "conv": _conv, "norm": _norm,
          "attention": _attention, "experts": _experts}


def draw_layers(rng):
    """Two to six layers of any kinds, of which one is linear."""
    kinds = ["linear"] + [rng.choice(list(_DRAWS))
                          for _ in range(rng.randint(1, 5))]
    rng.shuffle(kinds)
    layers = []
    for i, kind in enumerate(kinds):
        holder = rng.choice(["", "body.", "body.block."])
        layers.append(Layer(f"{holder}{kind}{i}", *_DRAWS[kind](rng)))
    return layers


def model_of(layers):
    """A torch module that holds them."""
    model = nn.Module()
    for layer in layers:
        at = model
        *holders, leaf = layer.name.split(".")
        for holder in holders:
            if not hasattr(at, holder):
                at.add_module(holder, nn.Module())
            at = getattr(at, holder)
        at.add_module(leaf, layer.module)
    return model


def _has_plain_windows(layer):
    """PEFT's LoRA on convolutions has no dilation."""
    conv = layer.module
    return all(k == 1 or d == 1
               for k, d in zip(conv.kernel_size, conv.dilation))


def _can_take(layer, method):
    if layer.is_a(nn.Linear, Conv1D):
        return True
    if layer.is_a(*_CONVS):
        axes = layer.module.weight.dim() - 2
        return {"lora": _has_plain_windows(layer),
                "dora": _has_plain_windows(layer) and layer.groups == 1,
                "ia3": axes > 1,
                "adalora": axes == 2 and layer.groups == 1}[method]
    if layer.is_a(nn.Embedding):
        return method in ("lora", "dora")
    return layer.is_a(nn.MultiheadAttention) and method == "lora"


class Drawn:
    """A config, and what it does: names of layers."""

    def __init__(self, config, method, targets, saved, parameters, tokens):
        self.config, self.method = config, method
        self.targets, self.saved, self.tokens = targets, saved, tokens
        self.parameters = parameters

    def only_adds(self, layer):
        """False where the layer's output is no sum with the base's."""
        name = layer.name
        if layer.is_a(nn.LayerNorm, nn.RMSNorm):
            return False
        if name in self.saved or name in self.tokens:
            return False
        return name not in self.targets or self.method in ("lora", "adalora")


def _lora_fields(rng, targets):
    grouped = math.lcm(*[layer.groups for layer in targets], 1)
    names = [layer.name for layer in targets]
    fields = dict(r=grouped * rng.randint(1, 5), lora_alpha=rng.randint(1, 16),
                  use_rslora=rng.random() < 0.3, init_lora_weights=False,
                  bias=rng.choice(["none"] * 4 + ["all", "lora_only"]))
    if rng.random() < 0.3 and names:
        name = rng.choice(names)
        fields["rank_pattern"] = {name: grouped * rng.randint(1, 4)}
        fields["alpha_pattern"] = {name: rng.randint(1, 9)}
    takes_bias = all(layer.is_a(nn.Linear, Conv1D, *_CONVS)
                     for layer in targets)
    if takes_bias and targets and rng.random() < 0.25:
        fields["lora_bias"] = True
    return fields


def _config(rng, method, targets, fields):
    names = [layer.name for layer in targets]
    if method == "ia3":
        return peft.IA3Config(
            target_modules=names, init_ia3_weights=False,
            feedforward_modules=[n for n in names if rng.random() < 0.4],
            **fields)
    if method == "adalora":
        return peft.AdaLoraConfig(
            target_modules=names, init_r=rng.randint(1, 6), total_step=100,
            lora_alpha=rng.randint(1, 16),
            bias=rng.choice(["none", "none", "lora_only"]), **fields)
    options = _lora_fields(rng, targets)
    if method == "dora":
        options.update(use_dora=True, lora_bias=False)
    return peft.LoraConfig(target_modules=names, **options, **fields)


def _parameters(rng, method, layers, targets):
    """Some parameters of experts: of LoRA alone, and not where a Conv1D gives
    PEFT's config its fan_in_fan_out."""
    if method != "lora" or any(t.is_a(Conv1D) for t in targets):
        return []
    return [f"{layer.name}.{part}" for layer in layers
            if layer.is_a(toy_models.Experts)
            for part in ("up", "down") if rng.random() < 0.7]


def draw_adapter(rng, layers):
    """An adapter of some of `layers`."""
    method = rng.choice(["lora", "lora", "lora", "dora", "ia3", "adalora"])
    able = [layer for layer in layers if _can_take(layer, method)]
    if any(layer.is_a(Conv1D) for layer in able):
        # PEFT hands fan_in_fan_out on to the attention.
        able = [layer for layer in able
                if not layer.is_a(nn.MultiheadAttention)]
    targets = rng.sample(able, rng.randint(1, len(able)))
    others = [layer for layer in layers if layer not in targets]
    parameters = _parameters(rng, method, others, targets)
    fields = {"target_parameters": parameters} if parameters else {}
    free = [layer for layer in others
            if not any(p.startswith(layer.name + ".") for p in parameters)]
    saved = [layer.name for layer in free if rng.random() < 0.25]
    if saved:
        fields["modules_to_save"] = saved
    tables = [layer for layer in free
              if layer.is_a(nn.Embedding) and layer.name not in saved]
    tokens = []
    if tables and method in ("lora", "dora") and rng.random() < 0.5:
        table = rng.choice(tables)
        count = table.module.num_embeddings
        fields["trainable_token_indices"] = {
            table.name: rng.sample(range(count), rng.randint(1, min(count, 4)))}
        tokens = [table.name]
    config = _config(rng, method, targets, fields)
    if parameters:
        config.lora_bias = False
    return Drawn(config, method, [layer.name for layer in targets], saved,
                 parameters, tokens)
