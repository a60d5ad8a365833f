"""Verbs that PEFT does not have, or that end a model: checked for what they
promise."""

import copy

import numpy as np
import peft
import torch

from testing.conformance import adapters as adapters_module
from testing.conformance import compare
from testing.conformance import random_models
from testing.conformance import reference
from testing.conformance import refusals


def probe(pair, name):
    """An adapter with random tensors changes every layer that it is on."""
    adapter = pair.loaded[name]
    with pair.attempt("probe", [adapter]):
        summary = pair.ours.probe(name, pair.rng.randrange(100))
        fresh = adapter.features.get("is_fresh") or any(
            t.numel() == 0 for t in adapter.tensors.values())
        if summary.num_sites < 1 and not fresh:
            raise compare.Mismatch("probe: no sites")
        if not fresh and (summary.num_unchanged or not summary.ratio > 0):
            raise compare.Mismatch(
                f"probe: {summary.num_unchanged} of {summary.num_sites} "
                f"layers unchanged, ratio {summary.ratio}")


def estimate(pair, name):
    """What is said before a load is what it takes."""
    adapter = pair.loaded[name]
    with pair.attempt("estimate", [adapter]):
        before = pair.ours.estimate(adapter.ours)
        after = pair.ours.info(name)
        tensors = adapters_module.read_tensors(adapter.ours)
        if before.num_tensors != len(tensors) or before.num_parameters != sum(
                t.numel() for t in tensors.values()):
            raise compare.Mismatch("estimate: number of tensors or elements")
        if before.size_bytes < after.size_bytes:
            raise compare.Mismatch(f"estimate: {before.size_bytes} bytes, it "
                                   f"takes {after.size_bytes}")


def limit(pair, name):
    """Where there is no room for more, those go that are neither active nor
    pinned, and were not added to be trained."""
    adapter = pair.loaded[name]
    with pair.attempt("pin, limit", [adapter]):
        pair.ours.pin(name, True)
        active = [n for n, _ in pair.active]
        keep = {name, *active, *[n for n, _ in pair.merged],
                *[n for n in pair.loaded if pair.ours.info(n).is_trainable]}
        pair.ours.set_limit(0, len(keep))
        kept = set(pair.ours.names())
        if not keep <= kept or len(kept) > len(keep):
            raise compare.Mismatch(f"limit: {kept} stayed, not {keep}")
        pair.loaded = {n: a for n, a in pair.loaded.items() if n in kept}
        pair.factors = {n: f for n, f in pair.factors.items() if n in kept}
        pair.ours.set_limit(0, 0)
        pair.ours.pin(name, False)
        pair.check("limit")


def merge_and_unload(pair, path):
    """The folder opens in transformers and gives what the adapters gave."""
    chosen = pair.entries()
    adapters = [a for a, _ in chosen]
    with pair.attempt("merge_and_unload", adapters,
                      refusals.of_merge_and_unload(pair, adapters)):
        pair.ours.merge_and_unload(path)
        try:
            right = pair.nest(chosen)
        except reference.NoReference:
            return
        model = type(pair.base).from_pretrained(
            path, dtype=torch.float32, attn_implementation="eager").eval()
        output = pair.case.layout.output
        got = compare.reference_output(model, pair.ids, pair.mask, output)
        whole = right.output(pair.ids, pair.mask)
        if pair.case.base_dtype == torch.float32:
            compare.check_outputs(
                pair.statistics, got, whole,
                lambda nudge=None: right.exact(pair.ids, pair.mask, nudge),
                pair.mask,
                "merge_and_unload")
        else:
            try:
                merged = right.merged(pair.case.base_dtype)
            except reference.NoReference:
                return
            rounded = compare.reference_output(merged, pair.ids, pair.mask,
                                               output)
            compare.check_reduced(pair.statistics, got, rounded, whole,
                                  pair.mask, "merge_and_unload")
        check_untouched(pair)


def check_untouched(pair):
    """The model itself goes on as before."""
    again = pair.ours.forward(pair.ids, pair.mask)
    if not np.isfinite(again).all():
        raise compare.Mismatch("not finite after merge_and_unload")
    pair.check("after merge_and_unload")


def unload(pair):
    """No adapter is left, and the base is what it was, bit by bit. Disabled
    adapters stay disabled: those that are loaded next, too."""
    adapters = list(pair.loaded.values())
    with pair.attempt("unload", adapters):
        pair.ours.unload()
        pair.loaded, pair.factors = {}, {}
        pair.active, pair.merged = [], []
        if pair.ours.names() or pair.ours.active_adapters():
            raise compare.Mismatch(f"unload: {pair.ours.names()} stayed")
        pair.check_is_base("unload")
        _check_unload_of_peft(pair, pair.rng.choice(adapters))


def _check_unload_of_peft(pair, adapter):
    """That PEFT's unload() gives the base, too, where it does: it keeps what an
    adapter changed in the base, and whole modules that are active."""
    if adapter.base_values or any(".modules_to_save." in key
                                  for key in adapter.tensors):
        return
    base = random_models.unreplicated(pair.base, adapter.config)
    model = peft.PeftModel.from_pretrained(copy.deepcopy(base),
                                           adapter.folder).unload()
    # Outputs may differ by rounding, as copies lie elsewhere in memory.
    left, right = model.state_dict(), pair.base.state_dict()
    if set(left) != set(right) or not all(
            torch.equal(left[key], right[key]) for key in right):
        raise compare.Mismatch("unload: PEFT's own is not the base")


def bf16(pair, name):
    """In bf16 we must be no further from f32 than PEFT itself is."""
    adapter = pair.loaded[name]
    if adapter.base_values or adapter.features["is_alora"]:
        return  # biases of f32 in a base of bf16: PEFT rounds them, too
    pair.set_adapter([(name, 1.0)])
    base = random_models.unreplicated(pair.base, adapter.config)
    model = copy.deepcopy(base).to(torch.bfloat16)
    model = peft.PeftModel.from_pretrained(model, adapter.folder).eval()
    if base is not pair.base:
        random_models.expand_layer_types(model, pair.case.layout.ranges)
    output = pair.case.layout.output
    theirs = compare.reference_output(model, pair.ids, pair.mask, output)
    right = pair.nest(pair.entries()).output(pair.ids, pair.mask)
    got = pair.ours.forward(pair.ids, pair.mask)
    compare.check_reduced(pair.statistics, got, theirs, right, pair.mask,
                          "bf16")
