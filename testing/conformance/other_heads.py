"""Adapters that were trained on a model without its head, for one that has it,
and the other way round. The mixin puts the name of the bare model before those
of such a file's tensors, or takes it away; PeftModel loads them to no effect."""

import copy
import dataclasses
import json

import safetensors.torch
import torch
import transformers

from testing.conformance import adapters
from testing.conformance import compare

PREFIX = "base_model.model."
LABEL = "other head"
# Fields that name modules.
RENAMED = ("target_modules", "exclude_modules", "layers_to_transform",
           "layers_pattern", "feedforward_modules", "modules_to_save",
           "rank_pattern", "alpha_pattern", "trainable_token_indices",
           "target_parameters", "ensure_weight_tying")
OF_CLASSES = {transformers.GPT2Model: transformers.GPT2LMHeadModel,
              transformers.BertModel: transformers.BertForMaskedLM}


def has_counterpart(layout):
    """Not where the layers are others than the file's."""
    return bool(layout.layers) and not layout.ranges


def _trained_on(base, layout):
    """The model that such an adapter was trained on, and its layout."""
    if layout.prefix:
        bare = dataclasses.replace(
            layout, head="", prefix="", tied=False,
            task_type="FEATURE_EXTRACTION", output="last_hidden_state")
        return getattr(base, base.base_model_prefix), bare
    with_head = OF_CLASSES.get(
        type(base), transformers.AutoModelForCausalLM)
    model = with_head.from_config(base.config) if with_head is \
        transformers.AutoModelForCausalLM else with_head(base.config)
    prefix = model.base_model_prefix
    setattr(model, prefix, copy.deepcopy(base))
    return model.eval(), dataclasses.replace(layout, prefix=f"{prefix}.")


def renamed(name, old, new):
    """A tensor's or module's name in the other model."""
    return new + name.removeprefix(PREFIX).removeprefix(old)


def _as_trained_here(trained, source, target, folder):
    """The same adapter as PEFT would have saved it of the other model:
    the modules by their whole names."""
    old, new = source.prefix, target.prefix
    folder.mkdir(parents=True)
    tensors = {PREFIX + renamed(key, old, new): tensor for key, tensor in
               adapters.read_tensors(trained.folder).items()}
    safetensors.torch.save_file(
        {k: v.contiguous().clone() for k, v in tensors.items()},
        folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = json.loads(
        (trained.folder / "adapter_config.json").read_text())
    config.update(_selection(trained, old, new))
    (folder / "adapter_config.json").write_text(json.dumps(config))


def _selection(trained, old, new):
    """What chooses modules, by their whole names."""
    config = trained.config
    suffixes = (".lora_A.", ".lora_embedding_A.", ".ia3_l.")
    modules = sorted({
        renamed(key.split(suffix)[0], old, new) for key in trained.tensors
        for suffix in suffixes if suffix in key})
    fields = {"exclude_modules": None, "layers_to_transform": None,
              "layers_pattern": None}
    if not getattr(config, "target_parameters", None):
        fields["target_modules"] = modules
    if config.peft_type.value == "LORA":
        fields.update(_patterns(trained, old, new))
    if config.peft_type.value == "ADALORA" and config.rank_pattern:
        fields["rank_pattern"] = {
            renamed(name, old, new): value
            for name, value in config.rank_pattern.items()}
    if config.peft_type.value == "IA3":
        fields["feedforward_modules"] = [
            name for name in modules if trained.tensors[
                f"{old}{name.removeprefix(new)}.ia3_l.{trained.uid}"
            ].shape[0] == 1]
    return fields


def _patterns(trained, old, new):
    """Each module's own rank and alpha, where the config gives some of them."""
    def here(of):
        return {f"^{renamed(name, old, new)}": value
                for name, value in sorted(of.items())}

    config, fields = trained.config, {}
    if config.rank_pattern:
        fields["rank_pattern"] = here(_ranks(trained))
        # No module's own here, but what PEFT gives a weighted sum.
        fields["r"] = max(config.r, *config.rank_pattern.values())
    if config.rank_pattern or config.alpha_pattern:
        fields["alpha_pattern"] = here(_alphas(trained))
    return fields


def _ranks(trained):
    return {key.split(part)[0]: tensor.shape[0]
            for key, tensor in trained.tensors.items()
            for part in (".lora_A.", ".lora_embedding_A.") if part in key}


def _alphas(trained):
    """The scales are known, so what gives them is."""
    root = 0.5 if trained.config.use_rslora else 1.0
    return {name: trained.scalings[name] * rank ** root
            for name, rank in _ranks(trained).items()}


def lacks_biases(adapter):
    """Whether its tensors may lack biases that only this model has."""
    return "renamed" in adapter.features and \
        getattr(adapter.config, "bias", "none") != "none"


def _fits(adapter, prefix):
    """Whether all that it changes is in the bare model."""
    return all(name.startswith(prefix)
               for name in [*adapter.tensors, *adapter.base_values])


def make_adapter(rng, base, layout, method, uid, folder, seed):
    """A random adapter of the other model. PEFT's side is the same adapter
    under the names that it has here, ours the file itself."""
    other, other_layout = _trained_on(base, layout)
    for attempt in range(20):
        trained = adapters.make_adapter(
            rng, other, other_layout, method, uid,
            folder / f"{uid}_other{attempt}", seed + attempt)
        if _fits(trained, other_layout.prefix):
            break
    else:
        return adapters.make_adapter(rng, base, layout, method, uid, folder,
                                     seed)
    here = folder / f"{uid}_here"
    _as_trained_here(trained, other_layout, layout, here)
    adapter = adapters.read_back(base, here, uid, trained.labels | {LABEL},
                                 trained.ours)
    adapter.features["renamed"] = other_layout.prefix, layout.prefix
    check_mixin(base, layout, trained, adapter)
    return adapter


def check_mixin(base, layout, trained, adapter):
    """That transformers takes the file for the same adapter, where its config
    hits the same modules here."""
    if trained.labels != {"LoRA"} or adapter.base_values or not (
            trained.folder / "adapter_model.safetensors").exists():
        return  # it does not find a .bin
    config = json.loads((trained.folder / "adapter_config.json").read_text())
    if config.get("layers_to_transform") is not None:
        return  # "layers.0" of a model without head is no layer to PEFT
    model = copy.deepcopy(base)
    try:
        model.load_adapter(str(trained.folder), adapter_name=adapter.uid)
    except ValueError:
        return  # a regex of the whole names
    own = dict(model.named_parameters())
    for key, tensor in adapter.tensors.items():
        found = [v for k, v in own.items() if adapters.canonical(k) == key]
        if not found or not torch.equal(found[0], tensor):
            raise compare.Mismatch(f"the mixin reads another {key}")
