"""Layers of a host model without adapters compute what torch's do."""

import random
import unittest

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from testing.host_models import toy_models

LIBRARY = toy_models.library()
TOLERANCE = 2e-6


def random_conv(rng):
    axes = rng.randint(1, 3)
    groups = rng.choice([1, 1, 2, 3])
    kernel = [rng.randint(1, 4) for _ in range(axes)]
    options = dict(
        stride=[rng.randint(1, 3) for _ in range(axes)],
        padding=[rng.randint(0, 2) for _ in range(axes)],
        dilation=[rng.randint(1, 3) for _ in range(axes)],
        groups=groups, bias=rng.random() < 0.7)
    if rng.random() < 0.2:
        options.update(padding="same", stride=1)
    kind = [nn.Conv1d, nn.Conv2d, nn.Conv3d][axes - 1]
    conv = kind(groups * rng.randint(1, 3), groups * rng.randint(1, 4),
                kernel, **options)
    sizes = [d * (k - 1) + 1 + rng.randint(0, 6)
             for d, k in zip(conv.dilation, conv.kernel_size)]
    x = torch.randn(rng.randint(1, 3), conv.in_channels, *sizes)
    return conv, x


class LayersTest(unittest.TestCase):

    def check(self, module, x):
        model = nn.ModuleDict({"m": module})
        host = toy_models.host_model(LIBRARY, model)
        with torch.no_grad():
            expected = module(x)
        error = toy_models.error_of(host.run_layer("m", toy_models.numpy(x)),
                                    expected)
        self.assertLess(error, TOLERANCE, f"{module} on {tuple(x.shape)}")
        host.close()

    def test_convolutions(self):
        rng = random.Random(1)
        torch.manual_seed(1)
        for _ in range(120):
            self.check(*random_conv(rng))

    def test_convolution_without_batch(self):
        self.check(nn.Conv2d(3, 4, (2, 3), padding=(1, 0)),
                   torch.randn(3, 5, 6))

    def test_large_convolution(self):
        self.check(nn.Conv2d(64, 32, 3, padding=1), torch.randn(2, 64, 33, 40))

    def test_linear_layers(self):
        self.check(nn.Linear(5, 7), torch.randn(2, 3, 5))
        self.check(Conv1D(7, 5), torch.randn(2, 3, 5))
        self.check(nn.Embedding(11, 6), torch.randint(0, 11, (2, 4)))

    def test_norms(self):
        norm = nn.LayerNorm(9, eps=1e-3)
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        self.check(norm, torch.randn(4, 9))
        self.check(nn.RMSNorm(9, eps=1e-3), torch.randn(4, 9))

    def test_bfloat16_weights_act_as_their_values(self):
        exact = nn.Linear(32, 8)
        exact.weight.data = exact.weight.data.bfloat16().float()
        exact.bias.data = exact.bias.data.bfloat16().float()
        x = torch.randn(4, 32)
        rounded = nn.ModuleDict({"m": nn.Linear(32, 8).bfloat16()})
        rounded["m"].load_state_dict(exact.state_dict())
        host = toy_models.host_model(LIBRARY, rounded)
        error = toy_models.error_of(host.run_layer("m", x.numpy()), exact(x))
        self.assertLess(error, TOLERANCE)
        host.close()

    def test_multihead_attention_is_two_linear_layers(self):
        attention = nn.MultiheadAttention(8, 2)
        nn.init.normal_(attention.in_proj_bias)
        host = toy_models.host_model(LIBRARY,
                                     nn.ModuleDict({"attn": attention}))
        x = torch.randn(3, 8)
        expected = nn.functional.linear(x, attention.in_proj_weight,
                                        attention.in_proj_bias)
        self.assertLess(toy_models.error_of(host.run_layer("attn", x.numpy()),
                                            expected), TOLERANCE)
        self.assertLess(
            toy_models.error_of(host.run_layer("attn.out_proj", x.numpy()),
                                attention.out_proj(x)), TOLERANCE)
        host.close()

    def test_experts(self):
        for is_transposed in (False, True):
            experts = toy_models.Experts(3, 6, 10, is_transposed)
            host = toy_models.host_model(LIBRARY,
                                         nn.ModuleDict({"moe": experts}))
            x = torch.randn(4, 6)
            for expert in range(3):
                found = host.run_layer("moe.up", x.numpy(), expert)
                error = toy_models.error_of(found,
                                            experts.product("up", expert, x))
                self.assertLess(error, TOLERANCE)
            host.close()


if __name__ == "__main__":
    unittest.main()
