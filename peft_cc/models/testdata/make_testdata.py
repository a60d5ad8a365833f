"""Writes the golden data of //peft_cc/models: tiny models and what they answer.

Run it with Python 3.11, torch 2.13, transformers 5.23.0, peft 0.21.2 and
safetensors:

    python3 peft_cc/models/testdata/make_testdata.py

Every folder `models/<case>` is a model as transformers saves it, plus
`expected.safetensors`: inputs, logits of a forward over a left-padded batch, of
two more positions on its cache, and the tokens of greedy generation.
`adapter` is a LoRA adapter as PEFT saves it, with the logits that it makes.
`rope.json` holds rotary frequencies, `sampler.json` what the logits processors
keep. References are computed in f32 from the weights as the files hold them.
"""

import json
import pathlib
import shutil

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.generation import logits_process

HERE = pathlib.Path(__file__).resolve().parent
NUM_NEW_TOKENS = 12

SMALL = dict(
    vocab_size=96,
    hidden_size=32,
    intermediate_size=40,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=64,
    bos_token_id=None,
    eos_token_id=None,
)


def randomize(model, seed):
    """Weights large enough that attention is sharp and logits differ."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("bias"):
                parameter.copy_(0.3 * noise)
            elif "norm" in name or parameter.dim() == 1:
                parameter.copy_(1 + 0.2 * noise)
            elif "embed" in name or "wte" in name or "wpe" in name:
                parameter.copy_(noise)
            else:
                parameter.copy_(1.5 * noise / parameter.shape[-1] ** 0.5)
    model.tie_weights()


def to_old_style(folder):
    """Rewrites config.json as transformers 4 wrote it."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    kind = rope.pop("rope_type")
    config["rope_scaling"] = {"type": kind, **rope} if rope else None
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.40.0"
    config.pop("layer_types", None)
    if config.get("head_dim") == (
        config["hidden_size"] // config["num_attention_heads"]
    ):
        config.pop("head_dim")
    path.write_text(json.dumps(config, indent=2) + "\n")


def recast(folder, dtype_of):
    """Stores every tensor in the dtype that `dtype_of` gives for its name."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file(
        {name: t.to(dtype_of(name)) for name, t in tensors.items()},
        path,
        metadata={"format": "pt"},
    )


def make_inputs(seed, length):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, 96, (3, length), generator=generator)
    mask = torch.ones_like(ids)
    for row, padding in enumerate((0, 2, 5)):
        ids[row, :padding] = 0
        mask[row, :padding] = 0
    step_ids = torch.randint(3, 96, (3, 2), generator=generator)
    return ids, mask, step_ids


def write_expected(folder, length, generate_kwargs=None):
    """Runs the saved model in f32, and saves what it answers."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32
    ).eval()
    ids, mask, step_ids = make_inputs(7, length)
    with torch.no_grad():
        forward = model(ids, attention_mask=mask, use_cache=True)
        step_mask = torch.cat([mask, torch.ones_like(step_ids)], dim=1)
        step = model(
            step_ids,
            attention_mask=step_mask,
            past_key_values=forward.past_key_values,
        )
        # Again, for a model whose frequencies remember earlier lengths.
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32
        ).eval()
        tokens = model.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=NUM_NEW_TOKENS,
            do_sample=False,
            pad_token_id=0,
            **(generate_kwargs or {}),
        )[:, length:]
    assert torch.isfinite(forward.logits).all()
    save_file(
        {
            "ids": ids,
            "attention_mask": mask,
            "logits": forward.logits.float().contiguous(),
            "step_ids": step_ids,
            "step_logits": step.logits.float().contiguous(),
            "tokens": tokens.contiguous(),
        },
        folder / "expected.safetensors",
    )


def edit_config(folder, edit, name="config.json"):
    path = folder / name
    config = json.loads(path.read_text())
    edit(config)
    path.write_text(json.dumps(config, indent=2) + "\n")


def make_model(name, config, seed, length=9, bare=False, shard_size=None,
               old_style=False, dtype_of=None, generate_kwargs=None):
    folder = HERE / "models" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = transformers.AutoModelForCausalLM.from_config(config)
    randomize(model, seed)
    saved = model.base_model if bare else model
    shard = {"max_shard_size": shard_size} if shard_size else {}
    saved.save_pretrained(folder, **shard)
    if dtype_of:
        recast(folder, dtype_of)
    if old_style:
        to_old_style(folder)
    if bare:
        # Else it would be a model without a head.
        edit_config(folder, lambda config: config.pop("architectures"))
    write_expected(folder, length, generate_kwargs)


def mixed_dtypes(name):
    if "embed_tokens" in name:
        return torch.float16
    return torch.float32 if "norm" in name else torch.bfloat16


def rope(kind, **parameters):
    return {"rope_type": kind, "rope_theta": 10000.0, **parameters}


def make_models():
    llama = transformers.LlamaConfig
    mistral = transformers.MistralConfig
    qwen2 = transformers.Qwen2Config
    qwen3 = transformers.Qwen3Config
    make_model("llama", llama(**SMALL), 1)
    make_model(
        "llama_linear_biases_tied",
        llama(**{**SMALL, "eos_token_id": [48, 82]}, head_dim=12,
              attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
              hidden_act="gelu",
              rope_parameters=rope("linear", factor=2.5)),
        2,
    )
    make_model(
        "llama3_old_style",
        llama(**SMALL, tie_word_embeddings=True, rope_parameters=rope(
            "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=16)),
        3,
        old_style=True,
    )
    make_model(
        "llama_dynamic",
        llama(**{**SMALL, "max_position_embeddings": 16},
              rope_parameters=rope("dynamic", factor=3.0)),
        4,
        length=14,
    )
    make_model(
        "llama_bf16",
        llama(**SMALL, tie_word_embeddings=True),
        5,
        dtype_of=lambda name: torch.bfloat16,
    )
    make_model(
        "llama_mixed_dtypes",
        llama(**{**SMALL, "num_key_value_heads": 4}),
        6,
        dtype_of=mixed_dtypes,
        generate_kwargs={"repetition_penalty": 1.7},
    )
    make_model("mistral_sliding_old_style",
               mistral(**SMALL, sliding_window=4), 7, old_style=True)
    make_model(
        "mistral_yarn",
        mistral(**SMALL, sliding_window=None, head_dim=16,
                rope_parameters=rope(
                    "yarn", factor=4.0, original_max_position_embeddings=16,
                    beta_fast=4.0, beta_slow=1.0)),
        8,
    )
    make_model(
        "qwen2_sliding_sharded",
        qwen2(**SMALL, use_sliding_window=True, sliding_window=3,
              max_window_layers=1),
        9,
        shard_size="24KB",
    )
    make_model("qwen2_bare_tied", qwen2(**SMALL, tie_word_embeddings=True), 10,
               bare=True)
    make_model(
        "qwen3_yarn",
        qwen3(**SMALL, head_dim=16, attention_bias=True,
              rope_parameters=rope(
                  "yarn", factor=4.0, original_max_position_embeddings=16,
                  mscale=0.8, mscale_all_dim=0.5, truncate=False)),
        11,
    )


    gpt2 = transformers.GPT2Config
    sizes = dict(vocab_size=96, n_embd=32, n_layer=2, n_head=4, n_positions=64,
                 bos_token_id=None, eos_token_id=None)
    make_model("gpt2", gpt2(**sizes), 12)
    make_model(
        "gpt2_bare_options",
        gpt2(**sizes, n_inner=40, activation_function="relu",
             layer_norm_epsilon=1e-3, scale_attn_by_inverse_layer_idx=True,
             reorder_and_upcast_attn=True),
        13,
        bare=True,
    )


def make_adapter():
    """A LoRA adapter that PEFT saved for the model `llama`, and its logits."""
    folder = HERE / "adapter"
    shutil.rmtree(folder, ignore_errors=True)
    base = transformers.AutoModelForCausalLM.from_pretrained(
        HERE / "models" / "llama", dtype=torch.float32)
    model = peft.get_peft_model(base, peft.LoraConfig(
        r=3, lora_alpha=5, base_model_name_or_path="",
        target_modules=["q_proj", "v_proj", "down_proj", "embed_tokens",
                        "lm_head"])).eval()
    generator = torch.Generator().manual_seed(21)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(
                    0.3 * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink()
    # The same bytes wherever this runs.
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = ""
    config["target_modules"].sort()
    path.write_text(json.dumps(config, indent=2) + "\n")
    ids, mask, _ = make_inputs(7, 9)
    with torch.no_grad():
        logits = model(ids, attention_mask=mask).logits
    save_file({"logits": logits}, folder / "expected.safetensors")


ROPE_CASES = [
    ("default", 128, 2048, {}, []),
    ("linear", 64, 4096, {"factor": 3.3}, []),
    ("dynamic", 64, 128, {"factor": 2.5}, [129, 200, 1000, 50]),
    ("llama3", 128, 131072,
     {"rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
      "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}, []),
    ("yarn", 128, 131072,
     {"rope_theta": 1000000.0, "factor": 4.0,
      "original_max_position_embeddings": 32768}, []),
    ("yarn", 64, 4096,
     {"factor": None, "original_max_position_embeddings": 1024,
      "beta_fast": 16, "beta_slow": 2, "truncate": False}, []),
    ("yarn", 64, 4096,
     {"factor": 40.0, "original_max_position_embeddings": 512, "mscale": 0.707,
      "mscale_all_dim": 1.0}, []),
    ("yarn", 32, 4096, {"factor": 4.0, "attention_factor": 1.25}, []),
]


def make_rope():
    """Frequencies after each of a list of sequence lengths."""
    cases = []
    for kind, head_dim, max_position, parameters, lengths in ROPE_CASES:
        config = transformers.LlamaConfig(
            hidden_size=head_dim * 2, num_attention_heads=2,
            max_position_embeddings=max_position,
            rope_parameters=rope(kind, **parameters))
        module = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(
            config)
        steps = []
        for length in [1] + lengths:
            positions = torch.tensor([[length - 1]])
            cos, sin = module(torch.zeros(1), positions)
            half = head_dim // 2
            steps.append({
                "length": length,
                "inv_freq": module.inv_freq.tolist(),
                "cos": cos[0, 0, :half].tolist(),
                "sin": sin[0, 0, :half].tolist(),
            })
        cases.append({
            "config": {
                "max_position_embeddings": max_position,
                "rope_parameters": rope(kind, **parameters)},
            "head_dim": head_dim,
            "max_position": max_position,
            "attention_scaling": module.attention_scaling,
            "steps": steps,
        })
    (HERE / "rope.json").write_text(json.dumps(cases) + "\n")


def make_sampler():
    """Probabilities that the logits processors leave for sampling."""
    generator = torch.Generator().manual_seed(3)
    logits = 3 * torch.randn(40, generator=generator)
    logits[7] = logits[11]  # a tie
    seen = [1, 5, 5, 11, 30]
    cases = []
    for options in [
        {}, {"temperature": 0.6}, {"top_k": 5}, {"top_p": 0.7},
        {"top_p": 0.0}, {"min_p": 0.2}, {"repetition_penalty": 1.8},
        {"temperature": 1.9, "top_k": 20, "top_p": 0.8, "min_p": 0.05,
         "repetition_penalty": 1.3},
    ]:
        processors = [
            ("repetition_penalty",
             logits_process.RepetitionPenaltyLogitsProcessor),
            ("temperature", logits_process.TemperatureLogitsWarper),
            ("top_k", logits_process.TopKLogitsWarper),
            ("top_p", logits_process.TopPLogitsWarper),
            ("min_p", logits_process.MinPLogitsWarper),
        ]
        scores = logits[None]
        for name, processor in processors:
            if name in options:
                scores = processor(options[name])(torch.tensor([seen]), scores)
        cases.append({
            "options": options,
            "probabilities": scores.softmax(dim=-1)[0].tolist(),
        })
    (HERE / "sampler.json").write_text(json.dumps(
        {"logits": logits.tolist(), "seen": seen, "cases": cases}) + "\n")


if __name__ == "__main__":
    torch.manual_seed(0)
    make_rope()
    make_sampler()
    make_models()
    make_adapter()
