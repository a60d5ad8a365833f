"""Makes the adapter folders of the tests with PEFT itself.

Each folder has what PEFT saved for one adapter of a tiny Qwen2, and
expected.safetensors: what every layer of the model then computes, by PEFT. The
base model is not saved; `tiny_model.cc` makes the same one.

  python make_testdata.py        (peft 0.21.2, transformers 5.23.0)
"""

import pathlib
import shutil
import warnings

import peft
from peft.tuners.tuners_utils import BaseTunerLayer
import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).parent
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj",
           "down_proj"]


def base_model():
    """Weights and biases that tiny_model.cc can compute too."""
    config = transformers.Qwen2Config(
        hidden_size=8, intermediate_size=12, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, vocab_size=10,
        tie_word_embeddings=False)
    model = transformers.Qwen2ForCausalLM(config).eval()
    for name, parameter in model.named_parameters():
        index = torch.arange(parameter.numel())
        values = ((index * 7 + sum(name.encode())) % 17 - 8) / 16
        parameter.data = values.reshape(parameter.shape)
    return model


def layer_input(width):
    t, i = torch.meshgrid(torch.arange(3), torch.arange(width), indexing="ij")
    return ((t * 5 + i * 3) % 7 - 3) / 4


def randomize(model, seed):
    """Gives all that is trained random values: B too, which starts at zero."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        trained = "lora_" in name or "ia3_l" in name
        if trained or name.endswith("bias") and parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data = noise * 0.5


def outputs(model, prefix):
    """What every linear layer and embedding computes, by module name."""
    result = {}
    layers = (torch.nn.Linear, torch.nn.Embedding, BaseTunerLayer)
    for name, module in model.named_modules():
        if not isinstance(module, layers) or ".lora_" in name:
            continue
        if name.endswith(".base_layer"):
            continue
        base = getattr(module, "base_layer", module)
        if isinstance(base, torch.nn.Embedding):
            x = torch.arange(base.num_embeddings)
        else:
            x = layer_input(base.in_features)
        with torch.no_grad():
            result[prefix + name] = module(x).float().contiguous()
    return result


def cast_file(folder, dtype):
    file = folder / "adapter_model.safetensors"
    tensors = safetensors.torch.load_file(file)
    safetensors.torch.save_file(
        {name: tensor.to(dtype) for name, tensor in tensors.items()}, file,
        {"format": "pt"})


def fresh_folder(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def save_expected(folder, model, prefix=""):
    safetensors.torch.save_file(outputs(model, prefix),
                                folder / "expected.safetensors")
    (folder / "README.md").unlink(missing_ok=True)
    (folder / "generation_config.json").unlink(missing_ok=True)


def case(name, seed, config, dtype=None, safe_serialization=True,
         rank_pattern=None):
    """Saved by PeftModel, computed by a PeftModel that loads the files."""
    folder = fresh_folder(name)
    model = peft.get_peft_model(base_model(), config)
    randomize(model, seed)
    if rank_pattern is not None:
        model.peft_config["default"].rank_pattern = rank_pattern
    model.save_pretrained(folder, safe_serialization=safe_serialization)
    if dtype is not None:
        cast_file(folder, dtype)
    loaded = peft.PeftModel.from_pretrained(base_model(), folder).eval()
    save_expected(folder, loaded.base_model.model)


def lora_case(name, seed, dtype=None, safe_serialization=True, **fields):
    case(name, seed, peft.LoraConfig(**fields), dtype, safe_serialization)


def adalora_case():
    """With what training writes into rank_pattern: the names of parameters."""
    pruned = {
        f"model.layers.{i}.{module}.lora_E.default": kept
        for i, module, kept in [
            (0, "self_attn.q_proj", [True, False, True]),
            (0, "mlp.down_proj", [False, False, False]),
            (1, "self_attn.q_proj", [True, True, True])]}
    config = peft.AdaLoraConfig(
        init_r=3, lora_alpha=5, target_modules=["q_proj", "down_proj"],
        total_step=10)
    case("adalora_pruned", 12, config, rank_pattern=pruned)
    config = peft.AdaLoraConfig(
        init_r=3, lora_alpha=2, target_modules=["v_proj"], total_step=10)
    case("adalora", 13, config, dtype=torch.bfloat16)


def unprefixed_case():
    """Saved by transformers without "base_model.model."."""
    folder = fresh_folder("unprefixed")
    model = base_model()
    model.add_adapter(peft.LoraConfig(r=3, target_modules=["k_proj"]), "mine")
    randomize(model, 7)
    model.save_pretrained(folder, save_peft_format=False)
    loaded = base_model()
    loaded.load_adapter(str(folder))
    save_expected(folder, loaded)


def bare_case():
    """Trained on the model without its head: its names lack "model."."""
    folder = fresh_folder("bare")
    config = peft.LoraConfig(
        r=2, target_modules=r"layers\.\d\.mlp\.(up|down)_proj",
        rank_pattern={"^layers.1.mlp.up_proj": 3})
    model = peft.get_peft_model(base_model().model, config)
    randomize(model, 8)
    model.save_pretrained(folder)
    loaded = peft.PeftModel.from_pretrained(base_model().model, folder).eval()
    save_expected(folder, loaded.base_model.model, "model.")


def other_method_case(name, config):
    folder = fresh_folder(name)
    peft.get_peft_model(base_model(), config).save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)


def main():
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    lora_case("plain", 1, r=2, lora_alpha=6,
              target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    lora_case("rslora_patterns", 2, r=3, lora_alpha=4, use_rslora=True,
              target_modules="all-linear",
              rank_pattern={"q_proj": 1, r"layers.1.mlp.*": 5},
              alpha_pattern={"q_proj": 7, r".*down_proj": 2.5})
    lora_case("bias_all", 3, safe_serialization=False, r=2,
              target_modules=["q_proj", "o_proj"], bias="all")
    lora_case("bias_lora_only", 4, dtype=torch.bfloat16, r=2,
              target_modules=["q_proj", "o_proj"], bias="lora_only")
    lora_case("lora_bias", 5, dtype=torch.float16, r=2, lora_alpha=3,
              target_modules=["v_proj", "up_proj"], lora_bias=True)
    lora_case("embedding", 6, r=2, lora_alpha=4,
              target_modules=["embed_tokens", "lm_head", "q_proj"])
    lora_case("dora", 9, r=2, lora_alpha=3, use_dora=True,
              target_modules=["q_proj", "v_proj", "down_proj"])
    lora_case("dora_embedding", 10, r=2, lora_alpha=3, use_dora=True,
              use_rslora=True, target_modules=["embed_tokens", "o_proj"])
    lora_case("pissa", 14, r=3, lora_alpha=5, use_rslora=True,
              init_lora_weights="pissa", target_modules=["q_proj", "up_proj"])
    lora_case("olora", 15, r=3, lora_alpha=5, init_lora_weights="olora",
              target_modules=["v_proj", "down_proj"])
    adalora_case()
    unprefixed_case()
    bare_case()
    case("ia3", 11, peft.IA3Config(
        target_modules=["q_proj", "down_proj", "o_proj"],
        feedforward_modules=["down_proj"]))
    other_method_case("loha", peft.LoHaConfig(r=2, target_modules=["q_proj"]))
    other_method_case("prompt_tuning", peft.PromptTuningConfig(
        num_virtual_tokens=2, task_type="CAUSAL_LM"))


if __name__ == "__main__":
    main()
