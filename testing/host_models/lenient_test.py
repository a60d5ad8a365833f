"""A file that lacks a tensor, loaded with `lenient`, does what PEFT makes of
it, and the report has a line that says so.

Of a saved module or trained tokens PeftModel cannot load such a file, and its
loader for transformers' models keeps the base's: so do we.
"""

import copy
import pathlib
import tempfile
import unittest
import warnings

import peft
import safetensors.torch
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from testing.host_models import toy_models

LIBRARY = toy_models.library()
TOLERANCE = 1e-5
MISSING = 2  # PEFT_REPORT_MISSING
PREFIX = "base_model.model."

BASE = "the base model's own stands for it"
UNTRAINED = "acts as if it had not been trained"

warnings.simplefilter("ignore")


def model_of():
    return nn.ModuleDict({
        "linear": nn.Linear(5, 7), "other": Conv1D(6, 5),
        "table": nn.Embedding(9, 4), "conv": nn.Conv2d(4, 6, 3, groups=2),
        "norm": nn.LayerNorm(5), "moe": toy_models.Experts(3, 6, 10, True)})


INPUTS = {"linear": torch.randn(3, 5), "other": torch.randn(3, 5),
          "table": torch.arange(9), "conv": torch.randn(2, 4, 5, 5),
          "norm": torch.randn(3, 5)}


class LenientTest(unittest.TestCase):

    def setUp(self):
        torch.manual_seed(7)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.base = model_of()

    def save(self, config):
        """Returns the tensors of a file of random values."""
        adapted = peft.get_peft_model(copy.deepcopy(self.base), config)
        with torch.no_grad():
            for parameter in adapted.parameters():
                if parameter.requires_grad:
                    parameter.normal_(std=0.5)
        adapted.save_pretrained(self.folder)
        return safetensors.torch.load_file(
            self.folder / "adapter_model.safetensors")

    def write(self, tensors):
        safetensors.torch.save_file(
            tensors, self.folder / "adapter_model.safetensors")

    def load_ours(self, tensors):
        """Our model, and the missing tensors of its report."""
        self.write(tensors)
        model = toy_models.host_model(LIBRARY, self.base)
        self.addCleanup(model.close)
        report = model.load_adapter(self.folder, "a", lenient=True)
        return model, [(name, detail) for kind, name, detail in report
                       if kind == MISSING]

    def load_theirs(self, tensors):
        self.write(tensors)
        return peft.PeftModel.from_pretrained(copy.deepcopy(self.base),
                                              self.folder).eval()

    def check(self, config, lacking, detail):
        """Drops each of `lacking` from the file, one at a time."""
        file = self.save(config)
        for name in lacking:
            key = PREFIX + name
            self.assertIn(key, file)
            rest = {k: v for k, v in file.items() if k != key}
            ours, missing = self.load_ours(rest)
            with self.subTest(lacking=name):
                self.assertEqual(missing, [(key, detail)])
                self.compare(self.load_theirs(rest), ours)

    def check_saved(self, config, lacking):
        """The same where PEFT fails: its file with the base's own tensors."""
        file = self.save(config)
        own = self.base.state_dict()
        for names in lacking:
            keys = [PREFIX + name for name in names]
            rest = {k: v for k, v in file.items() if k not in keys}
            ours, missing = self.load_ours(rest)
            with self.subTest(lacking=names):
                self.assertEqual(missing, [(key, BASE) for key in keys])
                with self.assertRaises(KeyError):
                    self.load_theirs(rest)
                filled = {PREFIX + name: own[name].clone() for name in names}
                self.compare(self.load_theirs({**rest, **filled}), ours)

    def compare(self, theirs, ours):
        modules = theirs.base_model.model
        for name, x in INPUTS.items():
            with torch.no_grad():
                expected = modules.get_submodule(name)(x)
            found = ours.run_layer(name, toy_models.numpy(x))
            self.assertLess(toy_models.error_of(found, expected), TOLERANCE,
                            name)

    def test_saved_modules(self):
        self.check_saved(
            peft.LoraConfig(target_modules=["linear"], modules_to_save=[
                "other", "table", "conv", "norm"]),
            [["other.weight"], ["other.bias"], ["table.weight"],
             ["conv.weight"], ["conv.weight", "conv.bias"], ["norm.weight"],
             ["norm.bias"]])

    def test_experts_of_a_saved_module(self):
        file = self.save(peft.LoraConfig(target_modules=["linear"],
                                         modules_to_save=["moe"]))
        ours, missing = self.load_ours(
            {k: v for k, v in file.items() if not k.endswith("moe.up")})
        self.assertEqual(missing, [(f"{PREFIX}moe.up", BASE)])
        x = torch.randn(4, 6)
        for expert in range(3):
            found = ours.run_layer("moe.up", x.numpy(), expert)
            expected = self.base["moe"].product("up", expert, x).detach()
            self.assertLess(toy_models.error_of(found, expected), TOLERANCE)

    def test_trained_biases(self):
        self.check(peft.LoraConfig(target_modules=["linear"], bias="all"),
                   ["linear.base_layer.bias", "conv.bias", "norm.bias"], BASE)

    def test_trained_tokens(self):
        config = peft.LoraConfig(target_modules=["linear"],
                                 trainable_token_indices={"table": [2, 5]})
        key = PREFIX + "table.token_adapter.trainable_tokens_delta"
        file = self.save(config)
        rest = {k: v for k, v in file.items() if k != key}
        ours, missing = self.load_ours(rest)
        self.assertEqual(missing, [(key, BASE)])
        with self.assertRaises(KeyError):
            self.load_theirs(rest)
        rest[key] = self.base["table"].weight[[2, 5]].detach()
        self.compare(self.load_theirs(rest), ours)

    def test_factors(self):
        targets = ["linear", "other", "table", "conv"]
        self.check(peft.LoraConfig(target_modules=targets, r=4),
                   ["linear.lora_B.weight", "other.lora_B.weight",
                    "table.lora_embedding_A", "conv.lora_B.weight"], UNTRAINED)

    def test_magnitudes(self):
        self.check(peft.LoraConfig(target_modules=["linear", "other"], r=4,
                                   use_dora=True),
                   ["linear.lora_magnitude_vector",
                    "other.lora_magnitude_vector"], UNTRAINED)

    def test_ia3(self):
        self.check(peft.IA3Config(target_modules=["linear", "other", "conv"],
                                  feedforward_modules=["other"]),
                   ["linear.ia3_l", "other.ia3_l", "conv.ia3_l"], UNTRAINED)

    def test_adalora(self):
        self.check(peft.AdaLoraConfig(target_modules=["linear", "other"],
                                      init_r=4, total_step=100),
                   ["linear.lora_E", "other.lora_E"], UNTRAINED)


if __name__ == "__main__":
    unittest.main()
