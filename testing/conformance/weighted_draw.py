"""What add_weighted_adapter combines in a random case, and what is refused."""

from peft.tuners.ia3.model import IA3Model
from peft.tuners.tuners_utils import BaseTunerLayer

from testing import peft_verbs as ours_module
from testing.conformance import refusals

ON_FACTORS = ("linear", "ties", "dare_linear", "dare_ties", "magnitude_prune")


class Draw:
    """What is combined, and how."""

    def __init__(self, pair):
        rng = pair.rng
        self.names = _random_names(pair)
        self.sources = [pair.loaded[name] for name in self.names]
        self.factors = [pair.factors.get(name, 1.0) for name in self.names]
        self.weights = [rng.choice([1.0, 0.5, -0.7, 0.3]) for _ in self.names]
        self.kind = rng.choice(ours_module.COMBINATIONS)
        if self._are("IA3") and rng.random() < 0.8:
            self.kind = "linear"
        self.seed = rng.randrange(1000)
        self.density = self.majority = self.svd_rank = self.svd_clamp = None
        if any(word in self.kind for word in ("ties", "dare", "magnitude")):
            self.density = rng.choice([0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
        if "ties" in self.kind:
            self.majority = rng.choice(["total", "frequency"])
        if self.kind.endswith("svd"):
            self.svd_rank = rng.choice([None, None, 2, 5])
            self._draw_clamp(rng)

    def _draw_clamp(self, rng):
        """The quantile counts the vectors of singular values of 0, too, which
        are arbitrary: there may be none."""
        if rng.random() < 0.25 and self._are("LORA"):
            self.svd_clamp = rng.choice([0.9, 0.99, 0.5])
            self.svd_rank = 1

    def _are(self, kind):
        return all(s.config.peft_type.value == kind for s in self.sources)

    def is_lora(self):
        return self._are("LORA")

    def is_ia3(self):
        return self._are("IA3")

    def any(self, feature):
        return any(s.features[feature] for s in self.sources)

    def has_own(self, field, default):
        return any(getattr(s.config, field, default) != default
                   for s in self.sources)

    def type(self):
        """PEFT takes the factors of a single source as they are."""
        if len(self.names) == 1 and not self.any("is_dora"):
            return "linear"
        return self.kind

    def __str__(self):
        return (f"weighted {self.kind} {self.weights} of "
                f"{[s.uid for s in self.sources]} x {self.factors} density "
                f"{self.density} {self.majority} rank {self.svd_rank} clamp "
                f"{self.svd_clamp}")


def candidates(pair):
    """What PEFT combines of other adapters lacks what they took from the base,
    and a base with replicated layers cannot be replicated once more."""
    return [name for name, adapter in pair.loaded.items()
            if not adapter.features["changes_base"]
            and not getattr(adapter.config, "layer_replication", None)]


def _random_names(pair):
    """Mostly of one method, so that they can be combined."""
    names = candidates(pair)
    if pair.rng.random() < 0.85:
        kind = pair.loaded[pair.rng.choice(names)].config.peft_type
        names = [n for n in names if pair.loaded[n].config.peft_type == kind]
    names = pair.rng.sample(names, pair.rng.randint(1, min(3, len(names))))
    kinds = set().union(*[pair.loaded[name].kinds for name in names])
    # PEFT hands the Conv1D's fan_in_fan_out on to MultiheadAttention.
    return names[:1] if {"Conv1D", "MultiheadAttention"} <= kinds else names


def layers(model):
    return [m for m in model.modules() if isinstance(m, BaseTunerLayer)]


# -- what is refused


def refused(note):
    return refusals.Refusal(("ADAPTER_NOT_COMBINABLE",), note)


def refusal_of_config(draw):
    """What the configs tell; None where they can be combined."""
    if draw.is_ia3():
        if len(draw.names) > 1 and draw.kind != "linear":
            return refused("IA3 has sums only, \"linear\"; PEFT: TypeError")
        if draw.any("is_wrapping"):
            return refused("modules_to_save have no sum; PEFT: ValueError, or "
                           "the base's module")
        if set(draw.factors) != {1.0}:
            return refused("IA3 with a scale; PEFT has none")
        return _refusal_of_roles(draw)
    if not draw.is_lora():
        return refused("other methods than LORA, or IA3 alone; PEFT: TypeError")
    if draw.has_own("target_parameters", None):
        return refused("target_parameters; PEFT: ValueError")
    if draw.any("is_wrapping"):
        return refused("modules_to_save and trainable tokens have no sum; "
                       "PEFT: ValueError, or it drops what was trained")
    if draw.has_own("bias", "none") or draw.has_own("lora_bias", False):
        return refused("biases have no sum; PEFT: ValueError, or it drops "
                       "them")
    tokens = [s.config.alora_invocation_tokens for s in draw.sources]
    if any(t != tokens[0] for t in tokens):
        return refused("aLoRA of several invocation tokens; PEFT takes those "
                       "of the first")
    if any(_is_tied(s) for s in draw.sources):
        return refused("ensure_weight_tying; PEFT unties the two")
    if draw.any("is_dora") and not draw.kind.endswith("svd"):
        return refused("DoRA has no factors, but in the types with svd; PEFT "
                       "takes the factors, and another magnitude")
    return None


def scales_inputs(source, module):
    """Whether an IA3 scales what goes into a module, not what comes out."""
    return IA3Model._check_target_module_feedforward(source.config, module)


def _refusal_of_roles(draw):
    roles = {}
    for source in draw.sources:
        for key in source.tensors:
            module = key.rsplit(".ia3_l", 1)[0]
            role = scales_inputs(source, module)
            if roles.setdefault(module, role) != role:
                return refused("IA3 on a module's inputs here, on its outputs "
                               "there; PEFT: RuntimeError, or a sum of both")
    return None


def _is_tied(adapter):
    """Whether the head's factors are the embedding's."""
    return getattr(adapter.config, "ensure_weight_tying", False) and any(
        "lora_embedding_A" in key for key in adapter.tensors) and any(
            key.startswith(("lm_head", "cls.", "score")) or ".decoder." in key
            for key in adapter.tensors)


def refusal_of_layers(model, draw):
    """What the loaded layers tell."""
    ranks_differ = grouped = False
    for module in layers(model):
        uids = [s.uid for s in draw.sources
                if s.uid in getattr(module, "lora_A", {})
                or s.uid in getattr(module, "lora_embedding_A", {})]
        ranks_differ |= len({module.r[uid] for uid in uids}) > 1
        grouped |= bool(uids) and getattr(
            module.get_base_layer(), "groups", 1) > 1
    if ranks_differ and draw.type() in ON_FACTORS:
        return refused("layers of several ranks, but for cat and svd; PEFT: "
                       "RuntimeError")
    if grouped and draw.type() not in ON_FACTORS:
        return refused("a convolution with groups, but by its factors; PEFT: "
                       "RuntimeError, or other numbers")
    return None
