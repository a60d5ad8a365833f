"""Random adapters: trained (at random) and saved by PEFT, then read back."""

import copy
import dataclasses
import json
import math
import pathlib

import peft
import safetensors.torch
import torch
import transformers
from peft.tuners import tuners_utils
from peft.tuners.lora import layer as lora_layer
from peft.utils import other as peft_other

from testing.conformance import random_methods
from testing.conformance import random_models
from testing.conformance import unmade


@dataclasses.dataclass
class Adapter:
    """One adapter, as PEFT saved it and as PEFT loads it again."""
    uid: str              # its name inside PEFT; no other module is called so
    folder: pathlib.Path  # what PEFT saved
    ours: pathlib.Path    # what we load: the same, perhaps in another layout
    labels: set           # methods and features, the table's rows
    kinds: set            # of modules that it changes
    config: peft.PeftConfig
    tensors: dict         # PEFT's own parameters of it, by canonical name
    scalings: dict        # by canonical name of the module
    base_values: dict     # base parameters that it changes, by canonical name
    features: dict        # "is_dora", "is_alora", "only_0_or_1" ...

    def describe(self):
        fields = json.loads((self.ours / "adapter_config.json").read_text())
        skip = ("auto_mapping", "peft_version", "base_model_name_or_path",
                "inference_mode", "lora_dropout", "task_type")
        return {k: v for k, v in fields.items()
                if v and k not in skip and k not in random_methods_defaults()}


def random_methods_defaults():
    return ("megatron_core", "qalora_group_size", "beta1", "beta2", "tfinal",
            "tinit", "total_step", "deltaT", "orth_reg_weight", "target_r")


def canonical(name):
    """The name of a module or parameter without PEFT's wrappers around it."""
    parts = name.removeprefix("base_model.model.").split(".")
    return ".".join(p for p in parts
                    if p not in ("base_layer", "original_module"))


def site_kind(module, head):
    """The table's word for what a wrapper wraps; `head` is the output layer."""
    if isinstance(module, lora_layer.ParamWrapper):
        return "parameter"
    base = module
    while hasattr(base, "base_layer") or hasattr(base, "original_module"):
        base = getattr(base, "base_layer", None) or base.original_module
    if base is head:
        return "head"
    name = type(base).__name__
    if "Norm" in name:
        return "norm"
    return {"NonDynamicallyQuantizableLinear": "Linear",
            "MultiheadAttention": "MultiheadAttention"}.get(name, name)


def output_layer(model, layout):
    if not layout.head:
        return None
    return next((module for name, module in model.named_modules()
                 if name.split(".")[-1] == layout.head), None)


def wrappers(model):
    """All layers that PEFT put around the base's, with their names."""
    for name, module in model.named_modules():
        if isinstance(module, (tuners_utils.BaseTunerLayer,
                               peft_other.AuxiliaryTrainingWrapper)):
            yield name, module


def randomize(model, uid, config, generator):
    """Gives every tensor of the adapter, its biases too, random values that
    are numbers of bf16 and of f16."""
    has_biases = getattr(config, "bias", "none") != "none"
    init = getattr(config, "init_lora_weights", True)
    # An adapter that drowns its base makes a model that magnifies rounding
    # without bound: keep the change as large as what it changes.
    damping = {}
    for _, module in wrappers(model):
        for part in ("lora_B", "lora_embedding_B"):
            if uid in getattr(module, part, {}):
                tensor = getattr(module, part)[uid]
                damping[getattr(tensor, "weight", tensor)] = max(
                    1.0, module.scaling[uid])
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            mine = f".{uid}." in key or key.endswith(f".{uid}")
            if mine and "ranknum" in key:
                continue
            if mine and ("modules_to_save" in key or "trainable_tokens" in key):
                value = parameter + 0.3 * noise * parameter.std()
            elif mine and "ia3_l" in key:
                value = 1 + 0.3 * noise
            elif mine and "magnitude" in key:
                value = parameter * (1 + 0.2 * noise)
            elif mine and init in random_methods.CHANGES_BASE:
                value = parameter + 0.2 * noise * parameter.std()
            elif mine:
                fan = parameter.shape[-1] if parameter.dim() > 1 else 1
                value = noise / (math.sqrt(fan) * damping.get(parameter, 1.0))
            elif has_biases and key.endswith("bias") and \
                    parameter.requires_grad:
                value = 0.3 * noise
            else:
                continue
            parameter.copy_(value.bfloat16().half().float())


def prune(model, uid, rng):
    """Takes ranks away as AdaLoRA's allocator does, all of a layer's too."""
    pattern = {}
    for name, parameter in model.base_model.model.named_parameters():
        if name.endswith(f"lora_E.{uid}"):
            keep = rng.choice([0.0, 0.5, 0.5, 1.0])
            pattern[name] = [rng.random() < keep
                             for _ in range(parameter.shape[0])]
    model.peft_config[uid].rank_pattern = pattern


def read_back(base, folder, uid, labels, ours, head=None):
    """What PEFT loads from `folder`. `base` stays as it is."""
    config = peft.PeftConfig.from_pretrained(folder)
    model = peft.PeftModel.from_pretrained(
        copy.deepcopy(random_models.unreplicated(base, config)), folder,
        adapter_name=uid).eval()
    tensors, values = {}, {}
    originals = dict(base.named_parameters(remove_duplicate=False))
    for name, parameter in model.named_parameters(remove_duplicate=False):
        key = canonical(name)
        if f".{uid}." in key or key.endswith(f".{uid}"):
            tensors[key] = parameter.detach().clone()
        elif key in originals and not torch.equal(originals[key], parameter):
            values[key] = parameter.detach().clone()
    config = model.peft_config[uid]
    scalings, kinds, aux = {}, set(), False
    inner = model.base_model.model
    head = None if head is None else inner.get_submodule(head)
    while hasattr(head, "base_layer") or hasattr(head, "original_module"):
        head = getattr(head, "base_layer", None) or head.original_module
    for name, module in wrappers(inner):
        if uid in getattr(module, "scaling", {}):
            scalings[canonical(name)] = module.scaling[uid]
        if ".token_adapter" not in name:
            kinds.add(site_kind(module, head))
        aux |= isinstance(module, peft_other.AuxiliaryTrainingWrapper)
    features = {
        "is_dora": getattr(config, "use_dora", False),
        "is_alora": bool(getattr(config, "alora_invocation_tokens", None)),
        "changes_base": bool(values), "is_wrapping": aux,
        "only_0_or_1": aux or config.peft_type == peft.PeftType.IA3}
    return Adapter(uid, folder, ours, labels, kinds, config, tensors, scalings,
                   values, features)


def _save_start(model, uid, folder):
    """Saves the adapter as its init left it, for PEFT's conversion: with an
    init that takes nothing from the base again, and in a folder that is not
    called `uid`, as PEFT loads it beside the adapter under that name."""
    config = model.peft_config[uid]
    init, config.init_lora_weights = config.init_lora_weights, True
    model.save_pretrained(folder, selected_adapters=[uid],
                          save_embedding_layers=False)
    config.init_lora_weights = init
    return (folder / uid).rename(folder / f"{uid}_start")


def _train_and_save(rng, base, draft, uid, folder, generator):
    plain = random_models.unreplicated(base, draft.config)
    model = peft.get_peft_model(copy.deepcopy(plain),
                                copy.deepcopy(draft.config), adapter_name=uid)
    options = {}
    if draft.convert:
        options["path_initial_model_for_weight_conversion"] = str(
            _save_start(model, uid, folder.parent / f"{folder.name}_start"))
    randomize(model, uid, model.peft_config[uid], generator)
    if draft.prune:
        prune(model, uid, rng)
    embeddings = rng.choice([False, False, "auto"])
    model.save_pretrained(folder, selected_adapters=[uid],
                          save_embedding_layers=embeddings,
                          safe_serialization=rng.random() < 0.7, **options)
    return folder / uid


def make_adapter(rng, base, layout, method, uid, folder, seed):
    """A random adapter of `method` that PEFT accepts for the model."""
    generator = torch.Generator().manual_seed(seed)
    head = output_layer(base, layout)
    head = next((n for n, m in base.named_modules() if m is head), None)
    for attempt in range(60):
        draft = random_methods.random_draft(rng, layout, method)
        path = folder / f"{uid}_{attempt}"
        try:
            saved = _train_and_save(rng, base, draft, uid, path, generator)
        except Exception as error:
            if unmade.reason(error) is None:
                raise RuntimeError(
                    f"PEFT does not make {draft.config}") from error
            continue  # draw another
        ours = change_layout(rng, saved, folder / f"{uid}_{attempt}_ours")
        return read_back(base, saved, uid, draft.labels, ours, head)
    raise RuntimeError(f"no random {method} config fits; widen the generator")


def read_tensors(folder):
    file = folder / "adapter_model.safetensors"
    if file.exists():
        return safetensors.torch.load_file(file)
    return torch.load(folder / "adapter_model.bin", weights_only=True)


def _thin_config(rng, config):
    """The config as an old PEFT wrote it: without fields of today that have
    their defaults, without what AdaLoRA needs for training only."""
    kind = peft.PEFT_TYPE_TO_CONFIG_MAPPING[config["peft_type"]]
    defaults = {f.name: f.default for f in dataclasses.fields(kind)}
    keep = ("peft_type", "r", "lora_alpha", "init_r", "task_type", "bias",
            "target_modules")
    thin = {k: v for k, v in config.items()
            if k in keep or (v is not None and v != defaults.get(k))}
    if config["peft_type"] == "ADALORA":
        thin.pop("total_step", None)
    return thin


def change_layout(rng, folder, target):
    """Writes the adapter in `folder` to `target` as other writers would."""
    tensors = read_tensors(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    target.mkdir(parents=True)
    dtype = rng.choice([None, None, None, torch.bfloat16, torch.float16])
    prefix = rng.random() < 0.85
    changed = {}
    for key, tensor in tensors.items():
        key = key if prefix else key.removeprefix("base_model.model.")
        if dtype is not None and tensor.is_floating_point() and torch.equal(
                tensor.to(dtype).float(), tensor):
            tensor = tensor.to(dtype)
        changed[key] = tensor.contiguous()
    if rng.random() < 0.15:
        config = _thin_config(rng, config)
    if (folder / "adapter_model.safetensors").exists():
        safetensors.torch.save_file(
            changed, target / "adapter_model.safetensors",
            metadata={"format": "pt"})
    else:
        torch.save(changed, target / "adapter_model.bin")
    (target / "adapter_config.json").write_text(json.dumps(config, indent=2))
    return target


def decompose_in_f64():
    """Some inits take a part of the base's weights, which PEFT computes by an
    f32 decomposition whenever it loads such an adapter. Where singular values
    lie close together its rounding decides which part: make it exact."""
    for name in ("svd", "qr"):
        setattr(torch.linalg, name, _in_f64(getattr(torch.linalg, name)))


def _in_f64(decompose):
    def exact(matrix, *args, **kwargs):
        parts = decompose(matrix.double(), *args, **kwargs)
        return type(parts)([part.to(matrix.dtype) for part in parts])

    return exact


def quiet():
    """PEFT and transformers explain themselves at length."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
