"""Layers that a program runs in part itself compute what Python PEFT does.

In each case torch's own module is the program: the library adds its delta, runs
the whole layer into the program's memory, or merges into the program's weights.
"""

import ctypes as C
import random
import tempfile
import unittest

import numpy as np
import peft
import torch
from torch import nn

from testing import peft_ctypes
from testing import peft_structs as structs
from testing.host_models import toy_models

LIBRARY = toy_models.library()
TOLERANCE = 2e-6


def view(array, dtype=12):
    sizes = (C.c_int64 * max(array.ndim, 1))(*array.shape)
    return structs.TensorView(
        data=array.ctypes.data, dtype=dtype, device_type=1, rank=array.ndim,
        sizes=sizes)


class Runner:
    """A model of one linear layer "m", and a runner of it.

    `weight` and `bias` are numpy arrays in the program's memory; bf16 as bits.
    """

    def __init__(self, weight, bias, dtype=12, **fields):
        self.lib = LIBRARY
        self.out = weight.shape[0]
        weights = view(weight, dtype)
        if fields.pop("is_kept", False):
            weights.data = None
        biases = view(bias, dtype)
        layer = structs.Layer(
            name=b"m", kind=toy_models.LINEAR,
            weight=C.addressof(weights), bias=C.addressof(biases),
            copy_weights=0, groups=1, epsilon=1e-5, **fields)
        for i in range(3):
            layer.stride[i] = layer.dilation[i] = 1
            layer.padding_end[i] = -1
        self.model = self.lib.new("peft_model_create", C.byref(layer),
                                  C.c_size_t(1), None)
        self.runner = self.lib.new("peft_layer_runner_create", self.model)

    def load(self, name, folder):
        self.lib.call("peft_model_load_adapter", self.model, name.encode(),
                      folder.encode(), None, None)

    def call(self, function, x, y, names=()):
        texts = (C.c_char_p * max(len(names), 1))(
            *[name.encode() for name in names])
        options = structs.RunLayerOptions(
            expert=-1, adapter_names=texts, num_adapter_names=len(names))
        self.lib.call(function, self.runner, C.c_int64(0), C.byref(view(x)),
                      C.byref(options), C.byref(view(y)))
        return y

    def run(self, x, names=()):
        y = np.full(x.shape[:-1] + (self.out,), np.nan, dtype=np.float32)
        return self.call("peft_layer_runner_run", x, y, names)

    def close(self):
        self.lib.lib.peft_layer_runner_free(self.runner)
        self.lib.lib.peft_model_free(self.model)


def random_config(rng, is_additive):
    options = dict(r=rng.randint(1, 6), lora_alpha=rng.randint(1, 16),
                   target_modules=["m"], init_lora_weights=False,
                   use_rslora=rng.random() < 0.3,
                   lora_bias=rng.random() < 0.3)
    if not is_additive and rng.random() < 0.5:
        options.update(use_dora=True, lora_bias=False)
    return peft.LoraConfig(**options)


class RunnerTest(unittest.TestCase):

    def setUp(self):
        torch.manual_seed(5)
        self.rng = random.Random(5)

    def make(self, is_additive, adapters=1):
        """A PEFT model over one linear layer, and its adapters' folders."""
        rng = self.rng
        base = nn.ModuleDict({"m": nn.Linear(rng.randint(1, 40),
                                             rng.randint(1, 40))})
        weight = base["m"].weight.detach().numpy().copy()
        bias = base["m"].bias.detach().numpy().copy()
        model = peft.get_peft_model(base, random_config(rng, is_additive), "a0")
        for i in range(1, adapters):
            model.add_adapter(f"a{i}", random_config(rng, is_additive))
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        model.save_pretrained(folder.name)
        folders = [f"{folder.name}/a{i}" for i in range(adapters)]
        return model, weight, bias, folders

    def expect(self, model, name, x):
        model.set_adapter(name)
        with torch.no_grad():
            return model.base_model.model["m"](torch.from_numpy(x))

    def check(self, found, expected):
        self.assertLess(toy_models.error_of(found, expected), TOLERANCE)

    def random_input(self, width):
        return np.random.default_rng(1).standard_normal(
            (self.rng.randint(1, 12), width)).astype(np.float32)

    def test_delta_and_whole_layer(self):
        for _ in range(40):
            model, weight, bias, folders = self.make(is_additive=True)
            x = self.random_input(weight.shape[1])
            expected = self.expect(model, "a0", x)
            kept = Runner(weight, bias, is_kept=True)
            kept.load("a0", folders[0])
            own = x @ weight.T + bias
            self.check(kept.call("peft_layer_runner_add_delta", x, own),
                       expected)
            kept.close()
            whole = Runner(weight, bias)
            whole.load("a0", folders[0])
            self.check(whole.run(x), expected)
            whole.close()

    def test_an_adapter_for_each_row(self):
        for _ in range(20):
            model, weight, bias, folders = self.make(is_additive=True,
                                                     adapters=3)
            x = self.random_input(weight.shape[1])
            names = [self.rng.choice(["a0", "a1", "a2", "__base__"])
                     for _ in x]
            own = x @ weight.T + bias
            rows = [torch.from_numpy(own[i:i + 1]) if name == "__base__"
                    else self.expect(model, name, x[i:i + 1])
                    for i, name in enumerate(names)]
            expected = torch.cat(rows)
            runner = Runner(weight, bias)
            for i, folder in enumerate(folders):
                runner.load(f"a{i}", folder)
            self.check(runner.run(x, names), expected)
            self.check(runner.call("peft_layer_runner_add_delta", x, own,
                                   names), expected)
            runner.close()

    def test_merged_into_the_programs_weights(self):
        for _ in range(40):
            model, weight, bias, folders = self.make(is_additive=False)
            x = self.random_input(weight.shape[1])
            expected = self.expect(model, "a0", x)
            before = weight.tobytes(), bias.tobytes()
            runner = Runner(weight, bias, writable_weights=1)
            runner.load("a0", folders[0])
            runner.lib.call("peft_model_merge_adapter", runner.model, None,
                            C.c_size_t(0), None)
            self.check(x @ weight.T + bias, expected)
            runner.lib.call("peft_model_unmerge_adapter", runner.model)
            self.assertEqual((weight.tobytes(), bias.tobytes()), before)
            runner.close()

    def test_bfloat16_weights_come_back_bit_by_bit(self):
        for _ in range(20):
            _, weight, bias, folders = self.make(is_additive=False)
            bits = [torch.from_numpy(t).bfloat16().view(torch.uint16).numpy()
                    .copy() for t in (weight, bias)]
            before = [b.tobytes() for b in bits]
            runner = Runner(*bits, dtype=11, writable_weights=1)
            runner.load("a0", folders[0])
            runner.lib.call("peft_model_merge_adapter", runner.model, None,
                            C.c_size_t(0), None)
            self.assertNotEqual(bits[0].tobytes(), before[0])
            runner.lib.call("peft_model_unmerge_adapter", runner.model)
            self.assertEqual([b.tobytes() for b in bits], before)
            runner.close()

    def test_lowered_tensors_compute_the_delta(self):
        for _ in range(20):
            model, weight, bias, folders = self.make(is_additive=False)
            x = self.random_input(weight.shape[1])
            expected = self.expect(model, "a0", x)
            runner = Runner(weight, bias)
            runner.load("a0", folders[0])
            self.check(self.run_lowered(runner, x, weight, bias), expected)
            runner.close()

    def run_lowered(self, runner, x, weight, bias):
        lib = runner.lib
        lowered = lib.new("peft_model_lower_layer", runner.model, C.c_int64(0),
                          None)
        lib.lib.peft_lowered_size.restype = C.c_size_t

        def tensor(index, part):
            found = structs.TensorView()
            try:
                lib.call("peft_lowered_get_tensor", lowered, C.c_size_t(index),
                         part, C.byref(found))
            except peft_ctypes.PeftError as error:
                self.assertEqual(error.id, "TENSOR_MISSING")
                return None
            sizes = found.sizes[:found.rank]
            self.assertEqual(found.dtype, 12)
            floats = C.cast(found.data, C.POINTER(C.c_float))
            return np.ctypeslib.as_array(floats, sizes)

        p = x @ weight.T
        for index in range(lib.lib.peft_lowered_size(lowered)):
            form = structs.Form()
            lib.call("peft_lowered_get_form", lowered, C.c_size_t(index),
                     C.byref(form))
            if form.kind == 4:  # PEFT_FORM_LOW_RANK
                p = p + form.scale * ((x @ tensor(index, 1).T) @
                                      tensor(index, 2).T)
            elif form.kind == 5:  # PEFT_FORM_SCALE_OUT
                p = p * tensor(index, 5)
            else:
                self.assertEqual(form.kind, 6)  # PEFT_FORM_BIAS
                bias = tensor(index, 9)
        y = p + bias
        lib.lib.peft_lowered_free(lowered)
        return y


if __name__ == "__main__":
    unittest.main()
