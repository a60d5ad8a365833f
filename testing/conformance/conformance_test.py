"""Compares the SDK with transformers and PEFT on random models and adapters.

Each case makes a tiny model of a random family, random adapters of random
methods saved by PEFT, and draws a sequence of verbs. After each the outputs of
both sides are compared. The SDK is called through its C ABI.

  conformance_test.py --library libpeft.so [--cases 300] [--seed S] [--only I]
      [--first I] [--table docs/parity.md] [--check docs/parity.md]
"""

import argparse
import copy
import pathlib
import random
import sys
import tempfile
import time
import traceback
import warnings

import torch

from testing import peft_ctypes
from testing.conformance import adapters
from testing.conformance import compare
from testing.conformance import pair as pair_module
from testing.conformance import random_models
from testing.conformance import record
from testing.conformance import sequences
from testing.conformance import table


class Case:
    """One random model, on disk and in memory, and what is fed to it."""

    def __init__(self, seed, index, folder, run):
        self.rng = random.Random(f"{seed}/{index}")
        self.folder = pathlib.Path(folder)
        self.library = run.library
        self.statistics = run.statistics
        self.recorder = run.recorder
        self.family = self.rng.choice(random_models.FAMILIES)
        self.base, self.layout = random_models.make_model(
            self.rng, self.family, self.rng.getrandbits(31))
        self.base_dtype = self.rng.choice(
            [torch.float32, torch.float32, torch.bfloat16, torch.float16])
        shard = self.rng.choice([None, None, "20KB"])
        # A copy: to() and back would round buffers too.
        random_models.save_model(copy.deepcopy(self.base),
                                 self.folder / "base", self.base_dtype, shard)
        self.ids, self.mask = pair_module.left_padded_batch(
            self.rng, random_models.VOCABULARY)
        self.base_output = None
        self.sequence = None

    def run(self):
        try:
            pair = pair_module.Pair(self)
        except peft_ctypes.PeftError as error:
            if error.id != "MODEL_UNSUPPORTED":
                raise
            base = record.Base(f"base {self.family}",
                               type(self.base).__name__)
            self.recorder.add("open", [base], record.NOT_YET, error.id)
            return
        try:
            self.sequence = sequences.Sequence(pair, self.folder / "adapters")
            self.check_base(pair)
            self.sequence.run(self.rng.randint(4, 8))
        finally:
            pair.close()

    def check_base(self, pair):
        self.base_output = pair.ours.forward(self.ids, self.mask)
        pair.check("base")
        base = record.Base(f"base {self.family}", type(self.base).__name__)
        self.recorder.add("open", [base], record.PASS)

    def describe(self):
        lines = [f"{type(self.base).__name__}, {self.base_dtype}"]
        if self.sequence is not None:
            lines.append(" ".join(self.sequence.log))
            lines += [f"{a.uid}: {sorted(a.labels)} {a.describe()}"
                      for a in self.sequence.made]
        return "\n    ".join(lines)


class Run:
    """All cases, and what they showed."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.library = peft_ctypes.Library(arguments.library)
        self.statistics = compare.Statistics()
        self.recorder = record.Recorder()
        self.failed = []

    def case(self, index):
        with tempfile.TemporaryDirectory() as folder:
            case = None
            try:
                case = Case(self.arguments.seed, index, folder, self)
                case.run()
            except (compare.Mismatch, peft_ctypes.PeftError) as error:
                self.failed.append(index)
                print(f"case {index} FAILED: {error}\n    {case.describe()}")
            except Exception:
                self.failed.append(index)
                print(f"case {index} BROKE\n    "
                      f"{case.describe() if case else ''}")
                traceback.print_exc()

    def all(self):
        arguments = self.arguments
        first = arguments.first if arguments.only is None else arguments.only
        count = arguments.cases if arguments.only is None else 1
        print(f"seed {arguments.seed}, cases {first} to {first + count - 1}")
        start = time.time()
        for index in range(first, first + count):
            self.case(index)
        print(f"{count - len(self.failed)} of {count} cases agree, "
              f"{time.time() - start:.0f} s; {self.statistics}")
        for (verb, labels, note), times in sorted(
                self.recorder.reasons.items()):
            print(f"not yet: {verb}: {labels}: {note} ({times} times)")
        if self.failed:
            print(f"repeat one: --seed {arguments.seed} --only "
                  f"{self.failed[0]}; failed: {self.failed}")
        return count


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--library", required=True)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", default="20261123")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", type=int, help="run this case alone")
    parser.add_argument("--table", type=pathlib.Path,
                        help="write what was seen into this file")
    parser.add_argument("--check", type=pathlib.Path,
                        help="fail where this file says otherwise")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    adapters.quiet()
    warnings.simplefilter("ignore")  # PEFT explains its defaults at length
    run = Run(arguments)
    count = run.all()
    wrong = []
    if arguments.table and not run.failed:
        record.write_table(arguments.table, table.render(
            run.recorder, f"{count} cases, seed {arguments.seed}; "
            f"{run.statistics}."))
    if arguments.check:
        wrong = record.contradictions(run.recorder,
                                      record.read_table(arguments.check))
        print("\n".join(f"docs/parity.md: {line}" for line in wrong))
    return 1 if run.failed or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
