"""Adapters on quantised bases compute what PEFT's layers do on the numbers that
the codes stand for."""

import copy
import ctypes
import json
import pathlib
import shutil
import sys
import tempfile
import unittest
import warnings

import numpy as np
import peft
import safetensors.numpy
import safetensors.torch
import torch
import transformers

from testing import peft_ctypes
from testing import peft_structs as structs
from testing.quantized_bases import codes

warnings.simplefilter("ignore")

LIBRARY = peft_ctypes.Library(
    next(a.split("=", 1)[1] for a in sys.argv if a.startswith("--library=")))
TOLERANCE = 1e-5
Q8, Q4 = 1, 2
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj",
           "down_proj"]
ADAPTERS = {
    "lora": peft.LoraConfig(r=4, lora_alpha=16, target_modules=LINEARS),
    "rslora": peft.LoraConfig(r=3, use_rslora=True, target_modules=LINEARS),
    "dora": peft.LoraConfig(r=4, use_dora=True, target_modules=LINEARS),
    "ia3": peft.IA3Config(target_modules=LINEARS,
                          feedforward_modules=["down_proj"]),
    "adalora": peft.AdaLoraConfig(init_r=4, target_r=4, total_step=1,
                                  target_modules=LINEARS),
}


def llama(seed, hidden=64, inner=160, tied=False):
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=120, hidden_size=hidden, intermediate_size=inner,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        tie_word_embeddings=tied, initializer_range=0.08)
    return transformers.LlamaForCausalLM(config).eval()


def is_linear(name):
    return any(name.endswith(f"{linear}.weight") for linear in LINEARS)


def logits_of(model, ids):
    """In double: torch's own roundings are no part of the error."""
    with torch.no_grad():
        return copy.deepcopy(model).double()(torch.tensor(ids)).logits.numpy()


def error_of(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


class Folders(unittest.TestCase):
    """Folders that are gone after the test."""

    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        self.ids = np.random.default_rng(7).integers(0, 120, (2, 13))

    def save(self, model, name="base"):
        model.save_pretrained(self.root / name)
        return self.root / name

    def save_nf4(self, model, nested=True):
        """As bitsandbytes would; `model` gets the dequantised weights."""
        folder = self.save(model, "nf4")
        file = folder / "model.safetensors"
        tensors = safetensors.numpy.load_file(file)
        state = model.state_dict()
        for name in list(tensors):
            if not is_linear(name):
                continue
            stored, dequantised = codes.bitsandbytes_tensors(
                name, tensors.pop(name), nested)
            tensors.update(stored)
            state[name].copy_(torch.from_numpy(dequantised))
        safetensors.numpy.save_file(tensors, file, {"format": "pt"})
        self.edit_config(folder, codes.bitsandbytes_config())
        return folder

    def edit_config(self, folder, quantization):
        path = folder / "config.json"
        config = json.loads(path.read_text())
        config["quantization_config"] = quantization
        path.write_text(json.dumps(config))

    def open(self, folder, **options):
        model = peft_ctypes.Model(LIBRARY, folder, **options)
        self.addCleanup(model.close)
        return model

    def adapter(self, base, method):
        """PEFT's model with a random adapter, and its folder."""
        model = peft.get_peft_model(base, ADAPTERS[method])
        torch.manual_seed(3)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.05 * torch.randn_like(parameter))
        folder = self.root / method
        model.eval().save_pretrained(folder)
        return model, folder

    def check(self, ours, expected):
        """Many rows at once, and then one by one from the cache."""
        self.assertLess(error_of(ours.forward(self.ids), expected), TOLERANCE)
        ours.reset()
        for i in range(self.ids.shape[1]):
            step = peft_ctypes.view_to_numpy(ours.step(self.ids[:, i:i + 1]))
            self.assertLess(error_of(step[:, -1], expected[:, i]), TOLERANCE)

    def check_adapters(self, ours, base):
        """`base` has the numbers that our base's codes stand for."""
        self.check(ours, logits_of(base, self.ids))
        for method in ADAPTERS:
            with self.subTest(method=method):
                model, folder = self.adapter(base, method)
                ours.load_adapter(folder, method)
                ours.set_adapter([method])
                self.check(ours, logits_of(model, self.ids))
                base = model.unload()


class BitsAndBytesTest(Folders):

    def test_adapters_with_nested_scales(self):
        base = llama(1)
        self.check_adapters(self.open(self.save_nf4(base)), base)

    def test_adapters_with_plain_scales(self):
        base = llama(2, hidden=128, inner=256)
        self.check_adapters(self.open(self.save_nf4(base, nested=False)), base)

    # Blocks of 64 then begin within rows.
    def test_rows_that_are_no_whole_blocks(self):
        base = llama(3, hidden=48, inner=100)
        self.check_adapters(self.open(self.save_nf4(base)), base)

    def test_merging_dequantises(self):
        base = llama(4)
        ours = self.open(self.save_nf4(base))
        plain = ours.forward(self.ids)
        model, folder = self.adapter(base, "dora")
        ours.load_adapter(folder, "a")
        LIBRARY.call("peft_model_merge_adapter", ours.handle, None,
                     ctypes.c_size_t(0), None)
        self.check(ours, logits_of(model, self.ids))
        LIBRARY.call("peft_model_unmerge_adapter", ours.handle)
        ours.disable_adapters()
        np.testing.assert_array_equal(ours.forward(self.ids), plain)

    def test_nothing_is_merged_into_a_folder(self):
        base = llama(5)
        ours = self.open(self.save_nf4(base))
        ours.load_adapter(self.adapter(base, "lora")[1], "a")
        with self.assertRaises(peft_ctypes.PeftError) as raised:
            LIBRARY.call("peft_model_merge_and_unload", ours.handle,
                         str(self.root / "new").encode(), None)
        self.assertEqual(raised.exception.id, "MODEL_QUANTIZED")
        self.assertFalse((self.root / "new").exists())

    def test_other_quantisation_is_refused_by_name(self):
        folder = self.save_nf4(llama(6))
        eight = dict(codes.bitsandbytes_config(), load_in_4bit=False,
                     load_in_8bit=True)
        for quantization, name in [(eight, "load_in_4bit"),
                                   ({"quant_method": "gptq"}, "gptq")]:
            self.edit_config(folder, quantization)
            with self.assertRaises(peft_ctypes.PeftError) as raised:
                self.open(folder)
            self.assertEqual(raised.exception.id, "MODEL_UNSUPPORTED")
            self.assertIn(name, raised.exception.message)


class BlocksTest(Folders):

    def write(self, ours, name="blocks"):
        LIBRARY.call("peft_model_write_quantized", ours.handle,
                     str(self.root / name).encode(), None, None)
        return self.root / name

    def dequantise(self, folder, model):
        """Gives `model` the numbers of the folder; returns the names of the
        weights that are quantised."""
        tensors = safetensors.torch.load_file(folder / "model.safetensors")
        state = model.state_dict()
        names = [n for n in tensors if n + ".scales" in tensors]
        for name in names:
            scales = tensors[name + ".scales"]
            self.assertEqual(scales.dtype, torch.bfloat16)
            state[name].copy_(torch.from_numpy(codes.from_blocks(
                tensors[name].numpy(), scales.float().numpy())))
        return names

    def check_size(self, ours, folder):
        info = structs.ModelInfo()
        LIBRARY.call("peft_model_get_info", ours.handle, ctypes.byref(info))
        tensors = safetensors.torch.load_file(folder / "model.safetensors")
        self.assertEqual(info.size_bytes,
                         sum(t.nbytes for t in tensors.values()))

    def check_format(self, base, weight_format, quantize_head=0):
        before = logits_of(base, self.ids)
        ours = self.open(self.save(base), weight_format=weight_format,
                         quantize_head=quantize_head)
        folder = self.write(ours)
        names = self.dequantise(folder, base)
        self.check_size(ours, folder)
        error = np.linalg.norm(logits_of(base, self.ids) - before)
        print(f"weight_format {weight_format}: logits off by "
              f"{error / np.linalg.norm(before):.4f} of their norm")
        again = self.open(folder)
        np.testing.assert_array_equal(again.forward(self.ids),
                                      ours.forward(self.ids))
        self.check_adapters(ours, base)
        return names

    def test_q8(self):
        names = self.check_format(llama(11), Q8)
        self.assertEqual(len(names), 14)
        self.assertTrue(all(map(is_linear, names)))

    def test_q4(self):
        self.check_format(llama(12), Q4)

    def test_q4_with_the_head(self):
        names = self.check_format(llama(13), Q4, quantize_head=1)
        self.assertIn("lm_head.weight", names)
        self.assertNotIn("model.embed_tokens.weight", names)

    def test_q4_with_a_tied_head(self):
        names = self.check_format(llama(14, tied=True), Q4, quantize_head=1)
        self.assertIn("model.embed_tokens.weight", names)

    def test_rows_that_are_no_whole_blocks_stay(self):
        names = self.check_format(llama(15, inner=100), Q4)
        self.assertEqual(len(names), 12)  # all but two down_proj

    def test_folders_of_earlier_versions_are_to_be_quantised_again(self):
        ours = self.open(self.save(llama(18)), weight_format=Q4)
        folder = self.write(ours)
        for version in ({}, {"version": 1}, {"version": 2}):
            self.edit_config(folder, {"quant_method": "peft_blocks",
                                      "block_size": 32, **version})
            with self.assertRaises(peft_ctypes.PeftError) as raised:
                self.open(folder)
            self.assertEqual(raised.exception.id, "MODEL_UNSUPPORTED")
            self.assertIn("peft quantize", raised.exception.message)

    def test_what_is_quantised_is_not_quantised_again(self):
        folder = self.save_nf4(llama(16))
        with self.assertRaises(peft_ctypes.PeftError) as raised:
            self.open(folder, weight_format=Q4)
        self.assertEqual(raised.exception.id, "MODEL_QUANTIZED")

    def test_only_blocks_are_written_and_nothing_is_overwritten(self):
        base = llama(17)
        plain = self.open(self.save(base))
        with self.assertRaises(peft_ctypes.PeftError) as raised:
            self.write(plain)
        self.assertEqual(raised.exception.id, "MODEL_QUANTIZED")
        ours = self.open(self.root / "base", weight_format=Q8)
        self.write(ours)
        with self.assertRaises(peft_ctypes.PeftError) as raised:
            self.write(ours)
        self.assertEqual(raised.exception.id, "FILE_EXISTS")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
