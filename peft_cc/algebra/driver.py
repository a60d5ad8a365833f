"""Runs algebra_driver on requests that a test collects."""

import json
import pathlib
import subprocess
import tempfile

import torch
from safetensors.torch import load_file, save_file

# Matrices are small, and torch's threads spin where others want the cores.
torch.set_num_threads(1)


class Batch:
    """Requests with their tensors; all run in one process."""

    def __init__(self):
        self._requests = []
        self._inputs = {}
        self._outputs = None

    def add(self, op, tensors=None, **arguments):
        """Returns the request's number, for `output`."""
        index = len(self._requests)
        self._requests.append({"op": op, **arguments})
        for name, tensor in (tensors or {}).items():
            # Safetensors refuses tensors that share memory.
            self._inputs[f"{index}.{name}"] = (
                tensor.detach().clone(memory_format=torch.contiguous_format))
        return index

    def run(self, driver):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "requests.json").write_text(json.dumps(self._requests))
            save_file(self._inputs, folder / "inputs.safetensors")
            result = subprocess.run(
                [driver, folder / "requests.json",
                 folder / "inputs.safetensors", folder / "outputs.safetensors"],
                capture_output=True, text=True)
            if result.returncode != 0:
                raise AssertionError(result.stderr)
            self._outputs = load_file(folder / "outputs.safetensors")

    def output(self, index, name):
        return self._outputs[f"{index}.{name}"]

    def has_output(self, index, name):
        return f"{index}.{name}" in self._outputs
