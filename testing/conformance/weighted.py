"""add_weighted_adapter on both sides."""

import contextlib
import copy
from unittest import mock

import peft
import torch
from peft.tuners.lora import layer as lora_layer
from peft.tuners.lora import model as lora_model
from peft.tuners.tuners_utils import BaseTunerLayer

from testing.conformance import adapters as adapters_module
from testing.conformance import compare
from testing.conformance import other_heads
from testing.conformance import random_methods
from testing.conformance import round_trip
from testing.conformance import weighted_draw

EXACT_SVD = torch.linalg.svd
# What no longer holds for the result, or is compared by itself.
GONE_LABELS = {"rsLoRA", "DoRA", "converted init", other_heads.LABEL} | {
    label for label in random_methods.INITS.values() if label}
FILTERS = ("target_modules", "exclude_modules", "layers_to_transform",
           "layers_pattern", "feedforward_modules")


def _peft_model(pair, draw):
    first = draw.sources[0]
    model = peft.PeftModel.from_pretrained(
        copy.deepcopy(pair.base), first.folder, adapter_name=first.uid)
    for source in draw.sources[1:]:
        model.load_adapter(source.folder, source.uid)
    for module in weighted_draw.layers(model):
        for source, factor in zip(draw.sources, draw.factors):
            if source.uid in getattr(module, "scaling", {}):
                module.scaling[source.uid] *= factor
    # Defects: sqrt(r) on top of the sum, a magnitude that nobody trained, and
    # another computation from the base.
    config = model.peft_config[first.uid]
    for key in ("use_rslora", "use_dora"):
        if hasattr(config, key):
            setattr(config, key, False)
    if isinstance(getattr(config, "init_lora_weights", True), str):
        config.init_lora_weights = True
    return model


def _wrapped(model, uids):
    """Names of the modules that have one of the adapters."""
    return {adapters_module.canonical(name)
            for name, module in adapters_module.wrappers(model)
            if isinstance(module, BaseTunerLayer) and any(
                uid in getattr(module, part, {}) for uid in uids
                for part in ("lora_A", "lora_embedding_A", "ia3_l"))}


def _name_exactly(model, draw):
    """Ours names the modules where PEFT's config would drop or add some."""
    for source in draw.sources:
        config = model.peft_config[source.uid]
        config.target_modules = _wrapped(model, [source.uid])
        config.exclude_modules = None
        if draw.is_ia3():
            config.feedforward_modules = {
                name for name in config.target_modules
                if weighted_draw.scales_inputs(source, name)}
        else:
            config.layers_to_transform = config.layers_pattern = None


@contextlib.contextmanager
def _mended(draw):
    """PEFT's functions with what it gets wrong put right: the generator's
    start, DoRA, ranks above what a layer has, convolutions of 1 or 3 axes.
    Signs of singular vectors are ours, and the decomposition f64's."""
    tuner = lora_model.LoraModel
    inject = tuner.inject_adapter
    combine = tuner._svd_generalized_task_arithmetic_weighted_adapter
    check = tuner._check_add_weighted_adapter
    rank = 0

    def seeded(self, *args, **kwargs):
        result = inject(self, *args, **kwargs)
        torch.manual_seed(draw.seed)
        return result

    def svd(matrix, full_matrices=True, driver=None):
        u, s, vh = EXACT_SVD(matrix.flatten(1).double(), full_matrices=False)
        sign = u.gather(0, u.abs().argmax(0, keepdim=True)).sign()
        u, vh = u * sign, vh * sign.T
        lacking = max(0, rank - len(s))
        pad = torch.nn.functional.pad
        return (pad(u, (0, lacking)).float(), pad(s, (0, lacking)).float(),
                pad(vh, (0, 0, 0, lacking)).float())

    def shaped(self, kind, adapters, weights, new_rank, target, a, b, *args,
               **kwargs):
        nonlocal rank
        rank = new_rank
        new_a, new_b = combine(self, kind, adapters, weights, new_rank, target,
                               a, b, *args, **kwargs)
        return new_a.reshape(a.shape), new_b.reshape(b.shape)

    def checked(self, adapters, combination_type, svd_rank):
        kind, new_rank, targets = check(self, adapters, combination_type,
                                        svd_rank)
        if kind != draw.type():  # a single DoRA
            kind, new_rank = draw.type(), svd_rank or new_rank
        return kind, new_rank, targets

    with mock.patch.multiple(
            tuner, inject_adapter=seeded,
            _svd_generalized_task_arithmetic_weighted_adapter=shaped,
            _check_add_weighted_adapter=checked), \
            mock.patch("torch.linalg.svd", svd):
        yield


def _mend_1x1(layer):
    """PEFT takes a Conv3d of kernel (1, 1, n) for a 1x1 Conv2d."""
    def delta(adapter):
        a, b = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
        return layer.scaling[adapter] * torch.einsum(
            "or,rixyz->oixyz", b.flatten(1), a)

    layer.get_delta_weight = delta


def _fold_dora(layer):
    """Lets a layer's change of the weight be that of DoRA's magnitude, too."""
    plain = layer.get_delta_weight

    def delta(adapter):
        variant = layer.lora_variant.get(adapter)
        if "Dora" not in type(variant).__name__:
            return plain(adapter)
        weight = layer.get_base_layer().weight
        with mock.patch.object(layer, "get_delta_weight", plain):
            merged = variant.merge_safe(layer, adapter, weight.clone())
        return merged - weight

    layer.get_delta_weight = delta


def _run_peft(pair, draw, uid, exactly):
    model = _peft_model(pair, draw)
    if exactly:
        _name_exactly(model, draw)
    wanted = _wrapped(model, [s.uid for s in draw.sources])
    names = [s.uid for s in draw.sources]
    if draw.is_ia3():
        model.add_weighted_adapter(names, draw.weights, uid)
    else:
        for layer in weighted_draw.layers(model):
            if isinstance(layer, lora_layer.Conv3d):
                _mend_1x1(layer)
            if getattr(layer, "lora_variant", None):
                _fold_dora(layer)
        with _mended(draw):
            model.add_weighted_adapter(
                names, draw.weights, uid, combination_type=draw.kind,
                svd_rank=draw.svd_rank, svd_clamp=draw.svd_clamp,
                density=draw.density,
                majority_sign_method=draw.majority or "total")
    return model, wanted == _wrapped(model, [uid])


def _pad(model, uid):
    """PEFT's own result of layers with less than the rank does not load."""
    for module in weighted_draw.layers(model):
        for a, b in (("lora_A", "lora_B"),
                     ("lora_embedding_A", "lora_embedding_B")):
            if uid not in getattr(module, a, {}):
                continue
            part_a, part_b = getattr(module, a)[uid], getattr(module, b)[uid]
            part_a, part_b = (getattr(p, "weight", p) for p in (part_a, part_b))
            have, rank = part_a.shape[0], module.r[uid]
            groups = have // part_b.shape[1]
            old_a = part_a.data.reshape(groups, have // groups, -1)
            new_a = old_a.new_zeros(groups, rank // groups, old_a.shape[2])
            new_a[:, :have // groups] = old_a
            new_b = part_b.data.new_zeros(
                part_b.shape[0], rank // groups, *part_b.shape[2:])
            new_b[:, :have // groups] = part_b.data
            part_a.data = new_a.reshape(rank, *part_a.shape[1:])
            part_b.data = new_b


def _peft_combined(pair, draw, uid, folder):
    """What PEFT makes of the sources, as an adapter of its own; None where it
    refuses. And whether its own config was the right one."""
    is_own = True
    try:
        model, is_own = _run_peft(pair, draw, uid, exactly=False)
    except ValueError as error:
        if "No matching LoRAs" not in str(error):
            return None, str(error)
        is_own = False
    except IndexError:  # the same, in the types on factors
        is_own = False
    if not is_own:
        model, fits = _run_peft(pair, draw, uid, exactly=True)
        if not fits:
            raise RuntimeError("the reference does not name the modules")
    _pad(model, uid)
    model.save_pretrained(folder, selected_adapters=[uid],
                          save_embedding_layers=False)
    labels = set().union(*[s.labels for s in draw.sources]) - GONE_LABELS
    if draw.is_lora():
        labels.add("LoRA")
    right = adapters_module.read_back(pair.base, folder / uid, uid, labels,
                                      folder / uid)
    right.features["is_fresh"] = _is_fresh(draw)
    return right, is_own


def _is_fresh(draw):
    """Whether the sources, and so the result, change nothing."""
    return all(s.features.get("is_fresh") for s in draw.sources)


# -- the verb


def _check_tensors(pair, name, right, draw):
    """Types without a decomposition have one answer, to rounding."""
    got = {k: torch.from_numpy(v.copy())
           for k, v in pair.ours.state_dict(name).items()}
    expected = {k.removeprefix(round_trip.PREFIX): v for k, v in
                adapters_module.read_tensors(right.folder).items()}
    shapes, right_shapes = ({k: list(v.shape) for k, v in tensors.items()}
                            for tensors in (got, expected))
    if shapes != right_shapes:
        raise compare.Mismatch(
            f"{draw}: names or shapes of tensors differ: "
            + ", ".join(f"{k} {shapes.get(k)} not {right_shapes.get(k)}"
                        for k in sorted(set(got) | set(expected))
                        if shapes.get(k) != right_shapes.get(k)))
    if draw.type().endswith("svd"):
        return
    for key, tensor in expected.items():
        error = (got[key] - tensor).abs().max()
        if not error <= 1e-6 * max(1.0, tensor.abs().max()):
            raise compare.Mismatch(f"{draw}: {key} differs by {error:.1e}")


def _as_read(config):
    fields = {k: set(v) if k in FILTERS and isinstance(v, (list, set)) else v
              for k, v in config.to_dict().items()}
    # The last is the base's class where PEFT itself has made the adapter.
    for key in ("inference_mode", "peft_version", "base_model_name_or_path",
                "auto_mapping"):
        fields.pop(key, None)
    return {k: v or None for k, v in fields.items()}


def _check_config(folder, right, draw, is_own):
    """As PEFT reads ours, but for modules that a config names otherwise."""
    got = _as_read(peft.PeftConfig.from_pretrained(folder))
    expected = _as_read(peft.PeftConfig.from_pretrained(right.folder))
    named = all(s.config.target_modules and "renamed" not in s.features
                for s in draw.sources)
    skip = () if is_own and named else FILTERS + ("ensure_weight_tying",)
    wrong = [f"{k}: {got.get(k)!r}, not {expected.get(k)!r}"
             for k in {**got, **expected}
             if k not in skip and got.get(k) != expected.get(k)]
    if wrong:
        raise compare.Mismatch(f"{draw}: config: " + "; ".join(wrong))


def add_weighted(pair, new_name, folder):
    """Combines loaded adapters; the result is loaded, not activated."""
    draw = weighted_draw.Draw(pair)
    uid = f"w{next(pair.counter)}x"
    expected, right, is_own = weighted_draw.refusal_of_config(draw), None, None
    if expected is None:
        model = _peft_model(pair, draw)
        expected = weighted_draw.refusal_of_layers(model, draw)
    if expected is None:
        right, is_own = _peft_combined(pair, draw, uid, folder)
        if right is None:
            expected = weighted_draw.refused(
                "ranks that differ, in the types on factors; a regex beside "
                "lists in target_modules; PEFT: ValueError")
    before = pair.ours.names()
    with pair.attempt(f"weighted {draw.kind}", draw.sources,
                      expected) as outcome:
        pair.ours.add_weighted(
            new_name, draw.names, draw.weights, draw.kind, draw.density,
            draw.majority or "total", draw.svd_rank, draw.svd_clamp, draw.seed)
        if right is None:
            return
        pair._read_state()
        saved = folder.parent / f"{folder.name}_ours"
        pair.ours.save_adapter(new_name, saved)
        _check_tensors(pair, new_name, right, draw)
        _check_config(saved, right, draw, is_own)
        pair.loaded[new_name] = right
        pair.ours.set_adapter([new_name])
        pair.active, pair.merged = [(new_name, 1.0)], []
        pair.check(str(draw))
        # From here on it is what PEFT reads from our file.
        pair.loaded[new_name] = adapters_module.read_back(
            pair.base, saved, f"{uid}o", right.labels, saved)
        pair.loaded[new_name].features["is_fresh"] = _is_fresh(draw)
        pair.check(f"{draw}, as PEFT reads it")
    if not outcome.done and pair.ours.names() != before:
        raise compare.Mismatch(f"{draw} was refused and left something behind")
