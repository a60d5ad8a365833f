"""Adapters' folders that say the same as PEFT's in another way, as other tools
and releases wrote them."""

import collections
import copy
import json
import re

import peft
import safetensors.torch
import torch

from testing.conformance import adapters
from testing.conformance import random_models

METHODS = ["lora", "lora", "lora", "dora", "adalora", "ia3"]
EMPTY = (None, [], {}, "")
# Keys of other tools and of PEFT before 0.2.
FOREIGN = {"enable_lora": None, "merge_weights": False, "lora_nums": None,
           "modelscope": None, "_comment": ""}


# -- configs


def _empty_otherwise(rng, config):
    """What says nothing may be null or, in PEFT's own files, empty."""
    for key, kinds in (("rank_pattern", (None, {})),
                       ("alpha_pattern", (None, {})),
                       ("loftq_config", (None, {})),
                       ("modules_to_save", (None, [])),
                       ("exclude_modules", (None, [], "")),
                       ("target_parameters", (None, [])),
                       ("layer_replication", (None, []))):
        if key in config and config[key] in EMPTY:
            config[key] = rng.choice(kinds)


def _foreign_keys(rng, config):
    config.update(FOREIGN)
    config["auto_mapping"] = {"base_model_class": "X", "parent_library": "y",
                              "unsloth_fixed": True}


def _numbers_as_other_types(rng, config):
    for key, value in config.items():
        if isinstance(value, bool) and key not in ("init_lora_weights",):
            config[key] = int(value)
        elif key in ("r", "init_r", "lora_alpha"):
            config[key] = float(value)


def _more_targets(rng, config):
    if isinstance(config["target_modules"], list):
        config["target_modules"] += [
            config["target_modules"][0], "no_such_module", "modülé", ".*"]


def _wrong_fan_in_fan_out(rng, config):
    config["fan_in_fan_out"] = not config.get("fan_in_fan_out", False)


def _other_names(rng, config):
    config["base_model_name_or_path"] = rng.choice([None, "", "other/base"])
    config["peft_version"] = rng.choice(["0.3.0", "0.22.0.dev0@abc", "new"])


CONFIGS = [_empty_otherwise, _foreign_keys, _numbers_as_other_types,
           _more_targets, _wrong_fan_in_fan_out, _other_names]

# -- tensors


def _as_f64(rng, tensors):
    return {name: tensor.double() for name, tensor in tensors.items()}


def _mixed_dtypes(rng, tensors):
    """Where a value is a number of the type."""
    mixed = {}
    for name, tensor in tensors.items():
        dtype = rng.choice([torch.float16, torch.bfloat16, torch.float64])
        fits = torch.equal(tensor.to(dtype).to(tensor.dtype), tensor)
        mixed[name] = tensor.to(dtype) if fits else tensor
    return mixed


def _magnitudes_as_modules(rng, tensors):
    return {re.sub("lora_magnitude_vector$", r"\g<0>.weight", name): tensor
            for name, tensor in tensors.items()}


def _twice_prefixed(rng, tensors):
    return {"base_model.model." + name: tensor
            for name, tensor in tensors.items()}


TENSORS = [_as_f64, _mixed_dtypes, _magnitudes_as_modules, _twice_prefixed]

# -- containers


def _safetensors(tensors, folder):
    safetensors.torch.save_file(
        {name: tensor.contiguous().clone() for name, tensor in tensors.items()},
        folder / "adapter_model.safetensors")


def _beside_a_broken_one(tensors, folder):
    _safetensors(tensors, folder)
    (folder / "adapter_model.bin").write_bytes(b"not read")


def _old_torch(tensors, folder):
    torch.save(tensors, folder / "adapter_model.bin",
               _use_new_zipfile_serialization=False)


def _parameters(tensors, folder):
    torch.save({name: torch.nn.Parameter(tensor, requires_grad=False)
                for name, tensor in tensors.items()},
               folder / "adapter_model.bin")


def _strided(tensors, folder):
    torch.save(collections.OrderedDict(
        (name, tensor.T.contiguous().T if tensor.dim() == 2 else tensor)
        for name, tensor in tensors.items()), folder / "adapter_model.bin")


def _views_of_one_storage(tensors, folder):
    """Of each type."""
    starts, views = collections.defaultdict(lambda: 3), {}
    storages = {dtype: torch.zeros(
        7 + sum(t.numel() for t in tensors.values()), dtype=dtype)
        for dtype in {t.dtype for t in tensors.values()}}
    for name, tensor in tensors.items():
        start = starts[tensor.dtype]
        part = storages[tensor.dtype][start:start + tensor.numel()]
        part.copy_(tensor.flatten())
        views[name] = part.view(tensor.shape)
        starts[tensor.dtype] += tensor.numel()
    torch.save(views, folder / "adapter_model.bin")


CONTAINERS = [_safetensors, _safetensors, _beside_a_broken_one, _old_torch,
              _parameters, _strided, _views_of_one_storage]


def _model(rng):
    """Not with a head whose bias PEFT drops where it is tied to trained rows."""
    while True:
        model, layout = random_models.make_model(
            rng, rng.choice(random_models.FAMILIES), rng.getrandbits(31))
        if layout.head != "decoder":
            return model, layout


def make(rng, path):
    """A random model and adapter. Returns both folders, PEFT's model of its own
    files, its layout, and a text about it."""
    model, layout = _model(rng)
    random_models.save_model(copy.deepcopy(model), path / "base", torch.float32)
    adapter = adapters.make_adapter(rng, model, layout, rng.choice(METHODS),
                                    "x", path / "peft", rng.getrandbits(31))
    config = json.loads((adapter.folder / "adapter_config.json").read_text())
    tensors = adapters.read_tensors(adapter.folder)
    changes = rng.sample(CONFIGS, rng.randint(1, 3))
    for change in changes:
        change(rng, config)
    for change in rng.sample(TENSORS, rng.randint(0, 2)):
        tensors = change(rng, tensors)
        changes.append(change)
    changes.append(rng.choice(CONTAINERS))
    changed = path / "changed"
    changed.mkdir()
    (changed / "adapter_config.json").write_text(
        json.dumps(config, ensure_ascii=rng.random() < 0.5))
    changes[-1](tensors, changed)
    theirs = peft.PeftModel.from_pretrained(model, adapter.folder).eval()
    what = f"{type(model).__name__}, {sorted(adapter.labels)}, " + ", ".join(
        change.__name__ for change in changes)
    return path / "base", changed, theirs, layout, what
