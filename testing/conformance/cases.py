"""One case: a random model, adapters, and a sequence of verbs."""

import copy
import pathlib
import random

import torch

from testing import peft_ctypes
from testing import peft_verbs as ours
from testing.conformance import compare
from testing.conformance import layer_models
from testing.conformance import pair as pair_module
from testing.conformance import random_models
from testing.conformance import record
from testing.conformance import sequences


def make(seed, index, folder, run):
    """Case `index` of the seed: most are language models."""
    rng = random.Random(f"{seed}/{index}")
    kind = LayersCase if rng.random() < 0.2 else ModelCase
    return kind(rng, pathlib.Path(folder), run)


class Case:
    """A model on both sides, and what is fed to it. Derived classes set
    `family`, `base` (for PEFT), `layout`, `base_dtype` and open ours."""

    base_path = None  # as PEFT writes it into configs

    def __init__(self, rng, folder, run):
        self.rng = rng
        self.folder = folder
        self.library = run.library
        self.statistics = run.statistics
        self.recorder = run.recorder
        self.is_fresh_only = run.arguments.fresh
        self.base_output = None
        self.sequence = None
        self.ids, self.mask = compare.left_padded_batch(
            rng, random_models.VOCABULARY)
        self.base_dtype = rng.choice(
            [torch.float32, torch.float32, torch.bfloat16, torch.float16])
        self.make_model()

    def run(self):
        base = record.Base(f"base {self.family}", type(self.base).__name__)
        try:
            pair = pair_module.Pair(self)
        except (peft_ctypes.PeftError, ours.NotYet) as error:
            if getattr(error, "id", "") not in ("MODEL_UNSUPPORTED", ""):
                raise
            self.recorder.add("open", [base], record.NOT_YET,
                              getattr(error, "id", str(error)))
            return
        try:
            self.sequence = sequences.Sequence(pair, self.folder / "adapters")
            self.base_output = pair.ours.forward(self.ids, self.mask)
            pair.check("base")
            self.recorder.add("open", [base], record.PASS)
            if self.is_fresh_only:
                self.sequence.run_fresh()
            else:
                self.sequence.run(self.rng.randint(4, 8))
        except ours.NotYet as error:
            self.recorder.add("open", [base], record.NOT_YET, str(error))
        finally:
            pair.close()

    def describe(self):
        lines = [f"{type(self.base).__name__}, {self.base_dtype}"]
        if self.sequence is not None:
            lines.append(" ".join(self.sequence.log))
            lines += [f"{a.uid}: {sorted(a.labels)} {a.describe()}"
                      for a in self.sequence.made]
        return "\n    ".join(lines)


class ModelCase(Case):
    """A model of a family, in a folder."""

    def make_model(self):
        self.family = self.rng.choice(random_models.FAMILIES)
        self.base, self.layout = random_models.make_model(
            self.rng, self.family, self.rng.getrandbits(31))
        shard = self.rng.choice([None, None, "20KB"])
        # A copy: to() and back would round buffers too.
        self.base_path = str(self.folder / "base")
        random_models.save_model(copy.deepcopy(self.base),
                                 self.folder / "base", self.base_dtype, shard)
        if self.rng.random() < 0.12:
            self.base, self.layout = random_models.replicate(
                self.rng, self.base, self.layout)

    def open(self):
        return ours.Model(self.library, self.folder / "base",
                          self.layout.output,
                          layer_replication=self.layout.ranges)


class LayersCase(Case):
    """A model of single layers, which the program runs itself."""

    def make_model(self):
        self.family = "layers"
        self.ids, self.mask = self.ids[:1], self.mask[:1]
        self.base, self.layout = layer_models.make_layers(
            self.rng, self.rng.getrandbits(31))

    def open(self):
        return ours.HostModel(self.library, self.base, self.base_dtype)
