"""Adapters that are made fresh, on both sides."""

import copy
import json

import peft
import torch

from testing.conformance import adapters as adapters_module
from testing.conformance import compare
from testing.conformance import random_methods
from testing.conformance import refusals

def _fresh(pair, draft, uid, seed, folder):
    torch.manual_seed(seed)
    # In the base's own type, to which PEFT rounds what it drew.
    base = copy.deepcopy(pair.base).to(pair.case.base_dtype)
    model = peft.get_peft_model(base, copy.deepcopy(draft.config),
                                adapter_name=uid)
    model.save_pretrained(folder, selected_adapters=[uid],
                          save_embedding_layers=False)
    return adapters_module.read_back(pair.base, folder / uid, uid,
                                     draft.labels, folder / uid)


def add_fresh(pair, method, name, folder):
    """add_adapter from a config alone, with torch's own random numbers."""
    draft = right = None
    for _ in range(40):
        draft = random_methods.random_draft(pair.rng, pair.case.layout, method)
        draft.labels -= {"converted init", "AdaLoRA pruned"}
        seed, uid = pair.rng.randrange(1000), f"f{next(pair.counter)}x"
        if getattr(draft.config, "init_lora_weights", True) == "pissa_niter_4":
            continue  # random numbers without a seed
        try:
            right = _fresh(pair, draft, uid, seed, folder / uid)
            right.features["is_fresh"] = True
            pair.case.sequence.made.append(right)
            break
        except (ValueError, TypeError, NotImplementedError,
                AttributeError):
            continue
    if right is None:
        return
    text = (right.ours / "adapter_config.json").read_text()
    with pair.attempt("add_adapter", [right],
                      refusals.of_load(right)) as outcome:
        pair.ours.add_adapter(name, text, seed)
        pair.loaded[name] = right
        pair.active, pair.merged = [(name, 1.0)], []
        _check_fresh_tensors(pair, name, right, json.loads(text))
        pair.check(f"add_adapter {name}")
        # Its last bits are ours: from here on it is what PEFT reads from us.
        saved = folder / "ours"
        pair.ours.save_adapter(name, saved)
        right = adapters_module.read_back(pair.base, saved, f"{uid}o",
                                          right.labels, saved)
        right.features["is_fresh"] = True
        pair.loaded[name] = right
    if not outcome.done:
        pair.loaded.pop(name, None)
    return outcome


def _check_fresh_tensors(pair, name, right, config):
    """Random factors as torch draws them; those of an SVD may have other
    signs, and only their product counts."""
    got = pair.ours.state_dict(name)
    expected = {k.removeprefix("base_model.model."): v for k, v in
                adapters_module.read_tensors(right.folder).items()}
    if set(got) != set(expected):
        raise compare.Mismatch(
            f"fresh tensors: {sorted(set(got) ^ set(expected))}")
    if config.get("init_lora_weights") in ("pissa", "olora", "mica"):
        return
    for key, tensor in expected.items():
        value = torch.from_numpy(got[key].copy())
        if value.dtype == torch.uint16:
            value = value.view(torch.bfloat16)
        value, tensor = value.float(), tensor.float()
        # Rounded to the base's type: a last bit of f32 may tip the rounding.
        step = max(1e-5, torch.finfo(pair.case.base_dtype).eps)
        if not torch.allclose(value, tensor, rtol=step, atol=1e-6):
            raise compare.Mismatch(f"fresh tensor {key} differs by "
                                   f"{(value - tensor).abs().max():.1e}")
