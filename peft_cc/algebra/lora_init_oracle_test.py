"""Fresh adapters against PEFT's own layers under the same torch seed."""

import random
import sys
import unittest

import torch
from peft import AdaLoraConfig, IA3Config, LoraConfig
from peft.tuners.adalora.layer import SVDLinear
from peft.tuners.ia3.layer import Linear as Ia3Linear
from peft.tuners.lora.layer import (Conv1d, Conv2d, Conv3d, Embedding, Linear)
from torch import nn

from peft_cc.algebra.driver import Batch

DRIVER = sys.argv.pop(1)
PLAIN = [True, False, "gaussian"]
COMPUTED = ["orthogonal", "olora", "pissa", "pissa_niter_0", "pissa_niter_4",
            "mica"]


def name(init):
    return str(init).lower()


class Case:
    """A linear layer of PEFT's, and the same request to the driver."""

    def __init__(self, batch, rng, init, kasa=False, is_small=False):
        self.init = init
        r = rng.randrange(1, 9)
        if init == "orthogonal":
            r *= 2
        sizes = range(1, 6) if is_small else range(r + 1, 70)
        shape = rng.choice(sizes), rng.choice(sizes)
        bias = init in (True, False) and not kasa and rng.random() < 0.5
        seed = rng.getrandbits(40)
        options = {}
        if kasa:
            from peft import KasaConfig
            options["kasa_config"] = KasaConfig()
        alpha = rng.choice([r, 2 * r, rng.randrange(1, 40)])
        config = LoraConfig(r=r, lora_alpha=alpha, init_lora_weights=init,
                            use_rslora=rng.random() < 0.3, lora_bias=bias,
                            target_modules=["x"], **options)
        base = nn.Linear(shape[0], shape[1])
        self.w = base.weight.detach().clone()
        torch.manual_seed(seed)
        self.layer = Linear(base, "a", r=r, lora_alpha=alpha, config=config)
        self.scale = self.layer.scaling["a"]
        self.index = batch.add(
            "init_linear", {"w": self.w}, init=name(init), r=r, bias=bias,
            scale=self.scale, seed=seed, kasa=kasa,
            **{"in": shape[0], "out": shape[1]})

    def __str__(self):
        return f"{self.init} {tuple(self.w.shape)}"


class LoraInitTest(unittest.TestCase):

    def assertBitEqual(self, a, b, message=""):
        self.assertTrue(torch.equal(a, b.detach()), message)

    def assertNear(self, a, b, message, tolerance=1e-5):
        error = (a.double() - b.detach().double()).abs().max().item()
        self.assertLessEqual(error, tolerance, message)

    def run_cases(self, inits, count, **options):
        rng = random.Random(f"lora init {inits}")
        torch.manual_seed(2)
        batch = Batch()
        cases = [Case(batch, rng, init, **options)
                 for init in inits for _ in range(count)]
        batch.run(DRIVER)
        return batch, cases

    def test_plain_draws_are_bit_equal(self):
        batch, cases = self.run_cases(PLAIN, 25)
        for case in cases:
            a, b = case.layer.lora_A["a"], case.layer.lora_B["a"]
            self.assertBitEqual(batch.output(case.index, "a"), a.weight,
                                str(case))
            self.assertBitEqual(batch.output(case.index, "b"), b.weight,
                                str(case))
            if b.bias is not None:
                self.assertBitEqual(batch.output(case.index, "b_bias"), b.bias,
                                    str(case))
            self.assertFalse(batch.has_output(case.index, "change_a"))

    def test_computed_factors_have_pefts_products(self):
        batch, cases = self.run_cases(COMPUTED, 15)
        for case in cases:
            a, b = (batch.output(case.index, n).double() for n in ("a", "b"))
            expected_a = case.layer.lora_A["a"].weight.double()
            expected_b = case.layer.lora_B["a"].weight.double()
            self.assertEqual(a.shape, expected_a.shape)
            self.assertEqual(b.shape, expected_b.shape)
            self.assertNear(b @ a, expected_b @ expected_a, str(case))
            # Each factor by itself too, in what does not depend on signs.
            self.assertNear(b @ b.T, expected_b @ expected_b.T, str(case))
            self.assertNear(a.T @ a, expected_a.T @ expected_a, str(case))

    def test_ranks_beyond_the_weight_are_cut(self):
        batch, cases = self.run_cases(["olora", "pissa"], 20, is_small=True)
        for case in cases:
            a, b = (batch.output(case.index, n) for n in ("a", "b"))
            expected_a = case.layer.lora_A["a"].weight
            expected_b = case.layer.lora_B["a"].weight
            self.assertEqual(a.shape, expected_a.shape, str(case))
            self.assertEqual(b.shape, expected_b.shape, str(case))
            self.assertNear(b @ a, expected_b @ expected_a, str(case))

    def test_orthogonal_factors_are_pefts(self):
        batch, cases = self.run_cases(["orthogonal"], 30)
        for case in cases:
            self.assertNear(batch.output(case.index, "a"),
                            case.layer.lora_A["a"].weight, str(case))
            self.assertNear(batch.output(case.index, "b"),
                            case.layer.lora_B["a"].weight, str(case))

    def test_the_base_changes_as_pefts_does(self):
        batch, cases = self.run_cases(COMPUTED, 8)
        for case in cases:
            expected = case.layer.base_layer.weight.detach() - case.w
            changes = case.init not in ("orthogonal", "mica")
            self.assertEqual(batch.has_output(case.index, "change_a"), changes)
            if not changes:
                self.assertEqual(expected.abs().max().item(), 0)
                continue
            change = -case.scale * (batch.output(case.index, "change_b")
                                    @ batch.output(case.index, "change_a"))
            self.assertNear(change, expected, str(case))

    def test_kasa(self):
        batch, cases = self.run_cases([True, False, "gaussian"], 8, kasa=True)
        for case in cases:
            i = case.index
            self.assertBitEqual(batch.output(i, "a"),
                                case.layer.lora_A["a"].weight, str(case))
            self.assertBitEqual(batch.output(i, "diag"),
                                case.layer.lora_diag["a"], str(case))
            change = -(batch.output(i, "change_b")
                       @ batch.output(i, "change_a"))
            self.assertNear(change, case.layer.base_layer.weight - case.w,
                            str(case))

    def test_embedding(self):
        rng = random.Random("embedding")
        batch, cases = Batch(), []
        for init in PLAIN + ["pissa", "mica"] * 4 + PLAIN * 4:
            seed, r = rng.getrandbits(32), rng.randrange(1, 8)
            base = nn.Embedding(rng.randrange(8, 60), rng.randrange(8, 40))
            w = base.weight.detach().clone()
            config = LoraConfig(r=r, init_lora_weights=init,
                                target_modules=["x"])
            torch.manual_seed(seed)
            layer = Embedding(base, "a", r=r, lora_alpha=8, config=config)
            cases.append((init, layer, batch.add(
                "init_embedding", {"w": w}, init=name(init), r=r, seed=seed)))
        batch.run(DRIVER)
        for init, layer, i in cases:
            a, b = batch.output(i, "a"), batch.output(i, "b")
            expected = layer.lora_embedding_B["a"]
            self.assertBitEqual(a, layer.lora_embedding_A["a"], init)
            if init == "mica":
                self.assertNear(b @ b.T, expected @ expected.T, init)
            else:
                self.assertBitEqual(b, expected, init)

    def test_convolutions(self):
        rng = random.Random("convolutions")
        batch, cases = Batch(), []
        kinds = [(nn.Conv1d, Conv1d, 1), (nn.Conv2d, Conv2d, 2),
                 (nn.Conv3d, Conv3d, 3)]
        for init in PLAIN * 8:
            base_class, lora_class, dims = rng.choice(kinds)
            groups = rng.choice([1, 1, 2])
            r = groups * rng.randrange(1, 5)
            channels = (groups * rng.randrange(1, 9),
                        groups * rng.randrange(1, 9))
            kernel = tuple(rng.randrange(1, 4) for _ in range(dims))
            bias = init in (True, False) and rng.random() < 0.5
            seed = rng.getrandbits(32)
            base = base_class(*channels, kernel, groups=groups)
            config = LoraConfig(r=r, init_lora_weights=init, lora_bias=bias,
                                target_modules=["x"])
            torch.manual_seed(seed)
            layer = lora_class(base, "a", r=r, lora_alpha=8, config=config)
            cases.append((init, layer, batch.add(
                "init_conv", init=name(init), r=r, kernel=kernel, bias=bias,
                groups=groups, seed=seed,
                **{"in": channels[0], "out": channels[1]})))
        batch.run(DRIVER)
        for init, layer, i in cases:
            a, b = layer.lora_A["a"], layer.lora_B["a"]
            self.assertBitEqual(batch.output(i, "a"), a.weight, init)
            self.assertBitEqual(batch.output(i, "b"), b.weight, init)
            if b.bias is not None:
                self.assertBitEqual(batch.output(i, "b_bias"), b.bias, init)

    def test_adalora(self):
        rng = random.Random("adalora")
        batch, cases = Batch(), []
        for _ in range(30):
            seed, init = rng.getrandbits(32), rng.random() < 0.7
            # PEFT's config refuses rank 0, its layer does not.
            r = rng.randrange(0, 9)
            base = nn.Linear(rng.randrange(1, 40), rng.randrange(1, 40))
            config = AdaLoraConfig(total_step=10, init_lora_weights=init,
                                   target_modules=["x"])
            torch.manual_seed(seed)
            layer = SVDLinear(base, "a", r=r, lora_alpha=8, config=config)
            cases.append((layer, batch.add(
                "init_adalora", r=r, init=init, seed=seed,
                **{"in": base.in_features, "out": base.out_features})))
        batch.run(DRIVER)
        for layer, i in cases:
            self.assertBitEqual(batch.output(i, "a"), layer.lora_A["a"])
            self.assertBitEqual(batch.output(i, "b"), layer.lora_B["a"])
            self.assertBitEqual(batch.output(i, "e"), layer.lora_E["a"])

    def test_ia3(self):
        batch, cases = Batch(), []
        for seed in range(12):
            feedforward, init = seed % 2 == 0, seed % 3 != 0
            base = nn.Linear(seed + 5, 2 * seed + 9)
            config = IA3Config(init_ia3_weights=init, target_modules=["x"],
                               feedforward_modules=[])
            torch.manual_seed(seed)
            layer = Ia3Linear(base, "a", config=config,
                              is_feedforward=feedforward)
            expected = layer.ia3_l["a"]
            cases.append((expected, batch.add(
                "init_ia3", shape=list(expected.shape), init=init, seed=seed)))
        batch.run(DRIVER)
        for expected, i in cases:
            self.assertBitEqual(batch.output(i, "l"), expected)


if __name__ == "__main__":
    unittest.main()
