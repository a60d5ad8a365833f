#!/usr/bin/env python3
"""Writes match_cases.json: which modules Python PEFT targets, and how.

    python3 make_match_cases.py > match_cases.json

Needs peft 0.21.2 and transformers 5.23.0. Random LoRA configs are given to
PEFT's own injection on small models (without memory, on torch's meta device);
only the creation of the adapter layer is replaced by one that writes down what
PEFT asks for. The output is the same each time:

{"models": [{"type", "names", "linear": [index], "head": [index]}],
 "cases": [{"model": index, "config": {...},
            "targets": {"r/alpha": [index of name]}, "unused": {pattern: keys}}
           or with "error": kind instead of targets]}
"""

import json
import random
import re
import sys
import warnings

import torch
import transformers
from peft import LoraConfig
from peft.tuners import tuners_utils
from peft.tuners.lora import LoraModel
from transformers.pytorch_utils import Conv1D

SEED = 20260901
CASES = 520

ERRORS = [
    ("excluded", "All modules were excluded"),
    ("empty", "No `target_modules` passed"),
    ("not found", "not found in the base model"),
    ("mixed", "No modules were targeted"),
    ("default", "Please specify `target_modules`"),
    ("config", "cannot be used when `target_modules` is a str"),
    ("config", "`layers_to_transform` must also be specified"),
    ("config", "is incompatible with Mamba-based models"),
    ("config", "should not contain an empty string"),
]


class Experts(torch.nn.Module):
    """Numbers below numbers, and one name as an end of another."""

    def __init__(self):
        super().__init__()
        self.score = torch.nn.Linear(2, 2)
        self.model = torch.nn.Module()
        self.model.layers = torch.nn.ModuleList(
            self.layer() for _ in range(4))

    @staticmethod
    def layer():
        layer = torch.nn.Module()
        layer.experts = torch.nn.ModuleList(
            torch.nn.ModuleDict({"w1": torch.nn.Linear(2, 2),
                                 "k_proj": torch.nn.Linear(2, 2),
                                 "task_proj": torch.nn.Linear(2, 2)})
            for _ in range(2))
        layer.score = torch.nn.LayerNorm(2)
        return layer


def make_models():
    tiny = dict(hidden_size=8, intermediate_size=8, num_attention_heads=2,
                num_key_value_heads=1, vocab_size=16)
    configs = [
        transformers.LlamaConfig(num_hidden_layers=12, **tiny),
        transformers.GPT2Config(n_embd=8, n_layer=3, n_head=2, vocab_size=16),
    ]
    with torch.device("meta"):
        models = [transformers.AutoModelForCausalLM.from_config(config)
                  for config in configs]
        # Without a head, and with names that begin with the layers.
        models.append(transformers.AutoModel.from_config(
            transformers.LlamaConfig(num_hidden_layers=3, **tiny)))
        models.append(transformers.AutoModelForCausalLM.from_config(
            transformers.MambaConfig(hidden_size=8, num_hidden_layers=2,
                                     vocab_size=16, state_size=4)))
        models.append(Experts())
    return models


def describe(model):
    """What the C++ side is told of a model."""
    names = [name for name, _ in model.named_modules()]
    linear = [i for i, (_, module) in enumerate(model.named_modules())
              if isinstance(module, (torch.nn.Linear, Conv1D))]
    head = None
    model_type = "custom"
    if isinstance(model, transformers.PreTrainedModel):
        head = model.get_output_embeddings()
        model_type = model.config.model_type
    heads = [i for i, (_, module) in enumerate(model.named_modules())
             if head is not None and module is head]
    return {"type": model_type, "names": names, "linear": linear,
            "head": heads}


class Recorder(LoraModel):
    """PEFT's LoRA injection that changes nothing."""

    recorded = []

    def _create_new_module(self, config, adapter_name, target, **kwargs):
        self.recorded.append(
            (kwargs["target_name"], kwargs["r"], kwargs["lora_alpha"]))
        return target

    def _replace_module(self, parent, child_name, new_module, child):
        pass


def unused_keys(caught):
    """The keys of PEFT's warnings on patterns without effect."""
    unused = {}
    for warning in caught:
        found = re.match(r"The following (\w+) keys did not match .*ignored: "
                         r"(\[.*\])\.$", str(warning.message), re.DOTALL)
        if found:
            unused[found.group(1)] = eval(found.group(2))
    return unused


def error_kind(error):
    if isinstance(error, re.error):
        return "regex"
    for kind, text in ERRORS:
        if text in str(error):
            return kind
    raise error


def run(models, descriptions, index, config):
    case = {"model": index, "config": config}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            lora = LoraConfig(**json.loads(json.dumps(config)))
            Recorder.recorded = []
            Recorder(models[index], lora, "default")
        except (ValueError, re.error) as error:
            case["error"] = error_kind(error)
            return case
    names = descriptions[index]["names"]
    targets = {}
    for name, r, alpha in Recorder.recorded:
        targets.setdefault(f"{r}/{alpha}", []).append(names.index(name))
    case["targets"] = targets
    unused = unused_keys(caught)
    if unused:
        case["unused"] = unused
    return case


class Generator:
    def __init__(self, names):
        self.random = random.Random(SEED)
        self.names = [name for name in names if name]

    def suffix(self, names):
        parts = self.random.choice(names).split(".")
        kind = self.random.random()
        if kind < 0.7:
            return parts[-1]
        if kind < 0.9:
            return ".".join(parts[-self.random.randint(1, len(parts)):])
        return self.random.choice(["proj", "k_pro", "layers", "nothing", "",
                                   "mlp", "self_attn", "model", "0", "11"])

    def regex(self, names):
        last = self.suffix(names)
        return self.random.choice([
            r".*\." + last, ".*" + last + "$", last, "(?:.*\\.)?" + last,
            r".*\.(q_proj|v_proj|c_attn)", r".*layers\.[0-3]\..*_proj",
            r"model\.layers\.\d+\.self_attn\.[qk]_proj", r".*(mlp|attn)\..*",
            r"^(?!.*mlp).*proj$", r".*\.(?P<layer>\d+)\.mlp.*", r".*h\.\d\..*",
            r"(?i).*Q_PROJ", "*" + last, r"(" + last, "",
            "dummy-target-modules",
            r".*\.1?1\..*(up|down)_proj\Z", r"[^.]+\.[^.]+", "lm_head|.*o_proj",
        ])

    def selector(self, names):
        if self.random.random() < 0.35:
            return self.regex(names)
        return [self.suffix(names)
                for _ in range(self.random.choice([0, 1, 1, 2, 3, 4]))]

    def full_names(self, names):
        """A list long enough for PEFT to shrink it."""
        layer = self.random.choice([".q_proj", ".down_proj", "_proj", "", "."])
        chosen = [name for name in names if layer in name]
        self.random.shuffle(chosen)
        return chosen[:self.random.choice([19, 20, 24, 40, 100])]

    def pattern(self, names, values):
        keys = {}
        for _ in range(self.random.choice([1, 1, 2, 3])):
            last = self.suffix(names)
            full = self.random.choice(names)
            key = self.random.choice([
                last, last, full, "^" + full, ".*" + last, last + "$",
                "(q|v)_proj", "layers.1.*", r"layers\.[0-2]\..*", ".*proj",
                "proj", "self_attn.*", ".*.self_attn.q_proj", "q.proj",
                "h.0.attn.c_attn", "(?i)q_proj", "a)(b", "(", "nothing", "",
                ".*" + last + ".*", r"\w+_proj", "down_proj|up_proj"])
            # Which of two errors comes first is not compared.
            mamba = any(".mixer" in name for name in names)
            if not mamba or key not in ("(", "(?i)q_proj"):
                keys[key] = self.random.choice(values)
        return keys

    def layers(self):
        return self.random.choice([0, 1, 5, 11, [0], [1, 2], [], [-1], [0, 99],
                                   list(range(1, 12, 2))])

    def config(self, names):
        chance = self.random.random
        config = {"r": self.random.choice([4, 8]),
                  "lora_alpha": self.random.choice([8, 16, 2.5])}
        kind = chance()
        if kind < 0.7:
            config["target_modules"] = self.selector(names)
        elif kind < 0.8:
            config["target_modules"] = self.random.choice(
                ["all-linear", "All-Linear"])
        elif kind < 0.9:
            config["target_modules"] = self.full_names(names)
        if chance() < 0.2:
            config["exclude_modules"] = (
                ".*" if chance() < 0.1 else self.selector(names))
        regex = isinstance(config.get("target_modules"), str)
        if chance() < (0.1 if regex else 0.4):
            config["layers_to_transform"] = self.layers()
        if chance() < (0.02 if regex else 0.2):
            config["layers_pattern"] = self.random.choice(
                ["layers", "h", ["h", "layers"], ["model.layers"], "", [],
                 "layers|h", "la.*", ["("], "experts", r"(?P<idx>x)"])
        if chance() < 0.15:
            config["modules_to_save"] = [self.suffix(names)]
        if config.get("target_modules") == "dummy-target-modules":
            return config
        if chance() < 0.4:
            config["rank_pattern"] = self.pattern(names, [1, 2, 16])
        if chance() < 0.4:
            config["alpha_pattern"] = self.pattern(names, [1, 32, 0.5])
        return config


def main():
    # Would put copies for modules_to_save into the model.
    tuners_utils.set_additional_trainable_modules = lambda **kwargs: None
    models = make_models()
    descriptions = [describe(model) for model in models]
    generator = Generator([])
    cases = []
    for _ in range(CASES):
        index = generator.random.choice([0, 0, 0, 1, 2, 3, 4])
        names = [name for name in descriptions[index]["names"] if name]
        cases.append(run(models, descriptions, index, generator.config(names)))
    lines = ",\n".join(json.dumps(case, separators=(",", ":"))
                       for case in cases)
    heads = ",\n".join(json.dumps(one, separators=(",", ":"))
                       for one in descriptions)
    sys.stdout.write('{"models":[\n' + heads + '\n],\n"cases":[\n' + lines +
                     "\n]}\n")
    kinds = [case.get("error", "targets") for case in cases]
    print({kind: kinds.count(kind) for kind in kinds}, file=sys.stderr)


if __name__ == "__main__":
    main()
