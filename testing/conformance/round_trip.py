"""Adapters written here and read by PEFT, and the other way round."""

import copy
import json

import numpy as np
import peft
import torch

from testing.conformance import adapters as adapters_module
from testing.conformance import compare
from testing.conformance import other_heads
from testing.conformance import random_models

PREFIX = "base_model.model."


def _own_tensors(adapter):
    """The tensors of the file that we loaded, under the model's names."""
    old, new = adapter.features.get("renamed", ("", ""))
    return {other_heads.renamed(key, old, new): tensor for key, tensor in
            adapters_module.read_tensors(adapter.ours).items()}


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(
        a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8))


def check_tensors(got, expected, what):
    if set(got) != set(expected):
        raise compare.Mismatch(
            f"{what}: names differ: {sorted(set(got) ^ set(expected))}")
    for key, tensor in expected.items():
        if not same_bits(got[key], tensor):
            raise compare.Mismatch(f"{what}: {key} differs")


def check_config(got, expected, what):
    """Equal up to key order; inference_mode is true after saving, in PEFT
    too, and base_model_name_or_path may be filled in."""
    for config in (got, expected):
        config["inference_mode"] = True
    if got != expected:
        keys = [k for k in {**got, **expected}
                if got.get(k, "missing") != expected.get(k, "missing")]
        raise compare.Mismatch(f"{what}: config differs in " + ", ".join(
            f"{k}: {got.get(k, 'missing')!r}, not "
            f"{expected.get(k, 'missing')!r}" for k in keys))


def check_state_dict(pair, name):
    """get_adapter_state_dict gives the file's tensors, without the prefix."""
    adapter = pair.loaded[name]
    with pair.attempt("state dict", [adapter]):
        got = pair.ours.state_dict(name)
        expected = _own_tensors(adapter)
        if set(got) != set(expected):
            raise compare.Mismatch(
                f"state dict names: {sorted(set(got) ^ set(expected))}")
        for key, tensor in expected.items():
            bits = tensor.contiguous()
            if bits.dtype == torch.bfloat16:
                bits = bits.view(torch.int16)
            bits = bits.numpy()
            if got[key].shape != bits.shape or \
                    not np.array_equal(got[key].view(bits.dtype), bits):
                raise compare.Mismatch(f"state dict tensor {key} differs")


def save_and_read(pair, name, folder):
    """Saves `name`, lets PEFT load the folder, and us the folder that PEFT
    then saves."""
    adapter = pair.loaded[name]
    with pair.attempt("save, PEFT loads", [adapter]) as outcome:
        pair.ours.save_adapter(name, folder)
        check_tensors(adapters_module.read_tensors(folder),
                      {PREFIX + key: tensor for key, tensor in
                       _own_tensors(adapter).items()}, "saved")
        source = json.loads((adapter.ours / "adapter_config.json").read_text())
        saved = json.loads((folder / "adapter_config.json").read_text())
        if "renamed" in adapter.features:
            source = {**source, **{key: saved.get(key) for key in
                                   other_heads.RENAMED if key in source}}
        check_config(dict(saved), source, "saved")
        _check_peft_reads(pair, adapter, folder, saved)
    return outcome


def _check_peft_reads(pair, adapter, folder, saved):
    if saved["peft_type"] == "ADALORA" and "total_step" not in saved:
        return  # PEFT refuses such a file, from wherever it comes
    if "pissa_niter" in str(saved.get("init_lora_weights")):
        return  # an SVD without a seed: PEFT reads other weights each time
    again = adapters_module.read_back(pair.base, folder, adapter.uid,
                                      adapter.labels, folder)
    for key, tensor in adapter.tensors.items():
        if key not in again.tensors or \
                not same_bits(again.tensors[key], tensor):
            raise compare.Mismatch(f"PEFT reads another {key} from our file")
    base = random_models.unreplicated(pair.base, adapter.config)
    model = peft.PeftModel.from_pretrained(
        copy.deepcopy(base), folder, adapter_name=adapter.uid)
    back = folder.parent / f"{folder.name}_back"
    model.save_pretrained(back, selected_adapters=[adapter.uid],
                          save_embedding_layers=False)
    ours = adapters_module.read_tensors(folder)
    theirs = adapters_module.read_tensors(back / adapter.uid)
    for key, tensor in theirs.items():
        if key not in ours and other_heads.lacks_biases(adapter):
            continue  # PEFT writes all biases that its model has
        if not torch.equal(ours[key].float(), tensor.float()):
            raise compare.Mismatch(f"back from PEFT: {key} differs")
