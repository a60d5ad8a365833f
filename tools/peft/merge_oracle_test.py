"""Folders that `peft merge` writes, opened by transformers."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import peft
import torch
import transformers

PEFT = os.path.abspath(sys.argv.pop(1))


def small_llama(rng, tied):
    heads = rng.choice([2, 4])
    return transformers.AutoModelForCausalLM.from_config(
        transformers.LlamaConfig(
            vocab_size=rng.randint(40, 90), hidden_size=heads * 8,
            intermediate_size=rng.randint(24, 60), num_hidden_layers=3,
            num_attention_heads=heads, num_key_value_heads=heads // 2,
            tie_word_embeddings=tied))


def small_gpt2(rng, tied):
    return transformers.AutoModelForCausalLM.from_config(
        transformers.GPT2Config(
            vocab_size=rng.randint(40, 90), n_embd=16, n_layer=2, n_head=2,
            n_positions=32, tie_word_embeddings=tied))


def random_adapter(rng, model, targets, folder):
    """A LoRA with random factors, saved; and the PeftModel."""
    model = peft.get_peft_model(model, peft.LoraConfig(
        r=rng.randint(1, 6), lora_alpha=8, target_modules=targets,
        init_lora_weights=False))
    model.save_pretrained(folder, save_embedding_layers=False)
    return model.eval()


def logits_of(model, ids):
    with torch.no_grad():
        return model(ids).logits.float()


def run(*words):
    return subprocess.run([PEFT, *map(str, words)], capture_output=True,
                          text=True, check=False)


class MergeTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        torch.manual_seed(7)

    def merge_and_compare(self, make, targets, seed, dtype=torch.float32,
                          tied=False, shard=None):
        """The folder's logits are those that PEFT has with the adapter, or in
        bf16, where a merge rounds, with its own merged model. (What that gives
        for a tied embedding is another model's.)"""
        rng = random.Random(seed)
        folder = self.folder / str(seed)
        folder.mkdir()
        base, out = folder / "base", folder / "merged"
        adapter = folder / "adapter"
        model = make(rng, tied).eval().to(dtype)
        options = {} if shard is None else {"max_shard_size": shard}
        model.save_pretrained(base, **options)
        adapted = random_adapter(rng, model, targets, adapter)
        done = run("merge", "--model", base, "--adapter", adapter,
                   "--output", out, "--safe")
        self.assertEqual(done.returncode, 0, done.stderr)
        ids = torch.randint(0, 40, (2, 7))
        if dtype != torch.float32:
            adapted = adapted.merge_and_unload()
        expected = logits_of(adapted, ids)
        opened = transformers.AutoModelForCausalLM.from_pretrained(
            out, dtype=dtype).eval()
        got = logits_of(opened, ids)
        # PEFT rounds the change to bf16 before it adds it: a last bit.
        bound = 1e-5 if dtype == torch.float32 else 0.04
        self.assertLess((got - expected).abs().max(),
                        bound * expected.abs().max())
        self.assertEqual({p.dtype for p in opened.parameters()}, {dtype})
        return opened, out

    def test_llama_gives_the_logits_of_the_adapter(self):
        for seed in range(3):
            with self.subTest(seed=seed):
                self.merge_and_compare(small_llama, "all-linear", seed)

    def test_bf16_stays_bf16(self):
        self.merge_and_compare(small_llama, "all-linear", 3, torch.bfloat16)

    def test_shards_stay_shards(self):
        _, out = self.merge_and_compare(small_llama, "all-linear", 4,
                                        shard="8KB")
        self.assertGreater(len(list(out.glob("model-*.safetensors"))), 1)

    def test_a_tied_head_stays_tied_where_the_embedding_does_not_change(self):
        opened, _ = self.merge_and_compare(small_llama, ["q_proj"], 5,
                                           tied=True)
        self.assertTrue(opened.config.tie_word_embeddings)

    def test_a_tied_head_is_untied_where_one_of_both_changes(self):
        opened, _ = self.merge_and_compare(
            small_llama, ["q_proj", "embed_tokens"], 6, tied=True)
        self.assertFalse(opened.config.tie_word_embeddings)

    def test_gpt2_with_a_tied_head(self):
        self.merge_and_compare(small_gpt2, ["c_attn", "c_fc"], 8, tied=True)


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heed_signals():
    """Whoever ignores signals, such as nohup, passes that on."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


class CancelTest(unittest.TestCase):

    def test_what_asks_it_to_end_leaves_nothing_behind(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            model = transformers.AutoModelForCausalLM.from_config(
                transformers.LlamaConfig(
                    vocab_size=40, hidden_size=768, intermediate_size=3072,
                    num_hidden_layers=4, num_attention_heads=8))
            model.save_pretrained(folder / "base")
            random_adapter(random.Random(1), model, "all-linear",
                           folder / "adapter")
            for number in SIGNALS:
                with self.subTest(signal=number):
                    self.interrupt_merge(folder, number)

    def interrupt_merge(self, folder, number):
        with tempfile.TemporaryDirectory(dir=folder) as name:
            work = pathlib.Path(name)
            process = subprocess.Popen(
                [PEFT, "merge", "--model", folder / "base", "--adapter",
                 folder / "adapter", "--output", work / "merged"],
                stderr=subprocess.PIPE, text=True, preexec_fn=heed_signals)
            while not any(work.iterdir()) and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(number)
            complaint = process.communicate()[1]
            self.assertEqual(process.returncode, 1, complaint)
            self.assertIn("CANCELLED", complaint)
            self.assertEqual(list(work.iterdir()), [])


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    unittest.main()
