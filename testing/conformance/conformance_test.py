"""Compares the SDK with transformers and PEFT on random models and adapters.

Each case makes a tiny model of a random family, random adapters of random
methods saved by PEFT, and draws a sequence of verbs. After each the outputs of
both sides are compared. The SDK is called through its C ABI.

  conformance_test.py --library libpeft.so [--cases 300] [--seed S] [--only I]
      [--first I] [--table docs/parity.md] [--check docs/parity.md]
"""

import argparse
import pathlib
import sys
import tempfile
import time
import traceback
import warnings

from testing import peft_ctypes
from testing.conformance import adapters
from testing.conformance import cases
from testing.conformance import compare
from testing.conformance import record
from testing.conformance import table


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
                case = cases.make(self.arguments.seed, index, folder, self)
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
    parser.add_argument("--fresh", action="store_true",
                        help="only make new adapters, of each method")
    parser.add_argument("--check", type=pathlib.Path,
                        help="fail where this file says otherwise")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    adapters.quiet()
    adapters.decompose_in_f64()
    warnings.simplefilter("ignore")  # PEFT explains its defaults at length
    run = Run(arguments)
    count = run.all()
    wrong = []
    if arguments.table:
        record.write_table(arguments.table, table.render(
            run.recorder, f"{count - len(run.failed)} of {count} cases of seed "
            f"{arguments.seed} agree; {run.statistics}."))
    if arguments.check:
        wrong = record.contradictions(run.recorder,
                                      record.read_table(arguments.check),
                                      record.read_reasons(arguments.check))
        print("\n".join(f"docs/parity.md: {line}" for line in wrong))
    return 1 if run.failed or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
