"""Classifiers' adapters on bases without that head compute what PEFT computes
on the base that transformers gives a new one."""

import copy
import json
import pathlib
import random
import shutil
import sys
import tempfile
import unittest
import warnings

import numpy as np
import peft
import torch
import transformers

from testing import peft_ctypes

warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

LIBRARY = peft_ctypes.Library(
    next(a.split("=", 1)[1] for a in sys.argv if a.startswith("--library=")))
LIBRARY.lib.peft_set_log_level(4)  # errors: new heads are warnings
TOLERANCE = 1e-5
LENGTH = 9
VOCABULARY = 70

# By name: PEFT's task, the header's number, transformers' class, and how the
# error calls it.
TASKS = {
    "sequence": ("SEQ_CLS", 4,
                 transformers.AutoModelForSequenceClassification,
                 "sequence-classification"),
    "token": ("TOKEN_CLS", 5, transformers.AutoModelForTokenClassification,
              "token-classification"),
}
SIZES = dict(vocab_size=VOCABULARY, bos_token_id=None, eos_token_id=None,
             pad_token_id=0, initializer_range=0.1)


def llama(**fields):
    return transformers.LlamaConfig(
        **SIZES, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=32, **fields)


def gpt2(**fields):
    return transformers.GPT2Config(
        **SIZES, n_embd=32, n_layer=2, n_head=4, n_positions=32, **fields)


def bert(**fields):
    return transformers.BertConfig(
        **SIZES, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=32, **fields)


# Each as it is published: with another head, or bare. Only some BERTs have the
# pooler.
BASES = {
    "llama": (transformers.LlamaForCausalLM, llama),
    "llama_bare": (transformers.LlamaModel, llama),
    "gpt2": (transformers.GPT2LMHeadModel, gpt2),
    "gpt2_bare": (transformers.GPT2Model, gpt2),
    "bert_bare": (transformers.BertModel, bert),
    "bert_masked_lm": (transformers.BertForMaskedLM, bert),
}
CASES = [(base, task) for base in BASES for task in TASKS]
TARGETS = {
    "llama": ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj",
              "embed_tokens"],
    "gpt2": ["c_attn", "c_proj", "c_fc", "wte"],
    "bert": ["query", "key", "value", "dense", "word_embeddings"],
}
EMBEDDINGS = ("embed_tokens", "wte", "word_embeddings")  # not for IA3


def family(base):
    return base.split("_")[0]


def randomize(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape,
                                             generator=generator))


def random_adapter(rng, model, base, task):
    """A trained adapter of `model`, as a PeftModel."""
    names = TARGETS[family(base)]
    targets = rng.sample(names, rng.randint(1, len(names)))
    if task == "sequence" and family(base) == "bert" and "dense" in targets:
        targets.append("pooler.dense")
    shared = dict(task_type=TASKS[task][0], target_modules=targets)
    if rng.random() < 0.25:
        shared["target_modules"] = [name for name in targets if name not in
                                    EMBEDDINGS] or names[:1]
        config = peft.IA3Config(feedforward_modules=[], **shared)
    else:
        config = peft.LoraConfig(
            r=rng.randint(1, 6), lora_alpha=rng.randint(1, 12),
            use_rslora=rng.random() < 0.3, use_dora=rng.random() < 0.3,
            bias=rng.choice(["none", "none", "all"]), **shared)
    adapted = peft.get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if any(part in name for part in ("lora_", "ia3_", ".default.")):
                parameter.copy_(0.2 * torch.randn(parameter.shape) +
                                (1.0 if "ia3_" in name or "magnitude" in name
                                 else 0.0))
    return adapted.eval()


def has_magnitudes(adapter):
    """Those of DoRA, which the mixin does not find."""
    config = json.loads((adapter / "adapter_config.json").read_text())
    return bool(config.get("use_dora"))


def inputs(seed, batch=3):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, VOCABULARY, (batch, LENGTH), generator=generator)
    mask = torch.ones_like(ids)
    for row in range(1, batch):
        ids[row, LENGTH - row:] = mask[row, LENGTH - row:] = 0
    return ids, mask


class NewHeadsTest(unittest.TestCase):

    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)

    def save_base(self, base, seed=1, dtype=torch.float32, **fields):
        model_class, config = BASES[base]
        model = model_class(config(**fields)).eval()
        randomize(model, seed)
        model.to(dtype).save_pretrained(self.root / base)
        return self.root / base

    def theirs(self, folder, task, num_labels=None, dtype=torch.float32):
        """The base with a new head."""
        labels = {} if num_labels is None else {"num_labels": num_labels}
        torch.manual_seed(0)
        return TASKS[task][2].from_pretrained(folder, dtype=dtype,
                                              **labels).eval()

    def adapter(self, folder, base, task, num_labels, seed=1):
        """A folder that PEFT saved."""
        rng = random.Random(f"{base} {task} {seed}")
        torch.manual_seed(seed)
        path = self.root / f"{base}_{task}_{seed}"
        random_adapter(rng, self.theirs(folder, task, num_labels), base,
                       task).save_pretrained(path)
        return path

    def with_adapter(self, folder, adapter, task, num_labels):
        return peft.PeftModel.from_pretrained(
            self.theirs(folder, task, num_labels), str(adapter)).eval()

    def mixin(self, folder, adapter, task, num_labels):
        model = self.theirs(folder, task, num_labels)
        model.load_adapter(str(adapter))
        return model.eval()

    def open(self, folder, task=None, **options):
        if task is not None:
            options["task"] = TASKS[task][1]
        model = peft_ctypes.Model(LIBRARY, folder, **options)
        self.addCleanup(model.close)
        return model

    def merge(self, ours, folder):
        LIBRARY.call("peft_model_merge_and_unload", ours.handle,
                     str(folder).encode(), None)

    def check(self, ours, theirs, seed=5):
        ids, mask = inputs(seed)
        with torch.no_grad():  # in double: torch's roundings are no error
            expected = copy.deepcopy(theirs).double()(
                input_ids=ids, attention_mask=mask).logits.numpy()
        found = ours.forward(ids.numpy(), mask.numpy())
        if found.shape != expected.shape:  # one row of labels per sequence
            found = found.reshape(expected.shape)
        if expected.ndim == 3:
            found, expected = found[mask.numpy() > 0], expected[mask > 0]
        error = np.abs(found - expected).max() / np.abs(expected).max()
        self.assertLessEqual(error, TOLERANCE)

    def raises(self, error_id, call):
        with self.assertRaises(peft_ctypes.PeftError) as raised:
            call()
        self.assertEqual(raised.exception.id, error_id)
        return raised.exception.message

    def test_adapters_compute_what_peft_computes(self):
        for base, task in CASES:
            with self.subTest(base=base, task=task):
                rng = random.Random(f"labels {base} {task}")
                folder = self.save_base(base, seed=rng.randint(1, 1000))
                for seed in (1, 2, 3):
                    labels = rng.randint(1, 7)
                    adapter = self.adapter(folder, base, task, labels, seed)
                    ours = self.open(folder, task, num_labels=labels)
                    ours.load_adapter(adapter, "a")
                    theirs = self.with_adapter(folder, adapter, task, labels)
                    self.check(ours, theirs)
                    if not has_magnitudes(adapter):
                        self.check(ours, self.mixin(folder, adapter, task,
                                                    labels))
                    # Without it the head is the new one again.
                    ours.disable_adapters()
                    self.check(ours, self.theirs(folder, task, labels))

    def test_new_heads_have_the_numbers_of_transformers(self):
        for dtype in (torch.float32, torch.bfloat16):
            for base, task in CASES:
                with self.subTest(base=base, task=task):
                    folder = self.save_base(base, dtype=dtype)
                    theirs = self.theirs(folder, task, 5, dtype)
                    new = self.root / "written"
                    shutil.rmtree(new, ignore_errors=True)
                    ours = self.open(folder, task, num_labels=5)
                    config = dict(peft_type="LORA", task_type=TASKS[task][0],
                                  target_modules=TARGETS[family(base)][:2])
                    LIBRARY.call("peft_model_add_adapter", ours.handle, b"new",
                                 json.dumps(config).encode(), None)
                    self.merge(ours, new)
                    again = TASKS[task][2].from_pretrained(new, dtype=dtype)
                    self.assertEqual(again.config.num_labels, 5)
                    self.assertEqual(
                        {name: tensor.tolist() for name, tensor in
                         theirs.state_dict().items()},
                        {name: tensor.tolist() for name, tensor in
                         again.state_dict().items()})

    def test_merged_folders_have_the_head(self):
        for base, task in CASES:
            with self.subTest(base=base, task=task):
                folder = self.save_base(base)
                adapter = self.adapter(folder, base, task, 3)
                ours = self.open(folder, task, num_labels=3)
                ours.load_adapter(adapter, "a")
                new = self.root / f"{base}_{task}_merged"
                self.merge(ours, new)
                theirs = self.theirs(new, task)
                self.assertEqual(theirs.config.num_labels, 3)
                self.check(self.open(new), theirs)
                self.check(ours, theirs)

    def test_the_number_of_labels_that_nobody_says(self):
        for base, task in CASES:
            with self.subTest(base=base, task=task):
                folder = self.save_base(base)
                adapter = self.adapter(folder, base, task, 4)
                # The adapter's own, transformers' 2, and what config.json has.
                self.check_labels(self.open(folder, task, for_adapters=[
                    str(adapter)]), 4)
                self.check_labels(self.open(folder, task), 2)
                said = self.save_base(base, num_labels=6)
                self.check_labels(self.open(said, task, for_adapters=[
                    str(adapter)]), 6)
                self.check(self.open(said, task), self.theirs(said, task))

    def check_labels(self, ours, labels):
        ids, mask = inputs(1)
        self.assertEqual(ours.forward(ids.numpy(), mask.numpy()).shape[-1],
                         labels)

    # Most published decoders have no padding token.
    def test_rows_are_told_apart_by_the_padding_token_that_is_given(self):
        for base in ("llama", "gpt2"):
            with self.subTest(base=base):
                folder = self.save_base(base)
                path = folder / "config.json"
                config = json.loads(path.read_text())
                config["pad_token_id"] = None
                path.write_text(json.dumps(config))
                theirs = self.theirs(folder, "sequence")
                theirs.config.pad_token_id = 0
                self.check(self.open(folder, "sequence", pad_token_id=0),
                           theirs)
                message = self.raises("ARGUMENT", lambda: self.check(
                    self.open(folder, "sequence"), theirs))
                self.assertIn("pad_token_id", message)

    def test_without_the_task_the_error_names_it(self):
        for base, task in CASES:
            with self.subTest(base=base, task=task):
                folder = self.save_base(base)
                adapter = self.adapter(folder, base, task, 4)
                ours = self.open(folder)
                message = self.raises(
                    "TENSOR_UNEXPECTED",
                    lambda: ours.load_adapter(adapter, "a"))
                self.assertIn(f"task {TASKS[task][3]} and num_labels 4",
                              message)

    def test_another_number_of_labels_is_an_error_that_names_both(self):
        for base, task in CASES:
            with self.subTest(base=base, task=task):
                folder = self.save_base(base)
                adapter = self.adapter(folder, base, task, 4)
                ours = self.open(folder, task, num_labels=3)
                message = self.raises(
                    "TENSOR_SHAPE_MISMATCH",
                    lambda: ours.load_adapter(adapter, "a"))
                self.assertIn("the model has 3 labels and the adapter 4",
                              message)

    def test_the_report_names_what_stays_untrained(self):
        folder = self.save_base("bert_masked_lm")
        adapter = self.adapter(folder, "bert_masked_lm", "sequence", 4)
        ours = self.open(folder, "sequence", num_labels=4)
        notes = [line[1] for line in ours.load_adapter(adapter, "a")
                 if "untrained" in line[2]]
        self.assertIn("bert.pooler.dense.weight", notes)
        self.assertNotIn("classifier.weight", notes)

    def test_a_head_that_is_there_is_used(self):
        for base, task in CASES:
            with self.subTest(base=base, task=task):
                folder = self.save_base(base)
                trained = self.theirs(folder, task, 3)
                randomize(trained, 7)
                trained.save_pretrained(self.root / "trained")
                for options in ({}, {"task": task}, {"task": task,
                                                     "num_labels": 3}):
                    self.check(self.open(self.root / "trained", **options),
                               trained)
                message = self.raises(
                    "TENSOR_SHAPE_MISMATCH",
                    lambda: self.open(self.root / "trained", task,
                                      num_labels=5))
                self.assertIn("by num_labels or config.json", message)

    # transformers opens such a checkpoint under any class.
    def test_the_class_of_the_config_does_not_matter(self):
        folder = self.save_base("bert_masked_lm")
        path = folder / "config.json"
        config = json.loads(path.read_text())
        config["architectures"] = ["BertForPreTraining"]
        path.write_text(json.dumps(config))
        self.raises("MODEL_UNSUPPORTED", lambda: self.open(folder))
        self.check(self.open(folder, "token"), self.theirs(folder, "token"))

    def test_tasks_and_labels_that_a_family_does_not_have(self):
        folder = self.save_base("llama")
        message = self.raises("MODEL_UNSUPPORTED", lambda: peft_ctypes.Model(
            LIBRARY, folder, task=6))
        self.assertIn("sequence-classification", message)
        self.raises("ARGUMENT", lambda: peft_ctypes.Model(
            LIBRARY, folder, task=7))
        message = self.raises("ARGUMENT", lambda: self.open(
            folder, num_labels=3))
        self.assertIn("LlamaForCausalLM", message)
        self.raises("ARGUMENT", lambda: self.open(folder, "token",
                                                  num_labels=-1))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
