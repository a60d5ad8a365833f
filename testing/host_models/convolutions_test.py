"""IA3, AdaLoRA and LoRA on convolutions compute what PEFT's layers do, also
once they are merged."""

import ctypes
import random
import tempfile
import unittest
import warnings

import numpy as np
import peft
import torch
from torch import nn

from testing.host_models import toy_models

LIBRARY = toy_models.library()
TOLERANCE = 1e-5

warnings.simplefilter("ignore")


def random_conv(rng, axes, groups):
    kind = {2: nn.Conv2d, 3: nn.Conv3d}[axes]
    return kind(groups * rng.randint(1, 3), groups * rng.randint(1, 3),
                [rng.randint(1, 3) for _ in range(axes)],
                stride=[rng.randint(1, 2) for _ in range(axes)],
                padding=[rng.randint(0, 2) for _ in range(axes)],
                dilation=[rng.randint(1, 2) for _ in range(axes)],
                groups=groups, bias=rng.random() < 0.7)


class ConvolutionsTest(unittest.TestCase):

    def check(self, conv, config):
        x = torch.randn(2, conv.in_channels, *[7] * (conv.weight.dim() - 2))
        model = nn.ModuleDict({"m": conv})
        host = toy_models.host_model(LIBRARY, model)
        adapted = peft.get_peft_model(model, config)
        with torch.no_grad():
            for parameter in adapted.parameters():
                if parameter.requires_grad:
                    parameter.normal_(std=0.5)
            adapted.eval()
            expected = adapted.base_model.model["m"](x)
        with tempfile.TemporaryDirectory() as folder:
            adapted.save_pretrained(folder)
            host.load_adapter(folder, "a")
        found = host.run_layer("m", toy_models.numpy(x))
        self.assertLess(toy_models.error_of(found, expected), TOLERANCE, conv)
        self.check_merge(host, adapted, x, found)
        host.close()

    def check_merge(self, host, adapted, x, unmerged):
        adapted.merge_adapter()
        with torch.no_grad():
            expected = adapted.base_model.model["m"](x)
        LIBRARY.call("peft_model_merge_adapter", host.handle, None,
                     ctypes.c_size_t(0), None)
        found = host.run_layer("m", toy_models.numpy(x))
        self.assertLess(toy_models.error_of(found, expected), TOLERANCE)
        LIBRARY.call("peft_model_unmerge_adapter", host.handle)
        again = host.run_layer("m", toy_models.numpy(x))
        self.assertTrue(np.array_equal(again, unmerged))

    def test_ia3(self):
        rng = random.Random(3)
        torch.manual_seed(3)
        for _ in range(40):
            conv = random_conv(rng, rng.randint(2, 3), rng.choice([1, 1, 2, 3]))
            feedforward = ["m"] if rng.random() < 0.5 else []
            self.check(conv, peft.IA3Config(target_modules=["m"],
                                            feedforward_modules=feedforward))

    def test_lora(self):
        rng = random.Random(5)
        torch.manual_seed(5)
        for _ in range(30):
            conv = random_conv(rng, rng.randint(2, 3), 1)
            conv.dilation = (1,) * len(conv.dilation)  # LoRA's own has none
            self.check(conv, peft.LoraConfig(
                target_modules=["m"], r=rng.randint(1, 5),
                lora_alpha=rng.randint(1, 9), use_dora=rng.random() < 0.4))

    def test_adalora(self):
        rng = random.Random(4)
        torch.manual_seed(4)
        for _ in range(20):
            self.check(random_conv(rng, 2, 1), peft.AdaLoraConfig(
                target_modules=["m"], init_r=rng.randint(1, 5), total_step=100,
                lora_alpha=rng.randint(1, 9)))


if __name__ == "__main__":
    unittest.main()
