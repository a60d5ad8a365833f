"""Verbs of adapters, through ctypes."""

import ctypes as C
import json
import pathlib

from testing import peft_ctypes
from testing import peft_structs as structs
from testing.scenario import run_values as values

REPORT = ["matched", "missing", "unexpected", "mismatched", "ignored_keys"]
COMBINATIONS = [
    "svd", "linear", "cat", "ties", "ties_svd", "dare_linear",
    "dare_linear_svd", "dare_ties", "dare_ties_svd", "magnitude_prune",
    "magnitude_prune_svd"]


class AdapterVerbs:
    """One method per verb: takes the step, returns what `expect` has."""

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
                  values.texts(names), values.floats(step["weights"]),
                  C.c_size_t(len(names)), C.byref(options))

    def rename_adapter(self, step):
        self.call("rename_adapter", step["name"].encode(),
                  step["new_name"].encode())

    def delete_adapter(self, step):
        names = step["names"]
        self.call("delete_adapter", values.texts(names), C.c_size_t(len(names)))

    def unload(self, step):
        self.call("unload")

    def save_adapter(self, step):
        options = structs.SaveOptions(overwrite=step.get("overwrite", 0))
        self.call("save_adapter", step["name"].encode(),
                  self.path(step["path"]), C.byref(options))

    def write_state_dict(self, step):
        state = self.library.new("peft_model_get_adapter_state_dict",
                                 self.model, step["name"].encode())
        self.library.call("peft_state_dict_write", state,
                          self.path(step["path"]))
        self.lib.peft_state_dict_free(state)

    # -- which adapters act

    def set_adapter(self, step):
        options = structs.SetAdapterOptions(
            scales=values.floats(step.get("scales")))
        names = step["names"]
        self.call("set_adapter", values.texts(names), C.c_size_t(len(names)),
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
            "peft_activation_create", self.model, values.texts(names),
            values.floats(step.get("scales")), C.c_size_t(len(names)))

    def free_activation(self, step):
        self.lib.peft_activation_free(
            self.activations.pop(step["activation"]))

    # -- merging

    def merge_adapter(self, step):
        options = structs.MergeOptions(scales=values.floats(step.get("scales")),
                                       safe_merge=step.get("safe_merge", 0))
        names = step["names"]
        self.call("merge_adapter", values.texts(names), C.c_size_t(len(names)),
                  C.byref(options))

    def unmerge_adapter(self, step):
        self.call("unmerge_adapter")

    def merge_and_unload(self, step):
        names = step["names"]
        options = structs.MergeAndUnloadOptions(names=values.texts(names),
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
                "name": name.decode(), "dtype": values.DTYPES[view.dtype],
                "shape": list(elements.shape), "fnv1a": values.fnv1a(elements)})
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
        return self.end_of(step, source)

    @staticmethod
    def end_of(step, path):
        return {"path": path[-len(step["expect"]["path"]):]}

    def fetch_adapter(self, step):
        return self.end_of(step, self.text(
            "peft_fetch_adapter", self.path(step["path"]), None))

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
