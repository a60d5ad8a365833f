"""Runs scenario.json through the C ABI: the reference for other runners."""

import ctypes as C
import json
import pathlib
import re

import numpy as np

from testing import peft_ctypes
from testing import peft_structs as structs

DTYPES = {10: "float16", 11: "bfloat16", 12: "float32", 13: "float64"}
FINISH = {1: "length", 2: "eos", 3: "stop"}
REPORT = ["matched", "missing", "unexpected", "mismatched", "ignored_keys"]
COMBINATIONS = [
    "svd", "linear", "cat", "ties", "ties_svd", "dare_linear",
    "dare_linear_svd", "dare_ties", "dare_ties_svd", "magnitude_prune",
    "magnitude_prune_svd"]


def texts(names):
    return (C.c_char_p * len(names))(*[n.encode() for n in names])


def floats(values):
    return None if values is None else (C.c_float * len(values))(*values)


def integers(values):
    return (C.c_int64 * len(values))(*values)


class Runner:
    """One method per verb: takes the step, returns what `expect` has."""

    def __init__(self, library, folder, temporary):
        self.library, self.lib = library, library.lib
        self.folder, self.temporary = folder, temporary
        self.model = self.session = None
        self.activations, self.saved = {}, {}
        self.lib.peft_load_report_num_sites.restype = C.c_int64
        self.lib.peft_load_report_num_parameters.restype = C.c_int64
        self.lib.peft_session_cache_length.restype = C.c_int64

    def close(self):
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

    # -- models and sessions

    def open_model(self, step):
        options = structs.ModelOptions(read_mode=1, num_threads=1)
        model = self.library.new("peft_model_open", self.path(step["path"]),
                                 C.byref(options))
        if self.model is not None:
            self.close()
        self.model = model
        self.session = self.library.new("peft_session_create", model, None)
        return self.facts(step, "peft_model_get_info", structs.ModelInfo(),
                          model)

    def reset_session(self, step):
        self.library.call("peft_session_reset", self.session)

    def cache_length(self, step):
        return {"length": self.lib.peft_session_cache_length(self.session)}

    def input(self, step):
        flat = [token for row in step["ids"] for token in row]
        struct = structs.ForwardInput(batch=len(step["ids"]),
                                      length=len(step["ids"][0]))
        struct.keep = [integers(flat)]  # lives as long as the struct
        struct.ids = C.addressof(struct.keep[0])
        if "attention_mask" in step:
            struct.keep.append(integers(
                [bit for row in step["attention_mask"] for bit in row]))
            struct.attention_mask = C.addressof(struct.keep[1])
        return struct

    def rows(self, step, options):
        if "adapter_names" in step:
            names = step["adapter_names"]
            options.adapter_names = texts(names)
            options.num_adapter_names = len(names)
        if "activations" in step:
            names = step["activations"]
            options.activations = (C.c_void_p * len(names))(
                *[self.activations[n].value if n else None for n in names])
            options.num_activations = len(names)
        return options

    def forward(self, step):
        if not step.get("keep_cache"):
            self.reset_session(step)
        options = self.rows(step, structs.ForwardOptions(
            logits_to_keep=step.get("logits_to_keep", 0)))
        struct, view = self.input(step), structs.TensorView()
        self.library.call("peft_session_forward", self.session,
                          C.byref(struct), C.byref(options), C.byref(view))
        logits = peft_ctypes.view_to_numpy(view)
        if "save_as" in step:
            self.saved[step["save_as"]] = logits
        if "equal_to" in step:
            saved = self.saved[step["equal_to"]]
            assert logits.tobytes() == saved.tobytes(), "not equal bit by bit"
        return {"shape": list(logits.shape), "logits": logits}

    def generate(self, step):
        options = structs.GenerateOptions()
        self.lib.peft_generate_options_init(C.byref(options),
                                            C.c_size_t(C.sizeof(options)))
        options.max_new_tokens = step["max_new_tokens"]
        options.ignore_eos = step.get("ignore_eos", 0)
        self.rows(step, options)
        ends = integers(step.get("eos_token_ids", []))
        options.eos_token_ids = C.addressof(ends)
        options.num_eos_token_ids = len(ends)
        streamed = [[] for _ in step["ids"]]

        def on_token(_, row, token):
            streamed[row].append(token)
            return int(sum(map(len, streamed)) == step.get("cancel_after"))

        callback = C.CFUNCTYPE(C.c_int32, C.c_void_p, C.c_int64, C.c_int64)(
            on_token)
        if step.get("stream") or "cancel_after" in step:
            options.on_token = C.cast(callback, C.c_void_p).value
        struct = self.input(step)
        result = self.library.new("peft_session_generate", self.session,
                                  C.byref(struct), C.byref(options))
        found = self.generated(result)
        if step.get("stream"):
            assert streamed == found["tokens"], f"streamed {streamed}"
        return found

    def generated(self, result):
        rows, finish = [], []
        for row in range(self.lib.peft_generate_result_num_rows(result)):
            count = C.c_size_t()
            tokens = self.lib.peft_generate_result_tokens(
                result, C.c_size_t(row), C.byref(count))
            rows.append(tokens[:count.value])
            finish.append(FINISH[self.lib.peft_generate_result_finish_reason(
                result, C.c_size_t(row))])
        self.lib.peft_generate_result_free(result)
        return {"tokens": rows, "finish": finish}

    # -- adapters that come and go

    def report(self, function, *arguments):
        report = self.library.new(function, self.model, *arguments)
        found = {name: self.lib.peft_load_report_count(report, 1 + i)
                 for i, name in enumerate(REPORT)}
        found["num_sites"] = self.lib.peft_load_report_num_sites(report)
        found["num_parameters"] = \
            self.lib.peft_load_report_num_parameters(report)
        self.lib.peft_load_report_free(report)
        return found

    def load_options(self, step):
        return C.byref(structs.LoadOptions(
            lenient=step.get("lenient", 0),
            is_trainable=step.get("is_trainable", 0)))

    def load_adapter(self, step, function="peft_model_load_adapter"):
        return self.report(function, step["name"].encode(),
                           self.path(step["path"]), self.load_options(step))

    def replace_adapter(self, step):
        return self.load_adapter(step, "peft_model_replace_adapter")

    def config_text(self, step):
        return pathlib.Path(self.path(step["config"]).decode()).read_bytes()

    def load_adapter_from_memory(
            self, step, function="peft_model_load_adapter_from_memory"):
        state = self.library.new("peft_state_dict_read",
                                 self.path(step["tensors"]))
        found = self.report(function, step["name"].encode(),
                            self.config_text(step), state,
                            self.load_options(step))
        self.lib.peft_state_dict_free(state)
        return found

    def replace_adapter_from_memory(self, step):
        return self.load_adapter_from_memory(
            step, "peft_model_replace_adapter_from_memory")

    def add_adapter(self, step):
        options = structs.AddAdapterOptions(seed=step["seed"])
        self.call("add_adapter", step["name"].encode(),
                  self.config_text(step), C.byref(options))

    def add_weighted_adapter(self, step):
        options = structs.CombineOptions(
            combination_type=1 + COMBINATIONS.index(step["combination_type"]),
            majority_sign_method=1, svd_rank=step.get("svd_rank", 0),
            density=step.get("density", 0), svd_full_matrices=1)
        names = step["names"]
        self.call("add_weighted_adapter", step["new_name"].encode(),
                  texts(names), floats(step["weights"]),
                  C.c_size_t(len(names)), C.byref(options))

    def rename_adapter(self, step):
        self.call("rename_adapter", step["name"].encode(),
                  step["new_name"].encode())

    def delete_adapter(self, step):
        names = step["names"]
        self.call("delete_adapter", texts(names), C.c_size_t(len(names)))

    def unload(self, step):
        self.call("unload")

    def save_adapter(self, step):
        options = structs.SaveOptions(overwrite=step.get("overwrite", 0))
        self.call("save_adapter", step["name"].encode(),
                  self.path(step["path"]), C.byref(options))

    # -- which adapters act

    def set_adapter(self, step):
        options = structs.SetAdapterOptions(scales=floats(step.get("scales")))
        names = step["names"]
        self.call("set_adapter", texts(names), C.c_size_t(len(names)),
                  C.byref(options))

    def set_scale(self, step):
        self.call("set_scale", step["name"].encode(),
                  C.c_float(step["scale"]))

    def disable_adapters(self, step):
        self.call("disable_adapters")

    def enable_adapters(self, step):
        self.call("enable_adapters")

    def create_activation(self, step):
        names = step["names"]
        self.activations[step["activation"]] = self.library.new(
            "peft_activation_create", self.model, texts(names),
            floats(step.get("scales")), C.c_size_t(len(names)))

    def free_activation(self, step):
        self.lib.peft_activation_free(
            self.activations.pop(step["activation"]))

    # -- merging

    def merge_adapter(self, step):
        options = structs.MergeOptions(scales=floats(step.get("scales")),
                                       safe_merge=step.get("safe_merge", 0))
        names = step["names"]
        self.call("merge_adapter", texts(names), C.c_size_t(len(names)),
                  C.byref(options))

    def unmerge_adapter(self, step):
        self.call("unmerge_adapter")

    def merge_and_unload(self, step):
        names = step["names"]
        options = structs.MergeAndUnloadOptions(names=texts(names),
                                                num_names=len(names))
        self.call("merge_and_unload", self.path(step["path"]),
                  C.byref(options))

    # -- what there is

    def list_adapters(self, step, function="peft_model_list_adapters"):
        return {"names": self.library.names(function, self.model)}

    def active_adapters(self, step):
        return self.list_adapters(step, "peft_model_active_adapters")

    def merged_adapters(self, step):
        return self.list_adapters(step, "peft_model_merged_adapters")

    def has_adapter(self, step):
        has = C.c_int32()
        self.call("has_adapter", step["name"].encode(), C.byref(has))
        return {"has": has.value}

    def get_adapter_state_dict(self, step):
        state = self.library.new("peft_model_get_adapter_state_dict",
                                 self.model, step["name"].encode())
        tensors = []
        for i in range(self.lib.peft_state_dict_size(state)):
            name = self.lib.peft_state_dict_name(state, C.c_size_t(i))
            tensor = self.library.new("peft_state_dict_get", state, name)
            view = structs.TensorView()
            self.library.call("peft_tensor_get_view", tensor, C.byref(view))
            elements = peft_ctypes.view_to_numpy(view)
            tensors.append({
                "name": name.decode(), "dtype": DTYPES[view.dtype],
                "shape": list(elements.shape), "fnv1a": fnv1a(elements)})
            self.lib.peft_tensor_free(tensor)
        self.lib.peft_state_dict_free(state)
        return {"tensors": tensors}

    def get_adapter_info(self, step):
        return self.facts(step, "peft_model_get_adapter_info",
                          structs.AdapterInfo(), self.model,
                          step["name"].encode())

    def get_adapter_config(self, step):
        return json.loads(self.text("peft_model_get_adapter_config",
                                    self.model, step["name"].encode()))

    def get_adapter_source(self, step):
        source = self.text("peft_model_get_adapter_source", self.model,
                           step["name"].encode())
        size = len(step["expect"]["path"])
        return {"path": source[-size:]}

    def estimate_adapter(self, step):
        return self.facts(step, "peft_estimate_adapter",
                          structs.AdapterEstimate(), self.path(step["path"]),
                          None)

    def inspect_adapter(self, step):
        return json.loads(self.text("peft_inspect_adapter",
                                    self.path(step["path"]), None, None))

    def probe_adapter(self, step):
        report = self.library.new("peft_model_probe_adapter", self.model,
                                  step["name"].encode(), None)
        found = self.facts(step, "peft_probe_report_get_summary",
                           structs.ProbeSummary(), report)
        self.lib.peft_probe_report_free(report)
        return found

    # -- memory

    def pin_adapter(self, step):
        self.call("pin_adapter", step["name"].encode(), step["pinned"])

    def set_adapter_limit(self, step):
        self.call("set_adapter_limit", C.c_int64(step["max_bytes"]),
                  C.c_int64(step["max_adapters"]))


def fnv1a(array):
    value = 0xcbf29ce484222325
    for byte in array.tobytes():
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return f"{value:016x}"


def check(step, found, tolerance):
    """Compares what a verb gave with the step's `expect`."""
    for key, expected in step["expect"].items():
        if key == "logits":
            wanted = np.array(expected)
            difference = np.abs(found[key].flatten() - wanted).max()
            error = difference / np.abs(wanted).max()
            assert error <= tolerance, f"logits are {error:.2g} off"
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


def run(library, folder, temporary):
    """Runs all steps; AssertionError names the first that fails."""
    scenario = json.loads((folder / "scenario.json").read_text())
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
    return len(scenario["steps"])
