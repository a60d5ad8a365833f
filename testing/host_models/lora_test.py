"""LoRA on the layers of host models computes what PEFT's layers do."""

import copy
import ctypes
import pathlib
import random
import tempfile
import unittest
import warnings

import peft
import safetensors.torch
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from testing import peft_ctypes
from testing.host_models import toy_models

LIBRARY = toy_models.library()
TOLERANCE = 1e-5
PREFIX = "base_model.model."

warnings.simplefilter("ignore")


class Case:
    """A torch model with one PEFT adapter, and the same as a host model."""

    def __init__(self, model, **config):
        self.host = toy_models.host_model(LIBRARY, model)
        self.peft = peft.get_peft_model(model, peft.LoraConfig(**config))
        with torch.no_grad():
            for parameter in self.peft.parameters():
                if parameter.requires_grad:
                    parameter.normal_(std=0.5)
        self.peft.eval()
        with tempfile.TemporaryDirectory() as folder:
            self.peft.save_pretrained(folder)
            file = pathlib.Path(folder, "adapter_model.safetensors")
            self.file = safetensors.torch.load_file(file)
            self.report = self.host.load_adapter(folder, "a")

    def module(self, name):
        return self.peft.base_model.model.get_submodule(name)

    def merge(self):
        """Ours; that of `peft` is its own."""
        LIBRARY.call("peft_model_merge_adapter", self.host.handle, None,
                     ctypes.c_size_t(0), None)

    def close(self):
        self.host.close()


class LoraTest(unittest.TestCase):

    def check_output(self, case, name, x, expected=None, expert=-1):
        with torch.no_grad():
            if expected is None:
                expected = case.module(name)(x)
        found = case.host.run_layer(name, toy_models.numpy(x), expert)
        self.assertLess(toy_models.error_of(found, expected), TOLERANCE, name)

    def check_state_dict(self, case):
        found = case.host.state_dict("a")
        expected = {name.removeprefix(PREFIX): tensor
                    for name, tensor in case.file.items()}
        self.assertEqual(sorted(found), sorted(expected))
        for name, tensor in expected.items():
            self.assertTrue((found[name] == tensor.numpy()).all(), name)

    def check(self, model, inputs, **config):
        base = copy.deepcopy(model)
        case = Case(model, **config)
        for name, x in inputs.items():
            self.check_output(case, name, x)
        self.check_state_dict(case)
        case.host.disable_adapters()
        for name, x in inputs.items():
            self.check_output(case, name, x, base.get_submodule(name)(x))
        case.close()

    def test_convolutions(self):
        rng = random.Random(2)
        torch.manual_seed(2)
        for _ in range(60):
            axes, groups = rng.randint(1, 3), rng.choice([1, 1, 2, 3])
            kind = [nn.Conv1d, nn.Conv2d, nn.Conv3d][axes - 1]
            conv = kind(groups * rng.randint(1, 3), groups * rng.randint(1, 3),
                        [rng.randint(1, 3) for _ in range(axes)],
                        stride=[rng.randint(1, 2) for _ in range(axes)],
                        padding=[rng.randint(0, 2) for _ in range(axes)],
                        groups=groups, bias=rng.random() < 0.7)
            x = torch.randn(2, conv.in_channels,
                            *[rng.randint(3, 7) for _ in range(axes)])
            self.check(nn.ModuleDict({"m": conv}), {"m": x},
                       target_modules=["m"], r=groups * rng.randint(1, 3),
                       lora_alpha=rng.randint(1, 9),
                       use_rslora=rng.random() < 0.3,
                       lora_bias=rng.random() < 0.2)

    def test_dilation_with_a_kernel_of_one(self):
        self.check(nn.ModuleDict({"m": nn.Conv2d(3, 4, (1, 3), dilation=(2, 1),
                                                 padding="same")}),
                   {"m": torch.randn(2, 3, 5, 6)}, target_modules=["m"])

    def test_linear_conv1d_and_embedding(self):
        self.check(
            nn.ModuleDict({"a": nn.Linear(5, 7), "b": Conv1D(7, 5),
                           "c": nn.Embedding(11, 6)}),
            {"a": torch.randn(2, 5), "b": torch.randn(2, 5),
             "c": torch.arange(11)}, target_modules=["a", "b", "c"], r=3)

    def check_multihead_attention(self, **config):
        attention = nn.MultiheadAttention(8, 2)
        nn.init.normal_(attention.in_proj_bias)
        case = Case(nn.ModuleDict({"attn": attention}),
                    target_modules=["attn"], r=3, lora_alpha=5, **config)
        layer = case.module("attn")
        x = torch.randn(3, 8)
        base = layer.base_layer
        with torch.no_grad():
            weight = base.in_proj_weight + layer.get_delta_weight("default")
            self.check_output(case, "attn", x, nn.functional.linear(
                x, weight, base.in_proj_bias))
            # PEFT's forward merges, which adds the part of out_proj twice.
            layer.merge()
            self.check_output(case, "attn.out_proj", x, nn.functional.linear(
                x, base.out_proj.weight, base.out_proj.bias))
            case.merge()
            self.check_output(case, "attn", x, nn.functional.linear(
                x, base.in_proj_weight, base.in_proj_bias))
            self.check_output(case, "attn.out_proj", x, nn.functional.linear(
                x, base.out_proj.weight, base.out_proj.bias))
        self.check_state_dict(case)
        case.close()

    def test_multihead_attention(self):
        self.check_multihead_attention(rank_pattern={"attn": 4})

    def test_trained_biases_of_a_multihead_attention(self):
        for bias in ("lora_only", "all"):
            with self.subTest(bias=bias):
                self.check_multihead_attention(bias=bias)

    def check_experts(self, is_transposed, names, **config):
        model = nn.ModuleDict(
            {"moe": toy_models.Experts(3, 6, 10, is_transposed)})
        case = Case(model, target_modules=[], target_parameters=names,
                    lora_alpha=7, **config)
        widths = {"up": 6, "down": 10}
        wrapper = case.module("moe")
        while hasattr(wrapper, "parameter_name"):
            name = wrapper.parameter_name
            matrices = wrapper.get_param() + wrapper.get_delta_weight("default")
            x = torch.randn(4, widths[name])
            for expert in range(3):
                matrix = matrices[expert]
                expected = x @ (matrix if is_transposed else matrix.T)
                self.check_output(case, f"moe.{name}", x, expected.detach(),
                                  expert)
            wrapper = wrapper.base_layer
        self.check_merged_experts(case, is_transposed, widths)
        self.check_state_dict(case)
        case.close()

    def check_merged_experts(self, case, is_transposed, widths):
        case.merge()
        case.peft.merge_adapter()
        parameters = dict(case.peft.named_parameters())
        for name, width in widths.items():
            matrices = next(p for key, p in parameters.items()
                            if key.endswith("." + name))
            x = torch.randn(4, width)
            for expert, matrix in enumerate(matrices):
                expected = x @ (matrix if is_transposed else matrix.T)
                self.check_output(case, f"moe.{name}", x, expected.detach(),
                                  expert)

    def test_experts(self):
        for is_transposed in (False, True):
            self.check_experts(is_transposed, ["up"], r=2)
            self.check_experts(is_transposed, ["moe.up", "down"], r=3,
                               rank_pattern={"moe.up": 5})

    def test_the_weight_of_a_linear_layer_as_a_parameter(self):
        self.check(nn.ModuleDict({"a": nn.Linear(5, 7)}),
                   {"a": torch.randn(2, 5)}, target_modules=[],
                   target_parameters=["a.weight"], r=3)

    def test_trained_biases(self):
        norm = nn.LayerNorm(5)
        self.check(nn.ModuleDict({"a": nn.Linear(5, 5), "n": norm,
                                  "c": nn.Conv1d(2, 3, 2), "b": Conv1D(4, 5)}),
                   {"a": torch.randn(2, 5), "n": torch.randn(2, 5),
                    "c": torch.randn(2, 2, 5), "b": torch.randn(2, 5)},
                   target_modules=["a"], bias="all")

    def test_modules_to_save(self):
        self.check(
            nn.ModuleDict({"a": nn.Linear(5, 5), "one": Conv1D(4, 5),
                           "two": nn.Conv2d(2, 4, 3, groups=2),
                           "three": nn.Embedding(9, 4)}),
            {"a": torch.randn(2, 5), "one": torch.randn(2, 5),
             "two": torch.randn(2, 2, 5, 5), "three": torch.arange(9)},
            target_modules=["a"], modules_to_save=["one", "two", "three"])

    def test_a_saved_module_with_modules_in_it(self):
        head = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.LayerNorm(4))
        case = Case(nn.ModuleDict({"a": nn.Linear(5, 5), "head": head}),
                    target_modules=["a"], modules_to_save=["head"])
        saved = case.module("head").modules_to_save["default"]
        for index, width in ((0, 5), (2, 4)):
            x = torch.randn(2, width)
            self.check_output(case, f"head.{index}", x,
                              saved[index](x).detach())
        self.check_state_dict(case)
        case.close()

    def test_trained_tokens(self):
        for indices in ([7, 2, 4], {"embed_tokens": [7, 2], "other": [0]}):
            self.check(
                nn.ModuleDict({"embed_tokens": nn.Embedding(9, 4),
                               "other": nn.Embedding(3, 4),
                               "a": nn.Linear(4, 4)}),
                {"embed_tokens": torch.arange(9), "other": torch.arange(3),
                 "a": torch.randn(2, 4)},
                target_modules=["a"], trainable_token_indices=indices)


class RefusedTest(unittest.TestCase):
    """What PEFT cannot run has an error, before anything has changed."""

    def refuse(self, model, error_id, tensors, **config):
        host = toy_models.host_model(LIBRARY, model)
        with tempfile.TemporaryDirectory() as folder:
            peft.LoraConfig(**config).save_pretrained(folder)
            safetensors.torch.save_file(
                {PREFIX + name: torch.zeros(shape)
                 for name, shape in tensors.items()},
                pathlib.Path(folder, "adapter_model.safetensors"))
            with self.assertRaises(peft_ctypes.PeftError) as caught:
                host.load_adapter(folder, "a")
        self.assertEqual(caught.exception.id, error_id, caught.exception)
        host.close()

    def refuse_conv(self, error_id, conv, r, shape_a, shape_b):
        self.refuse(nn.ModuleDict({"m": conv}), error_id,
                    {"m.lora_A.weight": shape_a, "m.lora_B.weight": shape_b},
                    r=r, target_modules=["m"])

    def test_rank_that_groups_do_not_divide(self):
        self.refuse_conv("ADAPTER_CONFIG", nn.Conv1d(4, 4, 3, groups=2), 3,
                         (3, 4, 3), (4, 1, 1))

    def test_dilation(self):
        self.refuse_conv("ADAPTER_CONFIG", nn.Conv1d(4, 4, 3, dilation=2), 2,
                         (2, 4, 3), (4, 2, 1))

    def test_factors_of_another_kernel(self):
        self.refuse_conv("TENSOR_SHAPE_MISMATCH", nn.Conv1d(4, 4, 3), 2,
                         (2, 4, 5), (4, 2, 1))
        self.refuse_conv("TENSOR_SHAPE_MISMATCH", nn.Conv1d(4, 4, 3), 2,
                         (2, 12), (4, 2, 1))

    def refuse_parameters(self, error_id, names, target_modules=(), **config):
        model = nn.ModuleDict({"moe": toy_models.Experts(3, 6, 10, False),
                               "a": nn.Linear(4, 4), "c": nn.Conv1d(2, 2, 1)})
        self.refuse(model, error_id, {"moe.lora_A.weight": (6, 6)}, r=2,
                    target_modules=list(target_modules),
                    target_parameters=names, **config)

    def test_parameters(self):
        self.refuse_parameters("NO_TARGET_MATCHED", ["absent"])
        self.refuse_parameters("NO_TARGET_MATCHED", ["p"])
        self.refuse_parameters("ADAPTER_CONFIG", ["a.bias"])
        self.refuse_parameters("ADAPTER_CONFIG", ["a.weight"], ["a"])
        self.refuse_parameters("ADAPTER_CONFIG", ["up"], lora_bias=True)
        self.refuse_parameters("ADAPTER_FEATURE_UNSUPPORTED", ["c.weight"])
        self.refuse_parameters("TENSOR_MISSING", ["up"])

    def refuse_tokens(self, error_id, indices, **config):
        model = nn.ModuleDict({"embed_tokens": nn.Embedding(9, 4),
                               "a": nn.Linear(4, 4), "n": nn.LayerNorm(4)})
        self.refuse(model, error_id, {"a.lora_A.weight": (8, 4)},
                    **{"target_modules": ["a"],
                       "trainable_token_indices": indices, **config})

    def test_tokens(self):
        self.refuse_tokens("ADAPTER_CONFIG", [9])
        self.refuse_tokens("ADAPTER_CONFIG", [-1])
        self.refuse_tokens("ADAPTER_CONFIG", {"n": [3]})
        self.refuse_tokens("NO_TARGET_MATCHED", {"absent": [3]})
        self.refuse_tokens("TENSOR_MISSING", [3])
        self.refuse_tokens("ADAPTER_CONFIG", [3],
                           target_modules=["embed_tokens"])

    def test_a_saved_module_that_is_a_target(self):
        self.refuse(nn.ModuleDict({"mlp": nn.Linear(4, 4)}), "ADAPTER_CONFIG",
                    {"mlp.lora_A.weight": (8, 4), "mlp.weight": (4, 4),
                     "mlp.bias": (4,)},
                    target_modules=["mlp"], modules_to_save=["lp"])

    def test_saved_modules_of_another_shape(self):
        self.refuse(nn.ModuleDict({"a": nn.Linear(4, 4),
                                   "h": nn.Linear(4, 3)}),
                    "TENSOR_SHAPE_MISMATCH",
                    {"a.lora_A.weight": (8, 4), "a.lora_B.weight": (4, 8),
                     "h.weight": (2, 4), "h.bias": (2,)},
                    target_modules=["a"], modules_to_save=["h"])


if __name__ == "__main__":
    unittest.main()
