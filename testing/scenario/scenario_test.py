"""What is checked in is what the script makes; the library agrees with it.

  scenario_test.py --library=LIBPEFT --folder=FOLDER
"""

import argparse
import json
import pathlib
import sys
import tempfile
import unittest

import safetensors.torch
import torch

from testing import peft_ctypes
from testing.scenario import make_scenario
from testing.scenario import run_scenario

parser = argparse.ArgumentParser()
parser.add_argument("--library", required=True)
parser.add_argument("--folder", type=pathlib.Path, required=True)
ARGUMENTS, sys.argv[1:] = parser.parse_known_args()
MAX_BYTES = 300_000
SUFFIXES = (".json", ".safetensors", ".bin", ".pak")


def files_below(folder):
    """Paths of what is data, not code."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*")
        if path.is_file() and path.suffix in SUFFIXES)


def tensors_of(path):
    if path.suffix == ".bin":
        return torch.load(path, weights_only=True)
    return safetensors.torch.load_file(path)


class ScenarioTest(unittest.TestCase):

    def check_json(self, found, expected, where):
        if isinstance(expected, dict):
            self.assertEqual(list(found), list(expected), where)
            for key, value in expected.items():
                self.check_json(found[key], value, f"{where}.{key}")
        elif isinstance(expected, list):
            self.assertEqual(len(found), len(expected), where)
            if expected and isinstance(expected[0], float):
                self.check_numbers(found, expected, where)
                return
            for i, value in enumerate(expected):
                self.check_json(found[i], value, f"{where}[{i}]")
        else:
            self.assertEqual(found, expected, where)

    def check_numbers(self, found, expected, where):
        largest = max(map(abs, expected))
        for a, b in zip(found, expected):
            self.assertLessEqual(abs(a - b), 1e-6 * largest, where)

    def check_tensors(self, found, expected, name):
        self.assertEqual(sorted(found), sorted(expected), name)
        for key, tensor in expected.items():
            self.assertEqual(found[key].dtype, tensor.dtype, key)
            self.assertTrue(torch.equal(found[key], tensor), key)

    def check_file(self, found, expected, name):
        if name.endswith(".json"):
            self.check_json(json.loads(found.read_text()),
                            json.loads(expected.read_text()), name)
        elif name.endswith(".pak") or "damaged" in name:
            self.assertEqual(found.read_bytes(), expected.read_bytes(), name)
        else:
            self.check_tensors(tensors_of(found), tensors_of(expected), name)

    def test_files_are_what_the_script_makes(self):
        with tempfile.TemporaryDirectory() as name:
            made = pathlib.Path(name)
            make_scenario.make(made)
            names = files_below(made)
            self.assertEqual(files_below(ARGUMENTS.folder), names)
            for name in names:
                self.check_file(ARGUMENTS.folder / name, made / name, name)

    def test_files_are_small(self):
        sizes = [(ARGUMENTS.folder / name).stat().st_size
                 for name in files_below(ARGUMENTS.folder)]
        self.assertLess(sum(sizes), MAX_BYTES)

    def check_steps(self, scenario):
        library = peft_ctypes.Library(ARGUMENTS.library)
        with tempfile.TemporaryDirectory() as name:
            run_scenario.run(library, ARGUMENTS.folder, pathlib.Path(name),
                             scenario)

    def test_the_library_agrees_at_each_step(self):
        self.check_steps("scenario.json")

    def test_the_library_agrees_at_each_step_of_a_host(self):
        self.check_steps("host_scenario.json")


if __name__ == "__main__":
    unittest.main()
