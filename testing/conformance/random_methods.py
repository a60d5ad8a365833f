"""Random configs of each method, as PEFT's own config objects."""

import dataclasses

import peft

from testing.conformance import random_targets


@dataclasses.dataclass
class Draft:
    """A config and what must be done with it before it is an adapter."""
    config: peft.PeftConfig
    labels: set
    prune: bool = False    # AdaLoRA: some ranks were taken away
    convert: bool = False  # saved for the base as it was before the init


# Inits of LoRA and what they are called in the table.
INITS = {True: None, False: None, "gaussian": None,
         "orthogonal": "init orthogonal", "mica": "init mica",
         "olora": "init olora", "pissa": "init pissa",
         "pissa_niter_4": "init pissa_niter"}
CHANGES_BASE = ("olora", "pissa", "pissa_niter_4")


def _common(rng, layout, extra=()):
    targets = random_targets.random_targets(rng, layout, extra)
    fields = dict(task_type=layout.task_type, target_modules=targets)
    fields.update(random_targets.exclusion(rng, layout))
    if isinstance(targets, list):
        fields.update(random_targets.layer_filter(rng, layout))
    return fields


def _rank_fields(rng, layout, even=False):
    fields = dict(
        r=rng.choice([2, 4, 8, 16] if even else [1, 2, 3, 4, 8, 16, 13]),
        lora_alpha=rng.choice([1, 4, 8, 16, 32, 7.5]),
        lora_dropout=rng.choice([0.0, 0.1]), use_rslora=rng.random() < 0.25)
    if rng.random() < 0.35:
        fields["rank_pattern"], fields["alpha_pattern"] = \
            random_targets.random_patterns(rng, layout, even)
    return fields


def _wrapped_modules(rng, layout):
    """modules_to_save and trainable_token_indices, seldom both."""
    fields, labels = {}, set()
    if rng.random() < 0.15:
        choices = [[layout.norms[0]], [layout.embeddings[0]]]
        choices += [[layout.head]] if layout.head else []
        if layout.tied:
            choices += [[layout.embeddings[0], layout.head]]
        if layout.task_type in ("SEQ_CLS", "TOKEN_CLS"):
            choices = [[layout.head]]
        elif layout.head == "decoder":
            choices += [["predictions"], ["cls"]]  # with all that they hold
        fields["modules_to_save"] = rng.choice(choices)
        labels.add("modules_to_save")
    elif rng.random() < 0.15:
        rows = sorted(rng.sample(range(90 if layout.layers else 11),
                                 rng.randint(1, 6)))
        fields["trainable_token_indices"] = rng.choice(
            [rows, {layout.embeddings[0]: rows}])
        if layout.embeddings[0] != "embed_tokens":
            fields["trainable_token_indices"] = {layout.embeddings[0]: rows}
        labels.add("trainable_token_indices")
    return fields, labels


def _extra_targets(rng, layout):
    extra = []
    if layout.head in ("lm_head",) and rng.random() < 0.2:
        extra.append(layout.head)
    if rng.random() < 0.25 and not (layout.tied and extra):
        extra.append(rng.choice(layout.embeddings))
    return extra


def _random_init(rng, layout):
    """An init of LoRA, and whether the adapter is converted for the base as it
    was before: PEFT saves the factors alone then, without a classifier's head,
    and cannot load the rest of the config."""
    init = rng.choice([True] * 6 + list(INITS))
    if init == "olora" and "c_fc" in layout.linears:
        init = "pissa"  # of a Conv1D olora decomposes the transposed weight
    if init not in CHANGES_BASE:
        return init, False
    if layout.task_type in ("SEQ_CLS", "TOKEN_CLS"):
        return ("olora" if init == "olora" else "pissa"), False
    # The random numbers of pissa_niter_4 cannot be repeated.
    return init, init == "pissa_niter_4" or rng.random() < 0.4


def init_labels(init, convert=False):
    """The table's rows of an init."""
    labels = {"converted init"} if convert else set()
    if INITS[init] and (not convert or init == "pissa_niter_4"):
        labels.add(INITS[init])  # pissa_niter_4 is always converted
    return labels


def lora(rng, layout):
    """Plain LoRA and its inits."""
    init, convert = _random_init(rng, layout)
    extra = _extra_targets(rng, layout) if INITS[init] is None else []
    fields = _common(rng, layout, extra)
    fields.update(_rank_fields(rng, layout, init == "orthogonal"))
    wrapped, labels = _wrapped_modules(rng, layout)
    if convert:
        wrapped, labels = {}, set()
    fields.update(wrapped, init_lora_weights=init,
                  bias=rng.choice(["none"] * 4 + ["all", "lora_only"]))
    if layout.ranges:
        fields["bias"] = "none"  # PEFT trains one for all copies of a layer
    saved = set(fields.get("modules_to_save") or [])
    saved &= {layout.embeddings[0], layout.head}
    if (extra or saved) and layout.tied and rng.random() < 0.6:
        fields["ensure_weight_tying"] = True
        labels.add("ensure_weight_tying")
    if init is True and not extra and rng.random() < 0.2:
        fields["lora_bias"] = True
        labels.add("lora_bias")
    if init in CHANGES_BASE:
        # Their papers' alpha is r. With a large alpha / r they take a multiple
        # of the weights away, and rounding is all that can be compared.
        fields.update(bias="none", use_rslora=False, rank_pattern={},
                      alpha_pattern={},
                      lora_alpha=fields["r"] * rng.choice([0.5, 1, 2]))
    labels |= init_labels(init, convert)
    if fields["use_rslora"]:
        labels.add("rsLoRA")
    if fields["bias"] != "none":
        labels.add(f"bias {fields['bias']}")
    return Draft(peft.LoraConfig(**fields), labels | {"LoRA"},
                 convert=convert)


def dora(rng, layout):
    fields = _common(rng, layout,
                     _extra_targets(rng, layout) if not layout.tied else [])
    fields.update(_rank_fields(rng, layout), use_dora=True,
                  init_lora_weights=rng.choice([True, "gaussian"]),
                  bias=rng.choice(["none"] * 5 + ["lora_only"]))
    wrapped, labels = _wrapped_modules(rng, layout)
    fields.update(wrapped)
    return Draft(peft.LoraConfig(**fields), labels | {"DoRA"})


def alora(rng, layout):
    fields = _common(rng, layout)
    fields.update(_rank_fields(rng, layout),
                  alora_invocation_tokens=[
                      rng.randrange(3, 12) for _ in range(rng.randint(1, 2))])
    return Draft(peft.LoraConfig(**fields), {"aLoRA"})


def adalora(rng, layout):
    init_r = rng.choice([1, 3, 4, 8, 12])
    fields = _common(rng, layout)
    fields.update(init_r=init_r, target_r=max(1, init_r // 2), total_step=100,
                  tinit=10, tfinal=20, lora_alpha=rng.choice([1, 8, 32, 7.5]),
                  lora_dropout=rng.choice([0.0, 0.1]),
                  bias=rng.choice(["none", "none", "none", "lora_only"]))
    wrapped, labels = _wrapped_modules(rng, layout)
    fields.update(wrapped)
    prune = rng.random() < 0.6
    return Draft(peft.AdaLoraConfig(**fields),
                 labels | {"AdaLoRA pruned" if prune else "AdaLoRA"}, prune)


def ia3(rng, layout):
    names = rng.sample(layout.linears, rng.randint(1, len(layout.linears)))
    inputs = rng.sample(names, rng.randint(0, len(names)))
    fields = dict(task_type=layout.task_type, target_modules=names,
                  feedforward_modules=inputs)
    if rng.random() < 0.3 and layout.layers == "layers":
        fields.update(target_modules=r".*\.(k|v|down)_proj",
                      feedforward_modules=r".*\.down_proj")
    fields.update(random_targets.exclusion(rng, layout))
    wrapped, labels = _wrapped_modules(rng, layout)
    fields.update(modules_to_save=wrapped.get("modules_to_save"))
    labels &= {"modules_to_save"}
    return Draft(peft.IA3Config(**fields), labels | {"IA3"})


def vary_fresh(rng, layout, draft):
    """What only matters for an adapter that is new."""
    config = draft.config
    kind = config.peft_type.value
    if kind == "IA3":
        config.init_ia3_weights = rng.random() < 0.8
    elif kind == "ADALORA":
        config.init_lora_weights = rng.random() < 0.8
        if not config.init_lora_weights:
            config.lora_alpha = 0.01  # factors far larger than the weights
    if {"cls", "predictions"} & set(config.modules_to_save or []):
        config.bias = "none"  # else PEFT saves biases under names of its own
    if not layout.layers or rng.random() > 0.15:
        return
    if kind == "LORA" and rng.random() < 0.5:
        config.target_modules = "all-linear"
        config.layers_to_transform = config.layers_pattern = None
    else:
        config.target_modules = None
        if kind == "IA3":
            config.feedforward_modules = None


def layer_replication(rng, layout):
    """A LoRA that says how the layers of its model were made."""
    draft = lora(rng, layout)
    draft.config.layer_replication = layout.ranges
    draft.labels.add("layer_replication")
    return draft


def target_parameters(rng, layout):
    """LoRA on parameters: matrices, or experts' stacks of them."""
    fields = dict(task_type=layout.task_type, r=rng.choice([1, 2, 4, 8]),
                  lora_alpha=rng.choice([1, 8, 7.5]),
                  use_rslora=rng.random() < 0.3)
    if not layout.layers:
        fields["target_parameters"] = ["experts.weight"]
        fields["target_modules"] = rng.sample(["fc", "c_fc"],
                                              rng.randint(0, 2))
    else:
        names = rng.sample(layout.linears, 2)
        fields["target_parameters"] = [f"{names[0]}.weight"]
        fields["target_modules"] = names[1:] if rng.random() < 0.5 else []
    return Draft(peft.LoraConfig(**fields), {"target_parameters"})


METHODS = {"lora": lora, "dora": dora, "alora": alora, "adalora": adalora,
           "ia3": ia3, "layer_replication": layer_replication,
           "target_parameters": target_parameters}


def random_draft(rng, layout, method):
    """A config of `method`; not every one fits the model."""
    return METHODS[method](rng, layout.for_method(method))
