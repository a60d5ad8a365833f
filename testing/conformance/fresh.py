"""New adapters that nobody has trained, made here and by PEFT."""

import copy
import dataclasses
import json

import peft
import torch

from testing import peft_ctypes
from testing.conformance import adapters as adapters_module
from testing.conformance import compare
from testing.conformance import random_methods
from testing.conformance import random_models
from testing.conformance import refusals
from testing.conformance import round_trip

# Computed from the base by a decomposition, whose vectors may have either
# sign; only their products count.
DECOMPOSED = ("pissa", "olora", "mica")


def _peft_saves(pair, draft, uid, seed, folder):
    """What PEFT makes and saves. In the base's own type, to which PEFT rounds
    what it draws; of the base before its layers were replicated, which PEFT
    does whenever it makes an adapter that says so."""
    torch.manual_seed(seed)
    base = copy.deepcopy(random_models.unreplicated(pair.base, draft.config))
    base.to(pair.case.base_dtype)
    if pair.case.base_path:
        base.name_or_path = pair.case.base_path
    model = peft.get_peft_model(base, copy.deepcopy(draft.config),
                                adapter_name=uid)
    model.save_pretrained(folder, selected_adapters=[uid],
                          save_embedding_layers=False)
    return adapters_module.read_back(pair.base, folder / uid, uid,
                                     draft.labels, folder / uid)


def _as_user_writes(rng, config):
    """The config's own fields, and some that have their default anyway."""
    fields = {k: sorted(v, key=str) if isinstance(v, set) else v
              for k, v in config.to_dict().items()}
    defaults = {f.name: f.default for f in dataclasses.fields(type(config))
                if f.default is not dataclasses.MISSING}
    keep = ("peft_type", "task_type", "target_modules", "total_step")
    return json.dumps({
        k: v for k, v in fields.items()
        if k in keep or k not in defaults or
        (v != defaults[k] and v not in ({}, None)) or rng.random() < 0.1})


def _draw(pair, method, folder):
    """A random config that PEFT takes, what it makes of it, and the seed."""
    for _ in range(40):
        draft = random_methods.random_draft(pair.rng, pair.case.layout, method)
        draft.labels -= {"converted init", "AdaLoRA pruned"}
        draft.labels |= {"AdaLoRA"} if method == "adalora" else set()
        if draft.convert:  # here it is as it was before the training
            draft.labels |= random_methods.init_labels(
                draft.config.init_lora_weights)
        random_methods.vary_fresh(pair.rng, pair.case.layout, draft)
        seed, uid = pair.rng.randrange(1000), f"f{next(pair.counter)}x"
        if getattr(draft.config, "init_lora_weights", True) == "pissa_niter_4":
            continue  # random numbers without a seed
        text = _as_user_writes(pair.rng, draft.config)
        try:
            right = _peft_saves(pair, draft, uid, seed, folder / uid)
        except (ValueError, TypeError, NotImplementedError,
                AttributeError) as error:
            _check_refused(pair, text, seed, error)
            continue
        right.features["is_fresh"] = True
        pair.case.sequence.made.append(right)
        return text, right, seed
    raise RuntimeError(f"no new {method} fits; widen the generator")


def _check_refused(pair, text, seed, error):
    """What PEFT refuses is refused here, and changes nothing."""
    if "modules_to_save cannot be applied" in str(error):
        return  # the head of TOKEN_CLS, which we leave out as of SEQ_CLS
    before = pair.ours.names(), pair.ours.active_adapters()
    try:
        pair.ours.add_adapter("refused", text, seed)
    except peft_ctypes.PeftError:
        if (pair.ours.names(), pair.ours.active_adapters()) != before:
            raise compare.Mismatch(f"{text} was refused, but left something")
        return
    raise compare.Mismatch(f"PEFT refuses {text}: {error}")


def add(pair, method, name, folder):
    """add_adapter from a user's config alone, with torch's own numbers."""
    text, right, seed = _draw(pair, method, folder)
    with pair.attempt("add_adapter", [right],
                      refusals.of_fresh(right)) as outcome:
        pair.ours.add_adapter(name, text, seed)
        pair.loaded[name] = right
        pair.active, pair.merged = [(name, 1.0)], []
        saved = folder / "ours"
        pair.ours.save_adapter(name, saved)
        if _check_tensors(pair, adapters_module.read_tensors(saved), right):
            pair.check(f"add_adapter {name}")
        _check_config(saved, right.folder)
        # From here on it is what PEFT reads from our file.
        again = adapters_module.read_back(pair.base, saved, right.uid,
                                          right.labels, saved)
        again.features["is_fresh"] = True
        pair.loaded[name] = again
        pair.check(f"add_adapter {name}, as PEFT reads it")
    if not outcome.done:
        pair.loaded.pop(name, None)
    return outcome


def _steps_apart(a, b):
    """The largest difference in units of the last place of f32."""
    scale = torch.maximum(a.abs(), b.abs()).clamp_min(1e-30)
    return ((a - b).abs() / (scale * torch.finfo(torch.float32).eps)).max()


def _check_tensors(pair, got, right):
    """The same names, shapes and types; what is drawn, copied or constant is
    equal, what is computed is so up to rounding. True if all is equal."""
    expected = adapters_module.read_tensors(right.folder)
    if set(got) != set(expected):
        raise compare.Mismatch(
            f"fresh tensors: {sorted(set(got) ^ set(expected))}")
    init = getattr(right.config, "init_lora_weights", True)
    all_equal = True
    for key, tensor in expected.items():
        if round_trip.same_bits(got[key], tensor) or _is_unused(pair, key):
            continue
        all_equal = False
        if got[key].shape != tensor.shape or got[key].dtype != tensor.dtype:
            raise compare.Mismatch(
                f"fresh {key} is {got[key].dtype} {list(got[key].shape)}, not "
                f"{tensor.dtype} {list(tensor.shape)}")
        if init in DECOMPOSED and "lora_" in key:
            continue
        _check_near(pair, key, got[key].float(), tensor.float(), init)
    return all_equal


def _is_unused(pair, key):
    """A bias of BERT that no forward reads where the head is not tied."""
    return key.endswith("cls.predictions.bias") and \
        not pair.base.config.tie_word_embeddings


def _check_near(pair, key, got, expected, init):
    computed = "magnitude" in key or init == "orthogonal"
    # Rounded to the base's type: a last bit of f32 may tip the rounding.
    step = max(1e-5, torch.finfo(pair.case.base_dtype).eps)
    near = torch.allclose(got, expected, rtol=step, atol=1e-6)
    if computed and near:
        return
    raise compare.Mismatch(f"fresh {key} differs by "
                           f"{(got - expected).abs().max():.1e}, "
                           f"{_steps_apart(got, expected):.0f} steps")


def _sorted(value):
    return sorted(value, key=str) if isinstance(value, list) else value


def _drop_lost_head(config):
    """A head beside an embedding of another name than embed_tokens, which PEFT
    leaves out of the list, and with it, of what it loads again."""
    for key in ("target_modules", "modules_to_save"):
        names = config.get(key)
        if isinstance(names, list) and not any(
                name.split(".")[-1] == "embed_tokens" for name in names):
            config[key] = [name for name in names if name != "lm_head"]


def _check_config(folder, expected_folder):
    """Equal up to the order of keys and of what PEFT keeps in sets."""
    both = []
    for path in (folder, expected_folder):
        config = json.loads((path / "adapter_config.json").read_text())
        if config.get("ensure_weight_tying"):
            _drop_lost_head(config)
        for key in ("target_modules", "exclude_modules",
                    "feedforward_modules"):
            if key in config:
                config[key] = _sorted(config[key])
        config.pop("auto_mapping")  # null, as transformers writes it
        both.append(config)
    round_trip.check_config(*both, "fresh")
