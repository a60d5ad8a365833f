"""Which modules a random adapter targets, and with which ranks."""


PATHS = {"layers": "layers", "h": "h", "layer": "encoder.layer"}


def _regex(rng, layout):
    """Of some of a model's layers, with and without its whole names."""
    inside = f"{PATHS[layout.layers]}."
    if layout.layers == "h":
        return rng.choice([
            r".*\.c_(attn|fc)", rf"{layout.prefix}{inside}\d+\.attn\..*c_proj",
            rf"(?:transformer\.)?{inside}0\.(attn|mlp)\.c_\w+"])
    if layout.layers == "layer":
        return rng.choice([
            r".*\.self\.(query|value)", rf"{layout.prefix}{inside}0\..*dense",
            rf"(?:bert\.)?{inside}\d+\.attention\.self\.[qk]\w+"])
    return rng.choice([
        r".*\.(q|v)_proj", rf"{layout.prefix}{inside}\d+\.mlp\..*_proj",
        rf".*\.{inside}0\.(self_attn|mlp)\.\w+_proj", r".*(?<!lm_head)proj$",
        rf"(?:model\.)?{inside}[0-9]{{1,2}}\.self_attn\.[qkvo]_proj"])


def random_targets(rng, layout, extra=()):
    """target_modules in one of the ways that PEFT takes: a list of endings or
    of whole names, a regex, "all-linear"."""
    kind = rng.random()
    if layout.layers in ("h", "layer") and kind > 0.85 and not extra:
        return _regex(rng, layout)
    if kind < 0.55 or layout.layers != "layers":
        names = rng.sample(layout.linears, rng.randint(1, len(layout.linears)))
        if "attn" in names and "c_fc" in names:
            # PEFT hands the Conv1D's fan_in_fan_out on to MultiheadAttention.
            names.remove("c_fc")
        return names + list(extra)
    if kind < 0.75 and not extra:
        return "all-linear"
    if kind < 0.8:
        layer = rng.randrange(layout.num_layers)
        return [f"{layout.prefix}layers.{layer}.self_attn.q_proj",
                f"{layout.prefix}layers.{layer}.mlp.down_proj", *extra]
    if extra:
        return [rng.choice(layout.linears), "layers.0.mlp.up_proj", *extra]
    return _regex(rng, layout)


def random_patterns(rng, layout, even=False):
    """rank_pattern and alpha_pattern, in the order in which PEFT saves them:
    where several keys match a module the first wins, so a file and its config
    object agree only when sorted."""
    keys = ["q_proj", "layers.0.mlp.up_proj", r"self_attn\..*", "down_proj",
            f"^{layout.prefix}layers.{layout.num_layers - 1}.self_attn.v_proj",
            ".*_proj"]
    if layout.layers != "layers":
        keys = list(layout.linears)
        keys += [rf"{layout.layers}\.0\..*{layout.linears[0]}"]
    ranks = {k: rng.randint(1, 9) * (2 if even else 1)
             for k in rng.sample(keys, rng.randint(0, 2))}
    alphas = {k: rng.choice([1, 5, 16, 3.5])
              for k in rng.sample(keys, rng.randint(0, 2))}
    return dict(sorted(ranks.items())), dict(sorted(alphas.items()))


def layer_filter(rng, layout):
    """layers_to_transform and layers_pattern, or neither."""
    if rng.random() >= 0.25 or not layout.layers:
        return {}
    fields = {"layers_to_transform": rng.choice(
        [0, [layout.num_layers - 1], list(range(layout.num_layers))])}
    if rng.random() < 0.5:
        fields["layers_pattern"] = layout.layers
    return fields


def exclusion(rng, layout):
    """exclude_modules, or nothing."""
    if rng.random() >= 0.15:
        return {}
    name = rng.choice(layout.linears)
    return {"exclude_modules": rng.choice(
        [[name], rf".*\.{name}", [f"{layout.layers}.0.{name}"]])}
