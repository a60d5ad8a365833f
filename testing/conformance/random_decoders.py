"""Random configs of the Llama-like families."""

import transformers

FAMILIES = ["llama", "mistral", "qwen2", "qwen3", "smollm"]
VOCABULARY = 97


def _rope_parameters(rng, family, max_positions):
    theta = rng.choice([10000.0, 500000.0, 1234.5])
    kinds = ["default", "default", "linear", "dynamic", "llama3", "yarn"]
    kind = rng.choice(kinds)
    rope = {"rope_type": kind, "rope_theta": theta}
    if kind in ("linear", "dynamic", "yarn"):
        rope["factor"] = rng.choice([2.0, 4.0, 1.7])
    if kind == "llama3":
        rope.update(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                    original_max_position_embeddings=max_positions // 2)
    if kind == "yarn":
        rope["original_max_position_embeddings"] = max_positions // 2
        if rng.random() < 0.3:
            rope["attention_factor"] = rng.choice([1.0, 1.3])
        if rng.random() < 0.3:
            rope.update(beta_fast=24, beta_slow=2)
    return rope


def _sliding_window(rng, family, num_layers):
    if family == "mistral":
        return {"sliding_window": rng.choice([None, 4, 7])}
    if family in ("qwen2", "qwen3") and rng.random() < 0.5:
        return {"use_sliding_window": True, "sliding_window": 5,
                "max_window_layers": rng.randrange(num_layers)}
    return {}


def random_config(rng, family):
    """A transformers config object; `rng` is a random.Random."""
    heads = rng.choice([2, 4])
    head_dim = rng.choice([4, 8, 16])
    num_layers = rng.choice([1, 2, 3])
    max_positions = rng.choice([16, 64, 128])
    fields = dict(
        vocab_size=VOCABULARY, num_hidden_layers=num_layers,
        hidden_size=heads * head_dim, num_attention_heads=heads,
        num_key_value_heads=rng.choice([1, 2, heads]),
        intermediate_size=rng.choice([24, 40, 65]),
        max_position_embeddings=max_positions,
        tie_word_embeddings=rng.random() < 0.4,
        rms_norm_eps=rng.choice([1e-5, 1e-6]),
        hidden_act=rng.choice(["silu", "silu", "silu", "gelu",
                               "gelu_pytorch_tanh", "relu"]),
        rope_parameters=_rope_parameters(rng, family, max_positions),
        bos_token_id=1, eos_token_id=2, pad_token_id=0)
    fields.update(_sliding_window(rng, family, num_layers))
    if family == "qwen3" or (family != "qwen2" and rng.random() < 0.3):
        fields["head_dim"] = rng.choice([4, 8, 12])
    if family in ("llama", "smollm"):
        fields["attention_bias"] = rng.random() < 0.4
        fields["mlp_bias"] = rng.random() < 0.4
        return transformers.LlamaConfig(**fields)
    if family == "mistral":
        return transformers.MistralConfig(**fields)
    if family == "qwen2":
        return transformers.Qwen2Config(**fields)
    fields["attention_bias"] = rng.random() < 0.4
    return transformers.Qwen3Config(**fields)
