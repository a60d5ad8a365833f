"""Files that are not as PEFT writes them: they load to what they mean, or are
refused by name with nothing changed; never do they load to no effect."""

import dataclasses
import json

import numpy as np
import safetensors.torch
import torch

from testing import peft_ctypes
from testing.conformance import adapters as adapters_module
from testing.conformance import compare
from testing.conformance import record
from testing.conformance import refusals

NAME = "odd"
PREFIX = "base_model.model."


@dataclasses.dataclass
class Odd:
    """One way in which a file is odd. `ids`: the errors that it must be
    refused with; `may_load`: or it loads, to what it means."""
    change: callable
    ids: tuple
    may_load: bool = False
    note: str = ""
    options: dict = dataclasses.field(default_factory=dict)


def _triple_prefix(rng, tensors, config):
    for key in list(tensors):
        tensors[PREFIX * 2 + key] = tensors.pop(key)


def _name_in_keys(rng, tensors, config):
    for key in list(tensors):
        head, _, leaf = key.rpartition(".")
        if leaf in ("weight", "bias") and ".lora_" in key:
            tensors[f"{head}.default.{leaf}"] = tensors.pop(key)
        elif ".lora_" in key:
            tensors[f"{key}.default"] = tensors.pop(key)


def _drop(rng, tensors, config):
    tensors.pop(rng.choice(sorted(tensors)))


def _add(rng, tensors, config):
    tensors[PREFIX + "model.layers.77.q_proj.lora_A.weight"] = torch.ones(2, 3)


def _reshape(rng, tensors, config):
    key = rng.choice(sorted(tensors))
    tensors[key] = torch.ones(*tensors[key].shape, 2)


def _unknown_key(rng, tensors, config):
    config["of_the_future"] = {"a": 1}


def _unknown_task(rng, tensors, config):
    config["task_type"] = "JUGGLING"


def _newer_version(rng, tensors, config):
    config["peft_version"] = "99.0.0"


def _unconverted(rng, tensors, config):
    config["init_lora_weights"] = rng.choice(
        ["pissa_niter_4", "corda", "loftq", "lora_ga"])


NAMED = ("TENSOR_UNEXPECTED", "TENSOR_MISSING", "ADAPTER_TENSORS")
SILENT = "a name in the error; PEFT loads it to no effect, or says so in a " \
         "warning only"
KINDS = {
    "triple prefix": Odd(_triple_prefix, NAMED, True, SILENT),
    "name in keys": Odd(_name_in_keys, NAMED, True, SILENT),
    # ADAPTER_TENSORS where it was the only one.
    "missing": Odd(_drop, ("TENSOR_MISSING", "ADAPTER_TENSORS"), False,
                   SILENT),
    "unexpected": Odd(_add, ("TENSOR_UNEXPECTED",), False, SILENT),
    "shape": Odd(_reshape, ("TENSOR_SHAPE_MISMATCH",), False,
                 "PEFT: RuntimeError, and the adapter stays registered"),
    "unknown key": Odd(_unknown_key, ("ADAPTER_CONFIG_UNKNOWN_KEY",), False,
                       "PEFT drops the key with a warning"),
    "unknown key, lenient": Odd(_unknown_key, (), True,
                                options={"lenient": 1}),
    "unexpected, lenient": Odd(_add, (), True, options={"lenient": 1}),
    "task": Odd(_unknown_task, (), True),
    "version": Odd(_newer_version, (), True),
    "unconverted": Odd(
        _unconverted, ("ADAPTER_FEATURE_UNSUPPORTED",), False,
        "the init took from the base what neither file nor base tell; PEFT "
        "loads it, and is silently off"),
    "unconverted, allowed": Odd(_unconverted, (), True,
                                options={"allow_unconverted_init": 1}),
}


def _fits(kind, adapter, config):
    if kind.startswith("unconverted"):
        return config["peft_type"] == "LORA" and \
            config.get("init_lora_weights", True) in (True, False) and \
            not config.get("use_dora") and not config.get("lora_bias") and \
            not adapter.features["is_alora"]
    if kind == "name in keys":
        return any(".lora_" in k and k.endswith(".weight")
                   for k in adapters_module.read_tensors(adapter.folder))
    if kind in ("missing", "shape"):
        # Base weights that PEFT saves along may be left out.
        return not any("base_layer" in k for k in
                       adapters_module.read_tensors(adapter.folder)) and \
            getattr(adapter.config, "bias", "none") == "none"
    return True


def load(pair, adapter, folder):
    """Loads a changed copy of the adapter, and deletes it again."""
    tensors = adapters_module.read_tensors(adapter.folder)
    config = json.loads((adapter.folder / "adapter_config.json").read_text())
    kind = pair.rng.choice([k for k in KINDS if _fits(k, adapter, config)])
    odd = KINDS[kind]
    odd.change(pair.rng, tensors, config)
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    safetensors.torch.save_file(
        {k: v.contiguous().clone() for k, v in tensors.items()},
        folder / "adapter_model.safetensors", metadata={"format": "pt"})
    before = pair.ours.forward(pair.ids, pair.mask)
    active = pair.ours.active_adapters()
    try:
        pair.ours.load(folder, NAME, **odd.options)
    except peft_ctypes.PeftError as error:
        _check_refused(pair, adapter, kind, odd, error)
        if not np.array_equal(pair.ours.forward(pair.ids, pair.mask),
                              before) or \
                pair.ours.active_adapters() != active:
            raise compare.Mismatch(f"odd file, {kind}: a load that failed "
                                   "changed something")
        return
    if not odd.may_load:
        raise compare.Mismatch(f"odd file, {kind}: was not refused")
    pair.loaded[NAME] = adapter
    pair.active, pair.merged = [(NAME, 1.0)], []
    pair.check(f"odd file, {kind}")
    pair.recorder.add("odd files", [adapter], record.PASS)
    pair.delete([NAME])


def _check_refused(pair, adapter, kind, odd, error):
    if error.id in odd.ids:
        pair.recorder.add("odd files", [adapter], record.REFUSED,
                          f"`{error.id}`: {odd.note}")
        return
    refusal = refusals.of_load(adapter)
    if refusal and error.id in refusal.ids:
        pair.recorder.add("odd files", [adapter], record.REFUSED,
                          f"`{error.id}`: {refusal.note}")
        return
    if error.id in ("ADAPTER_METHOD_UNSUPPORTED",
                    "ADAPTER_FEATURE_UNSUPPORTED"):
        pair.recorder.add("odd files", [adapter], record.NOT_YET, error.id)
        return
    raise compare.Mismatch(f"odd file, {kind}: {error}")
