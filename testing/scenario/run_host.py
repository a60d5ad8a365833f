"""Verbs of programs with layers and files of their own, through ctypes."""

import ctypes as C
import json
import os
import pathlib

import numpy as np

from testing import peft_ctypes
from testing import peft_structs as structs
from testing.scenario import run_values as values

KINDS = ["other", "linear", "conv1d_hf", "embedding"]
FILE_KINDS = ["memory", "fd", "read"]
FORMS = ["scale_in", "weight", "rows", "low_rank", "scale_out", "bias"]
FORM_TENSORS = ["a", "b", "rank_scale", "gate", "factor", "weight", "ids",
                "rows", "bias"]


class HostVerbs:
    """One method per verb: takes the step, returns what `expect` has."""

    # -- layers

    def create_model(self, step):
        self.weights = self.read_tensors(step["tensors"])
        layers = (structs.Layer * len(step["layers"]))()
        keep = []
        for struct, layer in zip(layers, step["layers"]):
            self.lib.peft_layer_init(C.byref(struct),
                                     C.c_size_t(C.sizeof(struct)))
            struct.name = layer["name"].encode()
            struct.kind = 1 + KINDS.index(layer["kind"])
            struct.copy_weights = layer.get("copy_weights", 1)
            struct.writable_weights = layer.get("writable_weights", 0)
            weight = peft_ctypes.view_of(self.weights[layer["weight"]])
            if layer.get("no_data"):
                weight.data = None
            struct.weight = C.addressof(weight)
            keep.append(weight)
            if "bias" in layer:
                keep.append(peft_ctypes.view_of(self.weights[layer["bias"]]))
                struct.bias = C.addressof(keep[-1])
        options = structs.ModelOptions(read_mode=1, num_threads=1)
        self.take_model(self.library.new("peft_model_create", layers,
                                         C.c_size_t(len(layers)),
                                         C.byref(options)))
        return self.model_info(step)

    def read_tensors(self, path):
        """Copies of the tensors of a file."""
        state = self.library.new("peft_state_dict_read", self.path(path))
        tensors = {}
        for i in range(self.lib.peft_state_dict_size(state)):
            name = self.lib.peft_state_dict_name(state, C.c_size_t(i))
            tensor = self.library.new("peft_state_dict_get", state, name)
            view = structs.TensorView()
            self.library.call("peft_tensor_get_view", tensor, C.byref(view))
            tensors[name.decode()] = peft_ctypes.view_to_numpy(view).copy()
            self.lib.peft_tensor_free(tensor)
        self.lib.peft_state_dict_free(state)
        return tensors

    def input_of(self, step):
        x = np.array(step["ids"], np.int64) if "ids" in step else \
            np.array(step["x"], np.float32)
        return peft_ctypes.view_of(x.reshape(step["shape"]))

    def run_layer(self, step):
        view = self.input_of(step)
        tensor = self.library.new("peft_model_run_layer", self.model,
                                  step["layer"].encode(), C.byref(view), None)
        out = structs.TensorView()
        self.library.call("peft_tensor_get_view", tensor, C.byref(out))
        y = peft_ctypes.view_to_numpy(out)
        self.lib.peft_tensor_free(tensor)
        return values.numbers(y)

    def find_layer(self, step):
        layer = C.c_int64()
        self.call("find_layer", step["layer"].encode(), C.c_int64(-1),
                  C.byref(layer))
        return layer

    def runner_run(self, step, function="peft_layer_runner_run"):
        layer = self.find_layer(step)
        if self.runner is None:
            self.runner = self.library.new("peft_layer_runner_create",
                                           self.model)
        y = np.array(step["y"], np.float32) if "y" in step else \
            np.full(int(np.prod(step["y_shape"])), np.nan, np.float32)
        x, out = self.input_of(step), peft_ctypes.view_of(
            y.reshape(step["y_shape"]))
        options = self.rows(step, structs.RunLayerOptions(expert=-1))
        self.library.call(function, self.runner, layer, C.byref(x),
                          C.byref(options), C.byref(out))
        return values.numbers(out.keep)

    def runner_add_delta(self, step):
        return self.runner_run(step, "peft_layer_runner_add_delta")

    def host_weight(self, step):
        weight = self.weights[step["tensor"]]
        return {**values.numbers(weight), "fnv1a": values.fnv1a(weight)}

    def lower_layer(self, step):
        activation = self.activations.get(step.get("activation"))
        lowered = self.library.new("peft_model_lower_layer", self.model,
                                   self.find_layer(step), activation)
        kinds, scales, tensors = [], [], []
        for index in range(self.lib.peft_lowered_size(lowered)):
            form = structs.Form()
            self.library.call("peft_lowered_get_form", lowered,
                              C.c_size_t(index), C.byref(form))
            kinds.append(FORMS[form.kind - 1])
            scales.append(form.scale)
            tensors += self.form_tensors(lowered, index)
        self.lib.peft_lowered_free(lowered)
        return {"kinds": kinds, "tensors": tensors,
                **values.numbers(np.array(scales))}

    def form_tensors(self, lowered, index):
        tensors = []
        for number, name in enumerate(FORM_TENSORS):
            view = structs.TensorView()
            try:
                self.library.call("peft_lowered_get_tensor", lowered,
                                  C.c_size_t(index), number + 1, C.byref(view))
            except peft_ctypes.PeftError as error:
                assert error.id == "TENSOR_MISSING", error
                continue
            elements = peft_ctypes.view_to_numpy(view)
            tensors.append({
                "form": index, "name": name, "dtype": values.DTYPES[view.dtype],
                "shape": list(elements.shape), "fnv1a": values.fnv1a(elements)})
        return tensors

    # -- files

    def with_files(self, step, options, call):
        """Calls with the files of a step set, which live as long."""
        kind, keep = 1 + FILE_KINDS.index(step["kind"]), []
        array = (structs.File * len(step["files"]))()
        for struct, file in zip(array, step["files"]):
            self.lib.peft_file_init(C.byref(struct),
                                    C.c_size_t(C.sizeof(struct)))
            path = pathlib.Path(self.path(file["path"]).decode())
            struct.name, struct.kind = file["name"].encode(), kind
            offset = file.get("offset", 0)
            struct.size = file.get("size", path.stat().st_size - offset)
            if kind == 2:
                struct.fd = os.open(path, os.O_RDONLY)
                struct.offset = offset
                continue
            data = path.read_bytes()[offset:offset + struct.size]
            keep.append(C.create_string_buffer(data, len(data)))
            if kind == 1:
                struct.data = C.addressof(keep[-1])
            else:
                struct.read = reader(data)
        if options is not None:
            options.files, options.num_files = array, len(array)
        try:
            return call(array)
        finally:
            for struct in array:
                if kind == 2:
                    os.close(struct.fd)

    def open_model_files(self, step):
        options = structs.ModelOptions(read_mode=1, num_threads=1)
        self.take_model(self.with_files(
            step, options, lambda _: self.library.new(
                "peft_model_open", None, C.byref(options))))
        self.create_session({})
        return self.model_info(step)

    def load_adapter_files(self, step):
        options = structs.LoadOptions(lenient=step.get("lenient", 0))
        return self.with_files(step, options, lambda _: self.report(
            "peft_model_load_adapter", step["name"].encode(), None,
            C.byref(options)))

    def estimate_files(self, step):
        return self.with_files(step, None, lambda array: self.facts(
            step, "peft_estimate_files", structs.AdapterEstimate(), array,
            C.c_size_t(len(array))))

    def inspect_files(self, step):
        return json.loads(self.with_files(step, None, lambda array: self.text(
            "peft_inspect_files", array, C.c_size_t(len(array)), None)))


def reader(data):
    """A function that reads a file a few bytes at a time."""

    def read(_, offset, buffer, size):
        part = data[offset:offset + min(size, 1000)]
        C.memmove(buffer, part, len(part))
        return len(part)

    return structs.ReadFn(read)
