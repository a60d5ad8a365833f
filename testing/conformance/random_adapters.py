"""Random LoRA configs on the tiny models, saved by PEFT in every layout."""

import json
import math
import pathlib

import peft
import safetensors.torch
import torch

LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj",
           "down_proj"]


def _targets(rng, num_layers):
    kind = rng.random()
    if kind < 0.45:
        names = rng.sample(LINEARS, rng.randint(1, len(LINEARS)))
        if rng.random() < 0.25:
            names.append("lm_head")
        if rng.random() < 0.2:
            names.append("layers.0.mlp.up_proj")
        return names
    if kind < 0.65:
        return "all-linear"
    if kind < 0.75:
        layer = rng.randrange(num_layers)
        return [f"model.layers.{layer}.self_attn.q_proj",
                f"model.layers.{layer}.mlp.down_proj"]
    return rng.choice([
        r".*\.(q|v)_proj", r"model\.layers\.\d+\.mlp\..*_proj",
        r".*\.layers\.0\.(self_attn|mlp)\.\w+_proj", r".*(?<!lm_head)proj$",
        r"(?:model\.)?layers\.[0-9]{1,2}\.self_attn\.[qkvo]_proj"])


def _patterns(rng, num_layers):
    keys = ["q_proj", "layers.0.mlp.up_proj", r"self_attn\..*", "down_proj",
            f"^model.layers.{num_layers - 1}.self_attn.v_proj", ".*_proj"]
    ranks = {k: rng.randint(1, 9) for k in rng.sample(keys, rng.randint(0, 2))}
    alphas = {k: rng.choice([1, 5, 16, 3.5])
              for k in rng.sample(keys, rng.randint(0, 2))}
    # PEFT saves patterns with sorted keys; where several match a module the
    # first wins, so a file and its config object agree only when sorted here.
    return dict(sorted(ranks.items())), dict(sorted(alphas.items()))


def random_lora_config(rng, num_layers):
    targets = _targets(rng, num_layers)
    fields = dict(
        task_type="CAUSAL_LM", target_modules=targets,
        r=rng.choice([1, 2, 3, 4, 8, 16, 13]),
        lora_alpha=rng.choice([1, 4, 8, 16, 32, 7.5]),
        lora_dropout=rng.choice([0.0, 0.1]),
        use_rslora=rng.random() < 0.3,
        bias=rng.choice(["none", "none", "none", "all", "lora_only"]),
        init_lora_weights=rng.choice([True, True, False, "gaussian"]))
    if rng.random() < 0.4:
        fields["rank_pattern"], fields["alpha_pattern"] = _patterns(
            rng, num_layers)
    if isinstance(targets, list) and rng.random() < 0.25:
        fields["layers_to_transform"] = rng.choice(
            [0, [num_layers - 1], list(range(num_layers))])
        if rng.random() < 0.5:
            fields["layers_pattern"] = "layers"
    if rng.random() < 0.2:
        fields["exclude_modules"] = rng.choice(
            [["k_proj"], r".*\.o_proj", ["layers.0.self_attn.q_proj"]])
    if rng.random() < 0.2 and fields["init_lora_weights"] is not False:
        fields["lora_bias"] = True
        fields["init_lora_weights"] = True
    return peft.LoraConfig(**fields)


def randomize_adapter(model, name, generator):
    """Gives every tensor of the adapter, its biases too, random bf16 values."""
    has_biases = model.peft_config[name].bias != "none"
    # An adapter that drowns its base makes a model that magnifies rounding
    # without bound: keep the change as large as what it changes.
    damping = {module.lora_B[name].weight: max(1.0, module.scaling[name])
               for module in model.modules()
               if name in getattr(module, "lora_B", {})}
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if f".{name}." in key and "lora_" in key:
                fan = parameter.shape[-1] if parameter.dim() > 1 else 1
                noise /= math.sqrt(fan) * damping.get(parameter, 1.0)
                parameter.copy_(noise.bfloat16().float())
            elif has_biases and key.endswith("bias") and \
                    parameter.requires_grad:
                parameter.copy_((0.3 * noise).bfloat16().float())


def _rewrite(path, keep_prefix, dtype):
    """Rewrites adapter_model.* with other key prefixes or another dtype."""
    safetensors_file = path / "adapter_model.safetensors"
    is_safetensors = safetensors_file.exists()
    if is_safetensors:
        tensors = safetensors.torch.load_file(safetensors_file)
    else:
        tensors = torch.load(path / "adapter_model.bin", weights_only=True)
    prefix = "base_model.model."
    tensors = {
        (k if keep_prefix else k.removeprefix(prefix)): v.to(dtype)
        for k, v in tensors.items()}
    if is_safetensors:
        safetensors.torch.save_file(tensors, safetensors_file,
                                    metadata={"format": "pt"})
    else:
        torch.save(tensors, path / "adapter_model.bin")


def save_adapter(model, name, folder, rng):
    """Saves adapter `name` in a random layout and returns its folder."""
    model.save_pretrained(folder, selected_adapters=[name],
                          safe_serialization=rng.random() < 0.65,
                          save_embedding_layers=False)
    path = pathlib.Path(folder)
    if name != "default":
        path = path / name
    keep_prefix = rng.random() < 0.8
    dtype = rng.choice([torch.float32, torch.float32, torch.bfloat16])
    if not keep_prefix or dtype != torch.float32:
        _rewrite(path, keep_prefix, dtype)
    return path


def describe(folder):
    config = json.loads((folder / "adapter_config.json").read_text())
    keys = ["r", "lora_alpha", "use_rslora", "bias", "lora_bias",
            "target_modules", "exclude_modules", "layers_to_transform",
            "layers_pattern", "rank_pattern", "alpha_pattern"]
    return {k: config[k] for k in keys if config[k]}
