"""Draws the base model and the adapters of the scenario.

All numbers are small multiples of powers of two, drawn as integers: the files
are the same on every machine."""

import json
import pathlib
import shutil

import numpy as np
import peft
import safetensors.torch
import torch
import transformers
from torch import nn
from transformers.pytorch_utils import Conv1D

SEED = 8
VOCAB = 32


def draw(rng, shape, bound, middle=0.0):
    """Uniform around `middle`, in steps of bound / 512."""
    steps = rng.integers(-512, 513, tuple(shape))
    return torch.from_numpy(steps / 512 * bound + middle).float()


def base_config():
    return transformers.LlamaConfig(
        vocab_size=VOCAB, hidden_size=16, intermediate_size=24,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        max_position_embeddings=64, tie_word_embeddings=False,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
        architectures=["LlamaForCausalLM"])


def save_base(folder):
    rng = np.random.default_rng(SEED)
    model = transformers.LlamaForCausalLM(base_config())
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if "norm" in name:
                parameter.copy_(draw(rng, parameter.shape, 0.25, 1.0))
            else:
                bound = 1.0 if "embed" in name or "head" in name else 0.5
                parameter.copy_(draw(rng, parameter.shape, bound))
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = "float32"
    write_json(folder / "config.json", config)


def open_base(folder):
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers.LlamaForCausalLM.from_pretrained(
        folder, dtype=torch.float32).eval()


def configs():
    """The adapters that load, by name."""
    lora = dict(task_type="CAUSAL_LM", lora_dropout=0.0)
    return {
        "plain": peft.LoraConfig(
            r=4, lora_alpha=6, target_modules=["q_proj", "v_proj"], **lora),
        "ranks": peft.LoraConfig(
            r=2, lora_alpha=3, use_rslora=True, rank_pattern={"down_proj": 3},
            alpha_pattern={"layers.1.self_attn.q_proj": 1},
            target_modules=["q_proj", "gate_proj", "down_proj"], **lora),
        "dora": peft.LoraConfig(
            r=3, lora_alpha=3, use_dora=True,
            target_modules=["o_proj", "up_proj"], **lora),
        "rescale": peft.IA3Config(
            task_type="CAUSAL_LM",
            target_modules=["k_proj", "v_proj", "down_proj"],
            feedforward_modules=["down_proj"]),
        "adalora": peft.AdaLoraConfig(
            task_type="CAUSAL_LM", init_r=3, target_r=2, lora_alpha=4,
            total_step=10, target_modules=["q_proj", "o_proj"]),
        "bf16": peft.LoraConfig(
            r=2, lora_alpha=2, target_modules=["gate_proj", "k_proj"],
            **lora),
        "pickled": peft.LoraConfig(
            r=2, lora_alpha=4, target_modules=["k_proj", "v_proj"],
            layers_to_transform=[1], **lora),
        "head": peft.LoraConfig(
            r=2, lora_alpha=2, target_modules=["v_proj"],
            modules_to_save=["lm_head"], **lora),
        "swap": peft.LoraConfig(
            r=4, lora_alpha=2, target_modules=["q_proj", "v_proj"], **lora),
    }


def save_adapter(base, name, config, folder):
    """Drawn numbers in PEFT's layers, saved by PEFT."""
    rng = np.random.default_rng([SEED, *name.encode()])
    model = peft.get_peft_model(base, config, name)
    with torch.no_grad():
        for key, parameter in sorted(model.named_parameters()):
            if not parameter.requires_grad:
                continue
            about_one = "magnitude" in key or "ia3" in key
            parameter.copy_(draw(rng, parameter.shape, 0.5,
                                 1.0 if about_one else 0.0))
    if name == "bf16":
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.bfloat16()
    model.save_pretrained(folder.parent, safe_serialization=name != "pickled")
    tidy_adapter(folder)


def tidy_adapter(folder):
    """What PEFT writes in an order of chance, sorted; no model card."""
    config = json.loads((folder / "adapter_config.json").read_text())
    for key in ("target_modules", "feedforward_modules", "modules_to_save"):
        if isinstance(config.get(key), list):
            config[key] = sorted(config[key])
    config["base_model_name_or_path"] = "base"
    write_json(folder / "adapter_config.json", config)
    for card in (folder / "README.md", folder.parent / "README.md"):
        card.unlink(missing_ok=True)


def save_refused(base_folder, folder):
    """Adapters that cannot be loaded as they are."""
    loha = peft.LoHaConfig(task_type="CAUSAL_LM", r=2, alpha=2,
                           target_modules=["v_proj"])
    save_adapter(open_base(base_folder), "loha", loha, folder / "loha")
    plain = folder / "plain"
    tensors = safetensors.torch.load_file(plain / "adapter_model.safetensors")
    for name in ("incomplete", "wrong_shape", "damaged"):
        shutil.copytree(plain, folder / name)
    last_b = sorted(k for k in tensors if "lora_B" in k)[-1]
    without = {k: v for k, v in tensors.items() if k != last_b}
    save_tensors(without, folder / "incomplete")
    save_tensors({**tensors, last_b: tensors[last_b][:-1].contiguous()},
                 folder / "wrong_shape")
    damaged = folder / "damaged" / "adapter_model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:200])


def save_tensors(tensors, folder):
    safetensors.torch.save_file(tensors, folder / "adapter_model.safetensors",
                                {"format": "pt"})


class HostNetwork(nn.Module):
    """What a program with its own forward might have."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 6)
        self.first = nn.Linear(6, 8)
        self.second = Conv1D(5, 8)


def host_network():
    """With the numbers that are in its file."""
    rng = np.random.default_rng([SEED, 1])
    model = HostNetwork()
    with torch.no_grad():
        for _, parameter in sorted(model.named_parameters()):
            parameter.copy_(draw(rng, parameter.shape, 1.0))
    return model.eval()


def save_host(folder):
    """The weights of a host model, and an adapter for it."""
    folder.mkdir()
    tensors = dict(host_network().named_parameters())
    safetensors.torch.save_file(
        {name: tensor.detach() for name, tensor in tensors.items()},
        folder / "weights.safetensors")
    config = peft.LoraConfig(r=2, lora_alpha=3, fan_in_fan_out=False,
                             target_modules=["table", "first", "second"])
    save_adapter(host_network(), "adapter", config, folder / "adapter")
    second = peft.LoraConfig(r=1, lora_alpha=1, target_modules=["first"])
    save_adapter(host_network(), "second", second, folder / "second")
    factors = peft.IA3Config(target_modules=["first"], feedforward_modules=[])
    save_adapter(host_network(), "factors", factors, folder / "factors")


def package(folder):
    """The name, offset and size of the files in host/assets.pak."""
    config, tensors = [
        (folder / "adapters/plain" / name).stat().st_size
        for name in ("adapter_config.json", "adapter_model.safetensors")]
    return [("adapter_config.json", 37, config),
            ("adapter_model.safetensors", 37 + config, tensors)]


def save_package(folder):
    """One file that holds an adapter's, as a game's assets might."""
    files = [(folder / "adapters/plain" / name).read_bytes()
             for name, _, _ in package(folder)]
    (folder / "host/assets.pak").write_bytes(b"\xff" * 37 + b"".join(files))


def write_json(path, value):
    pathlib.Path(path).write_text(
        json.dumps(value, indent=1, sort_keys=True) + "\n")


def save_all(folder):
    """The folders base and adapters, and configs of fresh adapters."""
    save_base(folder / "base")
    adapters = folder / "adapters"
    for name, config in configs().items():
        save_adapter(open_base(folder / "base"), name, config,
                     adapters / name)
    save_refused(folder / "base", adapters)
    save_host(folder / "host")
    save_package(folder)
    write_json(folder / "fresh_lora.json", dict(
        peft_type="LORA", r=3, lora_alpha=6, task_type="CAUSAL_LM",
        target_modules=["q_proj", "down_proj"]))
