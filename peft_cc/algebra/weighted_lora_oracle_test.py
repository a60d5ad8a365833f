"""Combinations and conversions against PEFT's own functions."""

import json
import math
import pathlib
import random
import sys
import tempfile
import unittest
from unittest import mock

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora.layer import Conv2d, Embedding, Linear
from peft.tuners.lora.model import LoraModel
from safetensors.torch import load_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from peft_cc.algebra.driver import Batch

DRIVER = sys.argv.pop(1)
ON_FACTORS = ["linear", "ties", "dare_linear", "dare_ties", "magnitude_prune"]
ON_DELTAS = ["svd", "ties_svd", "dare_linear_svd", "dare_ties_svd",
             "magnitude_prune_svd"]
EXACT_SVD = torch.linalg.svd


def svd_with_fixed_signs(matrix, full_matrices, driver):
    """torch's, in f64 and with the signs that the library promises."""
    u, s, vh = EXACT_SVD(matrix.double(), full_matrices=False)
    sign = u.gather(0, u.abs().argmax(0, keepdim=True)).sign()
    return (u * sign).float(), s.float(), (vh * sign.T).float()


class Case:
    """A layer of PEFT's with several adapters, and options to combine them."""

    def __init__(self, rng, combination_type):
        self.type = combination_type
        count = rng.randrange(1, 5)
        r = rng.randrange(1, 7)
        on_deltas = combination_type.endswith("svd")
        ranks = [rng.randrange(1, 7) if on_deltas else r for _ in range(count)]
        # Coarse numbers have equal magnitudes, opposite sums and zeros.
        self.coarse = rng.random() < 0.4
        self.kind = rng.choice(["linear", "conv1d", "embedding", "conv2d"])
        self.names = [f"a{i}" for i in range(count)]
        self.weights = [rng.uniform(-1.5, 1.5) for _ in range(count)]
        self.density = rng.choice([0.2, 0.5, rng.uniform(0.01, 1), 1.0, 1.5])
        self.method = rng.choice(["total", "frequency"])
        self.clamp = None
        self.svd_rank = rng.choice([None, rng.randrange(1, 6)])
        self.seed = rng.getrandbits(32)
        self.layer = self.make_layer(rng, ranks)

    def make_layer(self, rng, ranks):
        sizes = rng.randrange(7, 30), rng.randrange(7, 30)
        bases = {"linear": lambda: nn.Linear(*sizes),
                 "conv1d": lambda: Conv1D(sizes[1], sizes[0]),
                 "embedding": lambda: nn.Embedding(*sizes),
                 "conv2d": lambda: nn.Conv2d(*sizes, rng.randrange(1, 4))}
        classes = {"embedding": Embedding, "conv2d": Conv2d}
        config = LoraConfig(target_modules=["x"], init_lora_weights=False,
                            fan_in_fan_out=self.kind == "conv1d")
        layer = None
        for name, r in zip(self.names, ranks):
            alpha = rng.randrange(1, 20)
            if layer is None:
                layer = classes.get(self.kind, Linear)(
                    bases[self.kind](), name, r=r, lora_alpha=alpha,
                    config=config)
            else:
                layer.update_layer(name, r, lora_alpha=alpha, config=config)
            if self.coarse:
                for tensor in self.tensors_of(layer, name):
                    tensor.data = (tensor.data * 3).round() / 4
        return layer

    def tensors_of(self, layer, name):
        if self.kind == "embedding":
            return layer.lora_embedding_A[name], layer.lora_embedding_B[name]
        return layer.lora_A[name].weight, layer.lora_B[name].weight

    def add_to(self, batch):
        tensors = {}
        for i, name in enumerate(self.names):
            tensors[f"a{i}"], tensors[f"b{i}"] = self.tensors_of(self.layer,
                                                                 name)
        self.index = batch.add(
            "combine", tensors, type=self.type, method=self.method,
            density=self.density, clamp=self.clamp, svd_rank=self.svd_rank,
            transposed=self.kind in ("conv1d", "embedding"),
            weights=self.weights, seed=self.seed,
            scales=[self.layer.scaling[name] for name in self.names])
        return self

    def expected_factors(self):
        torch.manual_seed(self.seed)
        return LoraModel._generalized_task_arithmetic_weighted_adapter(
            None, self.type, self.names, self.weights, self.layer,
            self.density, self.method)

    def new_rank(self):
        ranks = [self.layer.r[name] for name in self.names]
        return self.svd_rank or max(ranks)

    def expected_svd_factors(self):
        a, b = self.tensors_of(self.layer, self.names[0])
        new_rank = self.new_rank()
        like_a = torch.empty(new_rank, *a.shape[1:])
        like_b = torch.empty(b.shape[0], new_rank, *b.shape[2:])
        torch.manual_seed(self.seed)
        return LoraModel._svd_generalized_task_arithmetic_weighted_adapter(
            None, self.type, self.names, self.weights, new_rank, self.layer,
            like_a, like_b, self.density, self.method, self.clamp)

    def __str__(self):
        return (f"{self.type} {self.kind} coarse={self.coarse} n="
                f"{len(self.names)} density={self.density} {self.method} "
                f"clamp={self.clamp} rank={self.svd_rank}")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.x = nn.Linear(12, 9, bias=False)

    def forward(self, x):
        return self.x(x)


class WeightedLoraTest(unittest.TestCase):

    def assertNear(self, a, b, message, tolerance=1e-5):
        self.assertEqual(a.shape, b.shape, message)
        scale = max(1.0, b.detach().abs().max().item())
        error = (a.double() - b.detach().double()).abs().max().item()
        self.assertLessEqual(error, tolerance * scale, message)

    def run_cases(self, types, count, prepare=None):
        rng = random.Random(f"weighted {types}")
        torch.manual_seed(3)
        batch, cases = Batch(), []
        for combination_type in types:
            for _ in range(count):
                case = Case(rng, combination_type)
                if prepare is not None:
                    prepare(case, rng)
                cases.append(case.add_to(batch))
        batch.run(DRIVER)
        return batch, cases

    def test_types_on_factors(self):
        batch, cases = self.run_cases(ON_FACTORS, 40)
        for case in cases:
            a, b = case.expected_factors()
            self.assertNear(batch.output(case.index, "a"), a, str(case))
            self.assertNear(batch.output(case.index, "b"), b, str(case))

    def test_types_with_a_decomposition(self):
        batch, cases = self.run_cases(ON_DELTAS, 30)
        for case in cases:
            a, b = case.expected_svd_factors()
            new_a = batch.output(case.index, "a")
            new_b = batch.output(case.index, "b")
            self.assertEqual(new_a.shape, a.shape)
            self.assertEqual(new_b.shape, b.shape)
            self.assertNear(new_b.flatten(1) @ new_a.flatten(1),
                            b.flatten(1) @ a.flatten(1), str(case))

    def test_svd_clamp(self):
        def prepare(case, rng):
            case.clamp = rng.choice([0.5, 0.9, 0.99, 1.0, rng.random()])
            case.coarse = False

        batch, cases = self.run_cases(ON_DELTAS, 8, prepare)
        for case in cases:
            # Singular values of 0 have arbitrary vectors, which count too.
            delta_rank = sum(case.layer.r[name] for name in case.names)
            if case.new_rank() > delta_rank:
                continue
            with mock.patch("torch.linalg.svd", svd_with_fixed_signs):
                a, b = case.expected_svd_factors()
            self.assertNear(batch.output(case.index, "a"), a, str(case))
            self.assertNear(batch.output(case.index, "b"), b, str(case))

    def test_cat(self):
        rng = random.Random("cat")
        batch, cases = Batch(), []
        for seed in range(12):
            torch.manual_seed(seed)
            names = ["default", "second", "third"][:rng.randrange(2, 4)]
            weights = [rng.uniform(-2, 2) for _ in names]
            model = get_peft_model(Net(), LoraConfig(
                r=3, lora_alpha=5, target_modules=["x"],
                init_lora_weights=False))
            for i, name in enumerate(names[1:]):
                model.add_adapter(name, LoraConfig(
                    r=2 + 3 * i, lora_alpha=7, target_modules=["x"],
                    init_lora_weights=False))
            layer = model.base_model.model.x
            model.add_weighted_adapter(names, weights, "new", "cat")
            tensors = {}
            for i, name in enumerate(names):
                tensors[f"a{i}"] = layer.lora_A[name].weight
                tensors[f"b{i}"] = layer.lora_B[name].weight
            cases.append((layer, batch.add(
                "combine", tensors, type="cat", method="total", density=None,
                clamp=None, svd_rank=None, transposed=False, weights=weights,
                scales=[layer.scaling[name] for name in names], seed=0)))
        batch.run(DRIVER)
        for layer, i in cases:
            self.assertTrue(torch.equal(batch.output(i, "a"),
                                        layer.lora_A["new"].weight))
            self.assertTrue(torch.equal(batch.output(i, "b"),
                                        layer.lora_B["new"].weight))

    def test_ia3(self):
        rng = random.Random("ia3")
        torch.manual_seed(4)
        batch, cases = Batch(), []
        for _ in range(12):
            count = rng.randrange(1, 5)
            sources = [torch.randn(rng.choice([9]), 1) for _ in range(count)]
            weights = [rng.uniform(-2, 2) for _ in sources]
            expected = torch.zeros(9, 1)
            for source, weight in zip(sources, weights):
                expected += source * weight
            cases.append((expected, batch.add(
                "combine_ia3", {f"l{i}": l for i, l in enumerate(sources)},
                weights=weights)))
        batch.run(DRIVER)
        for expected, i in cases:
            self.assertTrue(torch.equal(batch.output(i, "l"), expected))

    def convert(self, init, use_rslora, folder):
        """What PEFT saves of a trained adapter for the unchanged base."""
        model = get_peft_model(Net(), LoraConfig(
            r=4, lora_alpha=6, target_modules=["x"], init_lora_weights=init,
            use_rslora=use_rslora))
        model.peft_config["default"].init_lora_weights = True
        model.save_pretrained(folder / "initial")
        model.peft_config["default"].init_lora_weights = init
        layer = model.base_model.model.x
        initial = [t.weight.detach().clone()
                   for t in (layer.lora_A["default"], layer.lora_B["default"])]
        for module in (layer.lora_A["default"], layer.lora_B["default"]):
            module.weight.data += torch.randn_like(module.weight)
        trained = [t.weight.detach().clone()
                   for t in (layer.lora_A["default"], layer.lora_B["default"])]
        model.save_pretrained(
            folder / "converted",
            path_initial_model_for_weight_conversion=str(folder / "initial"))
        tensors = load_file(folder / "converted/adapter_model.safetensors")
        config = json.loads(
            (folder / "converted/adapter_config.json").read_text())
        return initial, trained, tensors, config

    def test_conversion_of_a_changed_base(self):
        batch, cases = Batch(), []
        for init in ("pissa", "olora"):
            for use_rslora in (False, True):
                with tempfile.TemporaryDirectory() as folder:
                    initial, trained, tensors, config = self.convert(
                        init, use_rslora, pathlib.Path(folder))
                cases.append((tensors, config, batch.add(
                    "subtract", {"a": trained[0], "b": trained[1],
                                 "a0": initial[0], "b0": initial[1]},
                    r=4, alpha=6, rslora=use_rslora)))
        batch.run(DRIVER)
        prefix = "base_model.model.x.lora_"
        for tensors, config, i in cases:
            self.assertTrue(torch.equal(batch.output(i, "a"),
                                        tensors[prefix + "A.weight"]))
            self.assertTrue(torch.equal(batch.output(i, "b"),
                                        tensors[prefix + "B.weight"]))
            r, alpha = batch.output(i, "config")[0].tolist()
            self.assertEqual(r, config["r"])
            self.assertTrue(math.isclose(alpha, config["lora_alpha"],
                                         rel_tol=1e-6))


if __name__ == "__main__":
    unittest.main()
