"""Tests of the adapters that PEFT makes of drafts."""

import copy
import json
import pathlib
import random
import tempfile
import unittest
from unittest import mock

import peft
import torch

from testing.conformance import adapters
from testing.conformance import random_methods
from testing.conformance import random_models

SEED = 7


def draft_of(init, convert):
    return random_methods.Draft(
        peft.LoraConfig(r=2, lora_alpha=4, init_lora_weights=init,
                        target_modules=["q_proj", "down_proj"],
                        task_type="CAUSAL_LM"), {"LoRA"}, convert=convert)


def output(base, folder):
    model = peft.PeftModel.from_pretrained(copy.deepcopy(base), folder).eval()
    with torch.no_grad():
        return model(torch.tensor([[1, 2, 3, 4]]))[0]


class AdaptersTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.base, self.layout = random_models.make_model(
            random.Random(SEED), "llama", SEED)

    def saved(self, init, convert):
        return adapters._train_and_save(
            random.Random(SEED), self.base, draft_of(init, convert), "a0x",
            self.folder / f"{init}_{convert}",
            torch.Generator().manual_seed(SEED))

    def check_is_plain(self, folder):
        """Of twice the rank, for the base as it was."""
        config = json.loads((folder / "adapter_config.json").read_text())
        self.assertIs(config["init_lora_weights"], True)
        self.assertEqual(config["r"], 4)
        for key, tensor in adapters.read_tensors(folder).items():
            self.assertEqual(tensor.shape[0 if "lora_A" in key else 1], 4, key)

    def test_a_converted_init_is_a_lora_that_does_the_same(self):
        for init in ("pissa", "olora"):
            converted = self.saved(init, True)
            self.check_is_plain(converted)
            right = output(self.base, self.saved(init, False))
            got = output(self.base, converted)
            self.assertTrue(torch.allclose(got, right, rtol=1e-4, atol=1e-4),
                            (got - right).abs().max())

    def test_pissa_niter_is_converted(self):
        self.check_is_plain(self.saved("pissa_niter_4", True))

    def make(self, *drafts):
        """make_adapter, which draws these."""
        draws = mock.Mock(side_effect=drafts)
        with mock.patch.dict(random_methods.METHODS, lora=draws):
            adapters.make_adapter(random.Random(SEED), self.base, self.layout,
                                  "lora", "a0x", self.folder, SEED)
        return draws.call_count

    def test_a_listed_refusal_is_drawn_again(self):
        nowhere = draft_of(True, False)
        nowhere.config.target_modules = {"nowhere"}
        self.assertEqual(self.make(nowhere, draft_of(True, False)), 2)

    def test_any_other_refusal_is_an_error(self):
        empty = draft_of(True, False)
        empty.config.r = 0
        with self.assertRaisesRegex(RuntimeError, "does not make .*r=0"):
            self.make(empty, draft_of(True, False))


if __name__ == "__main__":
    unittest.main()
