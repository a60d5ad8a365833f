"""Models made of single layers, of the kinds that no language model here has:
convolutions, MultiheadAttention, parameters with experts."""

import math
import types

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from testing.conformance import random_models

ROWS = 11  # of the embedding
WIDTH = 6


class Experts(nn.Module):
    """A parameter of three axes, and what multiplies with it."""

    def __init__(self, count, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, outputs, inputs))

    def forward(self, x):
        return torch.einsum("eni,eoi->eno", x, self.weight)


def _convolution(rng, axes, dilated):
    groups = rng.choice([1, 1, 1, 2])
    kernel = [rng.choice([1, 2, 3]) for _ in range(axes)]
    return [nn.Conv1d, nn.Conv2d, nn.Conv3d][axes - 1](
        4, rng.choice([4, 6]), kernel, groups=groups,
        stride=[rng.choice([1, 1, 2]) for _ in range(axes)],
        padding=[rng.choice([0, 1]) for _ in range(axes)],
        dilation=2 if dilated else 1, bias=rng.random() < 0.7)


class Layers(nn.Module):
    """One layer of each kind; each gets an input of its own."""

    def __init__(self, rng, seed):
        super().__init__()
        dilated = rng.random() < 0.2
        self.fc = nn.Linear(WIDTH, 5, bias=rng.random() < 0.7)
        self.c_fc = Conv1D(7, WIDTH)
        self.emb = nn.Embedding(ROWS, WIDTH)
        self.conv1 = _convolution(rng, 1, False)
        self.conv2 = _convolution(rng, 2, dilated)
        self.conv3 = _convolution(rng, 3, False)
        self.attn = nn.MultiheadAttention(8, 2, bias=rng.random() < 0.7,
                                          batch_first=True)
        self.experts = Experts(3, WIDTH, 5)
        self.ln = nn.LayerNorm(WIDTH)
        self.is_dilated = dilated
        generator = torch.Generator().manual_seed(seed)
        shapes = {"fc": (2, 3, WIDTH), "c_fc": (2, 3, WIDTH),
                  "conv1": (2, 4, 7), "conv2": (2, 4, 6, 7),
                  "conv3": (1, 4, 5, 6, 5), "attn": (2, 3, 8),
                  "experts": (3, 4, WIDTH), "ln": (2, 3, WIDTH)}
        for name, shape in shapes.items():
            self.register_buffer(f"x_{name}",
                                 torch.randn(shape, generator=generator))
        self.register_buffer("x_emb", torch.randint(
            0, ROWS, (2, 3), generator=generator))

    names = ["fc", "c_fc", "emb", "conv1", "conv2", "conv3", "attn",
             "experts", "ln"]

    def run(self, name):
        x = getattr(self, f"x_{name}")
        if name == "attn":
            return self.attn(x, x, x, need_weights=False)[0]
        return getattr(self, name)(x)

    def forward(self, input_ids=None, attention_mask=None, position_ids=None):
        parts = [self.run(name).flatten() for name in self.names]
        return types.SimpleNamespace(logits=torch.cat(parts)[None])


def _randomize(model, generator):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            fan = parameter[0].numel() if parameter.dim() > 1 else 4
            value = noise / math.sqrt(fan)
            if name.startswith("emb"):
                value = noise
            if name == "ln.weight":
                value = 1 + 0.3 * noise
            parameter.copy_(value.bfloat16().half().float())


def _layout(model):
    all_names = ["fc", "c_fc", "conv1", "conv2", "conv3", "attn"]
    plain = [n for n in ("conv1", "conv2", "conv3")
             if getattr(model, n).groups == 1]
    if model.is_dilated:  # PEFT's LoRA fails in forward there
        all_names.remove("conv2")
        plain = [n for n in plain if n != "conv2"]
    return random_models.Layout(
        all_names, ["emb"], ["ln"], "", "", None, "logits",
        {"dora": ["fc", "c_fc", *plain],
         "adalora": ["fc", "c_fc"] + [n for n in plain if n == "conv2"],
         "ia3": ["fc", "c_fc", "conv2", "conv3"]})


def make_layers(rng, seed):
    """A random model in eval mode, and its layout."""
    model = Layers(rng, seed)
    _randomize(model, torch.Generator().manual_seed(seed))
    return model.eval(), _layout(model)
