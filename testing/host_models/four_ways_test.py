"""Random host models with random adapters, run in all ways that there are.

A case is a model of a few layers of random kinds, whose weights lie in this
program's memory in a random dtype with random strides, and a few adapters that
Python PEFT has made and saved. At every layer these agree with PEFT's module on
the same values:

- the library runs the layer, for one adapter and for one of each row;
- the library adds to an output that the program computed itself, without its
  weights; where it cannot, it says so;
- adapters are merged into the memory, which numpy then computes with, and out
  of it again, bit by bit;
- the lowered tensors, as docs/lowered.md says.

And a new adapter begins the same whatever the strides are.

--cases N, --only N and --seed S run others than the tests do.
"""

import argparse
import json
import random
import sys
import unittest
import warnings

import numpy as np
import torch
from transformers.pytorch_utils import Conv1D

from testing import peft_ctypes
from testing.host_models import host_memory
from testing.host_models import lowered
from testing.host_models import peft_side
from testing.host_models import random_hosts
from testing.host_models import toy_models

# Of the largest output, and of the largest sum of terms, whose rounding shows
# where they cancel each other.
TOLERANCE = 1e-5
ROUNDING = 1e-6

warnings.simplefilter("ignore")


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library")
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--seed", default="host")
    parser.add_argument("--only", type=int)
    parsed, sys.argv[1:] = parser.parse_known_args()
    return parsed


OPTIONS = options()
LIBRARY = peft_ctypes.Library(OPTIONS.library)


def random_layout(rng, fields):
    """How a weight lies in memory, as far as the library takes it."""
    choices = ["contiguous", "rows"]
    by_rows = (toy_models.EMBEDDING, toy_models.CONV)
    if fields["kind"] not in by_rows:
        choices += ["columns"]
    if fields["kind"] in (toy_models.LAYER_NORM, toy_models.RMS_NORM):
        choices = ["contiguous"]
    return rng.choice(choices), rng.randint(0, 5)


class Case:
    """One model and its adapters, which are loaded as "a0", "a1" ..."""

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        torch.manual_seed(rng.randrange(1 << 30))
        self.dtype = rng.choice(list(host_memory.DTYPES))
        self.x_dtype = rng.choice(list(host_memory.DTYPES))
        self.layers = random_hosts.draw_layers(rng)
        for layer in self.layers:
            if layer.x.dtype == np.float32:
                x = torch.from_numpy(layer.x)
                layer.x = host_memory.round_to(x, self.x_dtype).numpy()
        self.model = random_hosts.model_of(self.layers)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(host_memory.round_to(parameter, self.dtype))
        self.model.eval()
        self.fields = toy_models.layers_of(self.model, lambda t: t.detach())
        self.by_name = {fields["name"]: fields for fields in self.fields}
        self.drawn = [random_hosts.draw_adapter(rng, self.layers)
                      for _ in range(rng.randint(1, 3))]
        self.adapted = [peft_side.Adapted(self.model, drawn.config)
                        for drawn in self.drawn]
        self.terms = {}  # by adapter and (name, expert), once they have run
        self.layouts = {
            fields["name"]: random_layout(rng, fields)
            for fields in self.fields if "weight" in fields}

    def largest_terms(self, part):
        """Under any adapter."""
        return max(self.terms[i, part] for i in range(len(self.adapted)))

    def program(self, **how):
        return host_memory.Program(LIBRARY, self.fields, self.dtype,
                                   self.layouts, **how)

    def close(self):
        for adapted in self.adapted:
            adapted.close()

    def parts(self):
        """(layer, (name, expert), x)."""
        return [(layer, part, x) for layer in self.layers
                for part, x in layer.parts]

    def numpy_layer(self, part, program=None):
        """A layer's fields with numpy's tensors: the base's, or as they lie in
        the memory of `program`."""
        name, expert = part
        fields = dict(self.by_name[name])
        for key in ("weight", "bias"):
            if key not in fields:
                continue
            held = program and (program.weights if key == "weight"
                                else program.biases)[name]
            fields[key] = held.values() if held else fields[key].numpy()
        if expert >= 0:
            fields["weight"] = fields["weight"][expert]
        return fields

    def __str__(self):
        lines = [f"{self.dtype}"]
        lines += [f"  {layer.name}: {layer.module} on {layer.x.shape}, "
                  f"{self.layouts.get(layer.name)}" for layer in self.layers]
        lines += [f"  {drawn.config}" for drawn in self.drawn]
        return "\n".join(lines)


def with_gaps(rng, shape):
    """An output of that shape, and the array that holds it; rows of either may
    lie apart. Convolutions' are contiguous."""
    gap = rng.choice([0, 3])
    whole = np.full(shape[:-1] + (shape[-1] + gap,), np.nan, np.float32)
    return whole[..., :shape[-1]], whole


class FourWaysTest(unittest.TestCase):

    def check(self, found, expected, terms, what):
        """`terms`: the largest sum of absolute values."""
        self.assertEqual(found.shape, expected.shape)
        bound = TOLERANCE * np.abs(expected).max(initial=0) + ROUNDING * terms
        error = np.abs(found - expected).max(initial=0)
        # Not assertGreater: no NaN passes.
        self.assertTrue(error <= bound, f"{what}: {error} above {bound}")

    def check_whole(self, case):
        program = case.program()
        for i, adapted in enumerate(case.adapted):
            program.load(adapted.folder, f"a{i}")
        for i, adapted in enumerate(case.adapted):
            program.set_adapter([f"a{i}"])
            for layer, part, x in case.parts():
                expected = adapted.output(part, x)
                y, whole = self.output_for(case, layer, expected.shape)
                program.run("peft_layer_runner_run", part, x, y,
                            x_dtype=case.x_dtype)
                self.check_lowered(case, program, i, part, x, expected)
                self.check(y, expected, case.terms[i, part],
                           f"a{i} at {part}")
                self.assertTrue(
                    np.isnan(whole[..., expected.shape[-1]:]).all())
        self.check_rows(case, program)
        program.close()

    def output_for(self, case, layer, shape):
        if "conv" in layer.name and "hf" not in layer.name:
            y = np.full(shape, np.nan, np.float32)
            return y, y
        return with_gaps(case.rng, shape)

    def check_lowered(self, case, program, i, part, x, expected):
        forms = lowered.forms_of(program, part)
        layer = case.numpy_layer(part)
        terms = lowered.magnitude(forms, layer, x).max(initial=0)
        case.terms[i, part] = terms
        self.check(lowered.run(forms, layer, x), expected, terms,
                   f"lowered tensors of a{i} at {part}")

    def check_rows(self, case, program):
        """Each row under an adapter of its own, or under none."""
        for _, part, x in case.parts():
            chosen = [case.rng.randrange(-1, len(case.adapted)) for _ in x]
            names = [f"a{i}" if i >= 0 else "__base__" for i in chosen]
            rows = [case.adapted[i].output(part, x[row:row + 1]) if i >= 0 else
                    peft_side.base_output(case.model, part, x[row:row + 1])
                    for row, i in enumerate(chosen)]
            expected = np.concatenate(rows)
            y = np.full(expected.shape, np.nan, np.float32)
            program.run("peft_layer_runner_run", part, x, y, names)
            self.check(y, expected, case.largest_terms(part),
                       f"{names} at {part}")

    def check_delta(self, case):
        """A program that keeps its weights to itself."""
        usable = [(i, drawn) for i, drawn in enumerate(case.drawn)
                  if drawn.method != "dora"]
        program = case.program(hidden=True)
        for i, adapted in enumerate(case.adapted):
            if case.drawn[i].method == "dora":
                with self.assertRaises(peft_ctypes.PeftError) as caught:
                    program.load(adapted.folder, f"a{i}")
                self.assertEqual(caught.exception.id,
                                 "ADAPTER_FEATURE_UNSUPPORTED")
            else:
                program.load(adapted.folder, f"a{i}")
        for i, drawn in usable:
            program.set_adapter([f"a{i}"])
            for layer, part, x in case.parts():
                self.check_added(case, program, i, drawn, layer, part, x)
        self.check_added_rows(case, program, usable)
        program.close()

    def check_added(self, case, program, i, drawn, layer, part, x):
        y = peft_side.base_output(case.model, part, x).copy()
        if drawn.only_adds(layer):
            program.run("peft_layer_runner_add_delta", part, x, y,
                        x_dtype=case.x_dtype)
            self.check(y, case.adapted[i].output(part, x),
                       case.largest_terms(part), f"delta of a{i} at {part}")
            return
        before = y.copy()
        with self.assertRaises(peft_ctypes.PeftError) as caught:
            program.run("peft_layer_runner_add_delta", part, x, y)
        self.assertEqual(caught.exception.id, "LAYER_NO_DELTA")
        self.assertTrue(np.array_equal(y, before))

    def check_added_rows(self, case, program, usable):
        for layer, part, x in case.parts():
            able = [i for i, drawn in usable if drawn.only_adds(layer)]
            if layer.is_a(torch.nn.LayerNorm, torch.nn.RMSNorm):
                continue
            chosen = [case.rng.choice(able + [-1]) for _ in x]
            names = [f"a{i}" if i >= 0 else "__base__" for i in chosen]
            y = peft_side.base_output(case.model, part, x).copy()
            expected = y.copy()
            for row, i in enumerate(chosen):
                if i >= 0:
                    expected[row] = case.adapted[i].output(
                        part, x[row:row + 1])[0]
            program.run("peft_layer_runner_add_delta", part, x, y, names)
            self.check(y, expected, case.largest_terms(part),
                       f"deltas of {names} at {part}")

    def check_merged(self, case):
        program = case.program(writable=True)
        before = program.bytes()
        for i, adapted in enumerate(case.adapted):
            program.load(adapted.folder, f"a{i}")
            if self.why_not_merged(case, i):
                with self.assertRaises(peft_ctypes.PeftError) as caught:
                    program.merge([f"a{i}"])
                self.assertEqual(caught.exception.id, "ADAPTER_NOT_MERGEABLE")
                self.assertEqual(program.bytes(), before)
                continue
            program.merge([f"a{i}"])
            for layer, part, x in case.parts():
                self.check_memory(case, program, part, x,
                                  adapted.output(part, x), f"a{i} at {part}")
            program.unmerge()
            self.assertEqual(program.bytes(), before)
        program.close()
        self.assertEqual(program.bytes(), before)

    def why_not_merged(self, case, i):
        """What no weight can do, or a bias where the layer has none."""
        drawn = case.drawn[i]
        targets = [layer for layer in case.layers
                   if layer.name in drawn.targets]
        if drawn.method != "ia3" and any(t.groups > 1 for t in targets):
            return "groups"
        adds_bias = getattr(drawn.config, "lora_bias", False)
        if adds_bias and any(t.module.bias is None for t in targets):
            return "a bias"
        return ""

    def check_memory(self, case, program, part, x, expected, what):
        layer = case.numpy_layer(part, program)
        found = lowered.run([], layer, x)
        terms = self.terms_of(layer, x, expected)
        half = host_memory.DTYPES[case.dtype][2]
        bound = terms * (half * 1.01 + ROUNDING)
        bound += TOLERANCE * np.abs(expected).max(initial=0)
        self.assertTrue((np.abs(found - expected) <= bound).all(),
                        f"merged {what}: {np.abs(found - expected).max()}")
        y = np.full(expected.shape, np.nan, np.float32)
        program.run("peft_layer_runner_run", part, x, y)
        self.check(y, found, np.max(terms, initial=0),
                   f"library on merged {what}")

    def terms_of(self, layer, x, expected):
        """What rounds where each weight is rounded, for each output."""
        if layer["kind"] in (toy_models.LAYER_NORM, toy_models.RMS_NORM):
            return 3 * np.abs(expected).max(initial=0)
        return lowered.magnitude([], layer, x)

    def check_new_adapter(self, case):
        """What is computed from weights does not depend on their strides."""
        names = [layer.name for layer in case.layers
                 if layer.is_a(torch.nn.Linear, Conv1D)]
        others = [layer.name for layer in case.layers
                  if layer.name not in names]
        how = case.rng.choice([{"init_lora_weights": "pissa"},
                               {"init_lora_weights": "gaussian"},
                               {"use_dora": True}])
        config = {"peft_type": "LORA", "r": 1, "lora_alpha": 1,
                  "target_modules": names, "modules_to_save": others, **how}
        programs = [case.program(),
                    host_memory.Program(LIBRARY, case.fields, case.dtype, {})]
        found = []
        for program in programs:
            program.add_adapter("new", json.dumps(config), seed=3)
            found.append(program.state_dict("new"))
            program.close()
        self.assertEqual(sorted(found[0]), sorted(found[1]))
        for name, tensor in found[0].items():
            self.check_same(tensor, found[1][name],
                            exact="magnitude" not in name)

    def check_same(self, found, expected, exact):
        if exact:
            self.assertEqual(found.tobytes(), expected.tobytes())
        else:  # norms add up in the order of the memory
            np.testing.assert_allclose(found, expected, rtol=1e-6)

    def test_cases(self):
        numbers = range(OPTIONS.cases) if OPTIONS.only is None \
            else [OPTIONS.only]
        for number in numbers:
            case = Case(f"{OPTIONS.seed} {number}")
            for check in (self.check_whole, self.check_delta,
                          self.check_merged, self.check_new_adapter):
                with self.subTest(case=number, way=check.__name__,
                                  about=str(case)):
                    check(case)
            case.close()


if __name__ == "__main__":
    unittest.main()
