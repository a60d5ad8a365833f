"""Adapters that touch embeddings and heads that share a weight, against
PEFT."""

import json
import pathlib
import tempfile
import unittest
import warnings

import peft
import torch
import transformers

from testing import peft_ctypes
from testing import peft_verbs
from testing.host_models import toy_models

LIBRARY = toy_models.library()
TOLERANCE = 1e-5
VOCABULARY = 23

warnings.simplefilter("ignore")


def new_model(kind, tied):
    if kind == "gpt2":
        return transformers.GPT2LMHeadModel(transformers.GPT2Config(
            vocab_size=VOCABULARY, n_embd=16, n_layer=1, n_head=2,
            n_positions=VOCABULARY, tie_word_embeddings=tied))
    if kind == "bert":
        return transformers.BertForMaskedLM(transformers.BertConfig(
            vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=1,
            num_attention_heads=2, intermediate_size=24,
            max_position_embeddings=VOCABULARY, tie_word_embeddings=tied))
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        tie_word_embeddings=tied))


def make_base(folder, tied, kind="llama"):
    torch.manual_seed(3)
    model = new_model(kind, tied)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    model.save_pretrained(folder)
    return model


class TiedEmbeddingsTest(unittest.TestCase):

    def check(self, tied, change=None, kind="llama", **config):
        ids = torch.arange(VOCABULARY).reshape(1, -1)
        config = dict(target_modules=["q_proj"], r=4, lora_alpha=6, **config) \
            if "target_modules" not in config else dict(r=4, **config)
        with tempfile.TemporaryDirectory() as folder:
            base, adapter = pathlib.Path(folder, "b"), pathlib.Path(folder, "a")
            model = make_base(base, tied, kind)
            host = peft_verbs.Model(LIBRARY, base, "logits")
            model = peft.get_peft_model(model, peft.LoraConfig(**config))
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.requires_grad:
                        parameter.normal_(std=0.3)
                if change is not None:
                    change(model)
            model.eval()
            model.save_pretrained(adapter)
            fresh = type(new_model(kind, tied)).from_pretrained(base)
            loaded = peft.PeftModel.from_pretrained(fresh, adapter).eval()
            report = host.load_adapter(adapter, "a")
            with torch.no_grad():
                expected = loaded(ids).logits
            error = toy_models.error_of(host.forward(ids.numpy()), expected)
            self.assertLess(error, TOLERANCE)
            host.merge_and_unload(pathlib.Path(folder, "merged"))
            merged = type(model.base_model.model).from_pretrained(
                pathlib.Path(folder, "merged")).eval()
            with torch.no_grad():
                error = toy_models.error_of(merged(ids).logits.numpy(),
                                            expected)
            self.assertLess(error, TOLERANCE)
            host.disable_adapters()
            fresh = type(fresh).from_pretrained(base)
            with torch.no_grad():
                error = toy_models.error_of(host.forward(ids.numpy()),
                                            fresh(ids).logits)
            self.assertLess(error, TOLERANCE)
            host.close()
        return report

    def test_trained_tokens(self):
        for tied in (False, True):
            with self.subTest(tied=tied):
                self.check(tied, trainable_token_indices=[5, 1, 20])
                self.check(tied, trainable_token_indices=[5, 1, 5, 20, 1, 5])

    def test_trained_tokens_of_embedding_and_head(self):
        same = {"embed_tokens": [5, 1], "lm_head": [5, 1]}
        other = {"embed_tokens": [5, 1], "lm_head": [2, 1]}
        self.check(False, trainable_token_indices=other)
        self.check(True, trainable_token_indices=same)
        self.check(True, trainable_token_indices=other)

    def test_modules_to_save(self):
        self.check(False, modules_to_save=["lm_head", "embed_tokens", "norm"])
        self.check(True, modules_to_save=["embed_tokens"])
        self.check(True, modules_to_save=["lm_head"])

    def test_modules_to_save_that_stay_tied(self):
        for name in ("embed_tokens", "lm_head"):
            with self.subTest(name=name):
                self.check(True, modules_to_save=[name],
                           ensure_weight_tying=True)

    # PEFT ties what is called "embed_tokens" or "lm_head" only.
    def test_modules_to_save_under_other_names(self):
        for kind, target, names in (
                ("gpt2", "c_attn", ["wte", "lm_head"]),
                ("bert", "query", ["word_embeddings", "decoder", "lm_head"])):
            for chosen in [[name] for name in names] + [names]:
                for tying in (False, True):
                    if chosen == ["lm_head"] and kind == "bert" and not tying:
                        continue  # saves nothing
                    with self.subTest(kind=kind, chosen=chosen, tying=tying):
                        self.check(True, kind=kind, target_modules=[target],
                                   modules_to_save=list(chosen),
                                   ensure_weight_tying=tying)

    def test_factors_of_an_embedding(self):
        self.check(False, target_modules=["embed_tokens", "lm_head"])
        self.check(True, target_modules=["embed_tokens"])

    def test_factors_that_stay_tied(self):
        for names in (["embed_tokens"], ["lm_head"]):
            with self.subTest(names=names):
                self.check(True, target_modules=names,
                           ensure_weight_tying=True)

    def test_factors_of_a_head_that_peft_loses(self):
        with tempfile.TemporaryDirectory() as folder:
            base, adapter = pathlib.Path(folder, "b"), pathlib.Path(folder, "a")
            model = make_base(base, True, "gpt2")
            host = peft_ctypes.Model(LIBRARY, base)
            trained = peft.get_peft_model(model, peft.LoraConfig(
                target_modules=["lm_head"], r=2, ensure_weight_tying=True))
            with torch.no_grad():
                for parameter in trained.parameters():
                    if parameter.requires_grad:
                        parameter.normal_(std=0.3)
            trained.eval().save_pretrained(adapter)
            with self.assertRaisesRegex(peft_ctypes.PeftError,
                                        "add \"lm_head\" to target_modules"):
                host.load_adapter(adapter, "a")
            file = adapter / "adapter_config.json"
            config = json.loads(file.read_text())
            config["target_modules"].append("lm_head")
            file.write_text(json.dumps(config))
            host.load_adapter(adapter, "a")
            ids = torch.arange(VOCABULARY).reshape(1, -1)
            with torch.no_grad():
                error = toy_models.error_of(host.forward(ids.numpy()),
                                            trained(ids).logits)
            self.assertLess(error, TOLERANCE)
            host.close()

    def test_saved_embeddings_that_were_trained(self):
        def change(model):
            inner = model.base_model.model
            inner.model.embed_tokens.base_layer.weight.normal_(std=0.3)

        for tied in (False, True):
            with self.subTest(tied=tied):
                report = self.check(tied, change,
                                    target_modules=["embed_tokens"])
                self.assertTrue(any("replaces it" in detail
                                    for _, _, detail in report))


if __name__ == "__main__":
    unittest.main()
