"""add_weighted_adapter on both sides."""

import copy

import peft
import torch

from testing import peft_verbs as ours_module
from testing.conformance import adapters as adapters_module
from testing.conformance import refusals

EQUAL_RANKS = ("linear", "ties", "dare_linear", "dare_ties",
               "magnitude_prune")


def can_combine(adapter):
    """Whether PEFT's answer for such a source is the right one."""
    return adapter.config.peft_type.value in ("LORA", "IA3") and \
        not adapter.base_values and not adapter.features["is_wrapping"] and \
        not adapter.features["is_alora"] and \
        not adapter.features["is_dora"] and \
        not adapter.features["is_replicating"] and \
        getattr(adapter.config, "lora_bias", False) is False and \
        not getattr(adapter.config, "ensure_weight_tying", False)


def random_options(rng, count):
    kind = rng.choice(ours_module.COMBINATIONS)
    options = {"kind": kind, "seed": rng.randrange(1000)}
    if any(word in kind for word in ("ties", "dare", "magnitude")):
        options["density"] = rng.choice([0.3, 0.5, 0.8])
    if "ties" in kind:
        options["majority"] = rng.choice(["total", "frequency"])
    if kind.endswith("svd"):
        options["svd_rank"] = rng.choice([None, None, 2, 5])
        options["svd_clamp"] = rng.choice([None, None, 0.9])
    weights = [rng.choice([1.0, 0.5, -0.7, 0.3]) for _ in range(count)]
    return options, weights


def _peft_combined(pair, sources, weights, options, uid, folder):
    """What PEFT makes of the sources, as an adapter of its own."""
    model = peft.PeftModel.from_pretrained(
        copy.deepcopy(pair.base), sources[0].folder,
        adapter_name=sources[0].uid)
    for source in sources[1:]:
        model.load_adapter(source.folder, source.uid)
    names = [source.uid for source in sources]
    torch.manual_seed(options["seed"])
    if sources[0].config.peft_type.value == "IA3":
        model.add_weighted_adapter(names, weights, uid)
    else:
        model.add_weighted_adapter(
            names, weights, uid, combination_type=options["kind"],
            svd_rank=options.get("svd_rank"),
            svd_clamp=options.get("svd_clamp"),
            density=options.get("density"),
            majority_sign_method=options.get("majority", "total"))
        # PEFT copies use_rslora, which makes the sum sqrt(r) times too large.
        model.peft_config[uid].use_rslora = False
    model.save_pretrained(folder, selected_adapters=[uid],
                          save_embedding_layers=False)
    labels = set().union(*[s.labels for s in sources])
    return adapters_module.read_back(pair.base, folder / uid, uid, labels,
                                     folder / uid)


def add_weighted(pair, names, new_name, folder):
    """Combines loaded adapters; the result is loaded, not activated."""
    sources = [pair.loaded[name] for name in names]
    options, weights = random_options(pair.rng, len(names))
    verb = f"weighted {options['kind']}"
    if sources[0].config.peft_type.value == "IA3":
        options = {"kind": "linear", "seed": 0}
        verb = "weighted linear"
    uid = f"w{next(pair.counter)}x"
    try:
        right = _peft_combined(pair, sources, weights, options, uid, folder)
        expected = None
    except (ValueError, TypeError, RuntimeError) as error:
        right = None
        expected = refusals.Refusal(
            ("ADAPTER_NOT_COMBINABLE",), "ranks or layers that the type "
            "cannot take; PEFT: " + type(error).__name__)
    with pair.attempt(verb, sources, expected) as outcome:
        pair.ours.add_weighted(new_name, names, weights, **options)
        if right is None:
            return
        pair.loaded[new_name] = right
        pair._read_state()
        pair.ours.set_adapter([new_name])
        pair.active, pair.merged = [(new_name, 1.0)], []
        pair.check(f"{verb} {weights} {options}")
    if not outcome.done:
        pair.loaded.pop(new_name, None)
