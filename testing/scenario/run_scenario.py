"""Runs scenario.json through the C ABI: the reference for other runners."""

import ctypes as C
import json
import re

import numpy as np

from testing import peft_ctypes
from testing.scenario import run_adapters
from testing.scenario import run_host
from testing.scenario import run_models


class Runner(run_models.ModelVerbs, run_adapters.AdapterVerbs,
             run_host.HostVerbs):
    """A method for each verb, and the state that they share."""

    def __init__(self, library, folder, temporary):
        self.library, self.lib = library, library.lib
        self.folder, self.temporary = folder, temporary
        self.model = self.session = self.runner = None
        self.activations, self.saved = {}, {}
        self.lib.peft_load_report_num_sites.restype = C.c_int64
        self.lib.peft_load_report_num_parameters.restype = C.c_int64
        self.lib.peft_session_cache_length.restype = C.c_int64
        self.lib.peft_lowered_size.restype = C.c_size_t

    def close(self):
        if self.runner is not None:
            self.lib.peft_layer_runner_free(self.runner)
        self.lib.peft_session_free(self.session)
        self.lib.peft_model_free(self.model)

    def path(self, text):
        if text.startswith("$TMP/"):
            return str(self.temporary / text[len("$TMP/"):]).encode()
        return str(self.folder / text).encode()

    def call(self, name, *arguments):
        self.library.call("peft_model_" + name, self.model, *arguments)

    def text(self, name, *arguments):
        handle = self.library.new(name, *arguments)
        text = self.lib.peft_string_data(handle).decode()
        self.lib.peft_string_free(handle)
        return text

    def facts(self, step, name, struct, *arguments):
        """The fields of an out struct that the step expects."""
        self.library.call(name, *arguments, C.byref(struct))
        found = {key: getattr(struct, key) for key in step["expect"]
                 if hasattr(struct, key)}
        return {key: value.decode() if isinstance(value, bytes) else value
                for key, value in found.items()}


def check(step, found, tolerance):
    """Compares what a verb gave with the step's `expect`."""
    for key, expected in step["expect"].items():
        if key in ("logits", "values"):
            wanted = np.array(expected)
            difference = np.abs(found[key].flatten() - wanted)
            error = difference.max() / np.abs(wanted).max()
            assert error <= tolerance, f"{key} are {error:.2g} off"
        else:
            assert found[key] == expected, \
                f"{key} is {found[key]}, expected {expected}"


def run_step(runner, step, tolerance):
    error = step["expect"].get("error")
    try:
        found = getattr(runner, step["verb"])(step)
    except peft_ctypes.PeftError as failure:
        assert failure.id == error, failure
        assert failure.code == step["expect"]["code"], failure.code
        return
    assert error is None, f"no {error}"
    check(step, found, tolerance)


def run(library, folder, temporary, name):
    """Runs all steps; AssertionError names the first that fails."""
    scenario = json.loads((folder / name).read_text())
    assert scenario["format"] == 1
    runner = Runner(library, folder, temporary)
    for index, step in enumerate(scenario["steps"]):
        try:
            run_step(runner, step, scenario["tolerance"])
        except (AssertionError, peft_ctypes.PeftError) as error:
            arguments = re.sub(r"'expect'.*", "", str(step))
            raise AssertionError(f"step {index}, {arguments}: {error}") \
                from error
    runner.close()
