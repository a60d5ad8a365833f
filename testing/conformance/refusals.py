"""What we refuse on purpose, with which error, and PEFT's answer to it."""

import dataclasses

from testing.conformance import reference


@dataclasses.dataclass
class Refusal:
    """Error ids that are right here. `required`: it must be refused."""
    ids: tuple
    note: str
    required: bool = True


def note(verb, adapters, error, expected):
    """The table's note on a refusal that is right; None where it is not."""
    if expected and error.id in expected.ids:
        return f"`{error.id}`: {expected.note}"
    return None


def of_load(adapter):
    """What PEFT saved although it does nothing there, or loses."""
    if getattr(adapter.config, "ensure_weight_tying", False):
        return of_fresh(adapter) or Refusal(
            ("TENSOR_UNEXPECTED",), "ensure_weight_tying beside an embedding "
            "that is not called embed_tokens: PEFT's own config has lost the "
            "head, whose factors PEFT then loads to no effect",
            required=False)
    return of_fresh(adapter)


def of_fresh(adapter):
    """What PEFT makes although it does nothing there."""
    if getattr(adapter.config, "lora_bias", False) and \
            "MultiheadAttention" in adapter.kinds:
        return Refusal(("ADAPTER_CONFIG",), "MultiheadAttention has no bias of "
                       "lora_B; PEFT trains and saves one, and ignores it")
    return None


_MERGED = Refusal(("MERGED", "ADAPTER_SCALE"), "unmerge first; PEFT: ValueError, or a silent "
                  "no-op")


_ON_TOP = Refusal(
    ("ADAPTER_CONFLICT",), "a bias or a norm trained on the base's own bias, on "
    "top of merged weights that hold another one; in PEFT merging changes what "
    "it computes", required=False)


def _cannot_scale(adapter, scale):
    return adapter.features["only_0_or_1"] and scale not in (0, 1)


def of_scale(adapter, scale):
    """Multiplicative and replacing parts have no scale."""
    if not _cannot_scale(adapter, scale):
        return None
    return Refusal(
        ("ADAPTER_SCALE",), "what multiplies or replaces takes scale 0 or 1; "
        "PEFT ignores the scale (IA3, modules_to_save) or has none")


def of_set(pair, choice):
    """Scales that cannot be, and adapters that cannot act together."""
    for name, scale in choice:
        refusal = of_scale(pair.loaded[name],
                           scale * pair.factors.get(name, 1.0))
        if refusal:
            return refusal
    return _of_conflict(pair, choice)


def _saved_modules(adapter):
    return {key.split(".modules_to_save.")[0] for key in adapter.tensors
            if ".modules_to_save." in key}


def _of_conflict(pair, choice):
    adapters = [pair.loaded[name] for name, scale in choice
                if scale * pair.factors.get(name, 1.0)]
    modules = [_saved_modules(a) for a in adapters]
    twice = any(a & b for i, a in enumerate(modules) for b in modules[:i])
    try:
        disabled, pair.disabled = pair.disabled, False
        pair.nest(pair.entries(choice))
    except reference.NoReference as reason:
        return Refusal(
            ("ADAPTER_CONFLICT",), "one module or row replaced by two adapters "
            "at once, or changed by one and replaced by the other; PEFT: "
            "ValueError or TypeError", required=twice)
    finally:
        pair.disabled = disabled
    return None


def of_delete(names, merged):
    if not set(names) & set(merged):
        return None
    return _MERGED


def of_set_scale(pair, name, scale):
    if name in dict(pair.merged):
        return _MERGED
    return of_scale(pair.loaded[name], scale)


def of_replace(pair, name, adapter):
    if name in dict(pair.merged):
        return _MERGED
    loading = of_load(adapter)
    if loading and loading.required:
        return loading
    refusal = _of_taking_over(pair, name, adapter)
    if loading and refusal:
        return dataclasses.replace(loading, ids=loading.ids + refusal.ids)
    return loading or refusal


def _of_taking_over(pair, name, adapter):
    entry = [scale for n, scale in pair.active if n == name]
    if not entry and name not in pair.factors:
        return None
    old = pair.loaded[name]
    try:
        pair.loaded[name] = adapter
        scale = (entry or [1.0])[0] * pair.factors.get(name, 1.0)
        refusal = of_scale(adapter, scale) or (
            _of_conflict(pair, pair.active) if entry else None)
        return refusal or (_ON_TOP if pair.merged else None)
    finally:
        pair.loaded[name] = old


def of_merge(pair, adapters):
    if any(a.features["is_alora"] for a in adapters):
        return Refusal(("ADAPTER_NOT_MERGEABLE",),
                       "what depends on positions is no weight; PEFT: "
                       "NotImplementedError")
    names = {id(a): name for name, a in pair.loaded.items()}
    merging = [(names[id(a)], 1.0) for a in adapters]
    acting = {**dict(pair.merged), **dict(merging), **dict(pair.active)}
    refusal = _of_conflict(pair, list(acting.items()))
    if refusal:
        return dataclasses.replace(
            refusal, ids=(*refusal.ids, "ADAPTER_NOT_MERGEABLE"),
            required=False)
    if any(a.kinds & {"Conv1d", "Conv2d", "Conv3d"} for a in adapters):
        return Refusal(("ADAPTER_NOT_MERGEABLE",), "a low-rank product on a "
                       "convolution with groups; PEFT: NotImplementedError",
                       required=False)
    return _ON_TOP if len(acting) > len(merging) else None


def of_merge_and_unload(pair, adapters):
    refusal = of_merge(pair, adapters)
    if refusal:
        return refusal
    if any(key.endswith(".lora_B." + a.uid + ".bias") for a in adapters
           for key in a.tensors):
        return Refusal(("ADAPTER_NOT_MERGEABLE",), "a trained bias where the "
                       "base has none; PEFT: RuntimeError", required=False)
    return None


def of_rows(pair, choices):
    if pair.merged:
        return dataclasses.replace(_MERGED, required=False)
    found = [of_set(pair, choice) for choice in choices]
    found = [refusal for refusal in found if refusal]
    if not found:
        return None
    ids = tuple(error_id for refusal in found for error_id in refusal.ids)
    return dataclasses.replace(found[0], ids=ids, required=False)
