"""Folders of models and adapters that are not as today's PEFT and transformers
write them, but mean the same: ours gives what theirs gives.

  folders_test.py --library libpeft.so [--cases 25] [--seed S] [--only I]
"""

import argparse
import pathlib
import random
import sys
import tempfile
import warnings

import torch

from testing import peft_ctypes
from testing import peft_verbs
from testing.conformance import adapter_files
from testing.conformance import adapters
from testing.conformance import base_folders
from testing.conformance import compare
from testing.conformance import random_models


def our_output(library, base, adapter, output, ids, mask):
    model = peft_verbs.Model(library, base, output)
    try:
        if adapter is not None:
            model.load(adapter, "changed")
        return model.forward(ids, mask)
    finally:
        model.close()


def check(library, rng, made):
    """Mismatch where the two differ, or ours opens or loads nothing."""
    base, adapter, theirs, layout, what = made
    ids, mask = compare.left_padded_batch(rng, random_models.VOCABULARY)
    try:
        got = our_output(library, base, adapter, layout.output, ids, mask)
    except peft_ctypes.PeftError as error:
        raise compare.Mismatch(f"{what}: {error}") from error
    with torch.no_grad():
        outputs = theirs(input_ids=torch.tensor(ids),
                         attention_mask=torch.tensor(mask))
    right = getattr(outputs, layout.output).numpy()
    error = compare.relative_error(got, right, mask)
    if not error <= compare.F32_TOLERANCE:
        raise compare.Mismatch(f"{what}: off by {error:.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--library", required=True)
    parser.add_argument("--cases", type=int, default=25)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int, help="run this case alone")
    arguments = parser.parse_args()
    adapters.quiet()
    warnings.simplefilter("ignore")
    library = peft_ctypes.Library(arguments.library)
    failed = 0
    for index in range(arguments.cases):
        if arguments.only not in (None, index):
            continue
        for kind in (base_folders, adapter_files):
            rng = random.Random(f"{arguments.seed}/{index}/{kind.__name__}")
            with tempfile.TemporaryDirectory() as folder:
                try:
                    check(library, rng, kind.make(rng, pathlib.Path(folder)))
                except compare.Mismatch as error:
                    failed += 1
                    print(f"case {index} FAILED: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
