"""Writes the GGUF files that llama.cpp reads, from a Llama's and a LoRA's folder.

Needs the package gguf. Covers what side_by_side.py makes: a Llama with a tied
head in f32 or bf16, and LoRA of one rank on its linears.
"""

import json

import gguf
import numpy as np

# A linear of a layer here and there.
LINEARS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
NORMS = {"input_layernorm": "attn_norm",
         "post_attention_layernorm": "ffn_norm"}
DTYPES = {"F32": np.float32, "BF16": np.uint16}


def read_safetensors(path):
    """The tensors of a file; bf16 as uint16."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(
            data[start + entry["data_offsets"][0]:
                 start + entry["data_offsets"][1]],
            DTYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()}


def permute_heads(rows, heads):
    """Rows of q and k: llama.cpp rotates neighbours, transformers halves."""
    shape = rows.shape
    return rows.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(
        1, 2).reshape(shape)


def heads_of(config, linear):
    return {"attn_q": config["num_attention_heads"],
            "attn_k": config["num_key_value_heads"]}.get(linear)


def _add(writer, name, tensor):
    if tensor.dtype != np.uint16:
        writer.add_tensor(name, np.ascontiguousarray(tensor, np.float32))
        return
    if tensor.ndim == 1:  # norms are f32 in llama.cpp
        wide = tensor.astype(np.uint32) << 16
        writer.add_tensor(name, wide.view(np.float32))
        return
    writer.add_tensor(name, np.ascontiguousarray(tensor).view(np.uint8),
                      raw_dtype=gguf.GGMLQuantizationType.BF16)


def _finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_base(folder, path):
    """The model of `folder` as `path`."""
    config = json.loads((folder / "config.json").read_text())
    tensors = read_safetensors(folder / "model.safetensors")
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(
        config["hidden_size"] // config["num_attention_heads"])
    writer.add_tokenizer_model("no_vocab")
    _add(writer, "token_embd.weight", tensors["model.embed_tokens.weight"])
    _add(writer, "output_norm.weight", tensors["model.norm.weight"])
    for layer in range(config["num_hidden_layers"]):
        theirs, its = f"blk.{layer}", f"model.layers.{layer}"
        for here, there in NORMS.items():
            _add(writer, f"{theirs}.{there}.weight",
                 tensors[f"{its}.{here}.weight"])
        for here, there in LINEARS.items():
            weight = tensors[f"{its}.{here}.weight"]
            heads = heads_of(config, there)
            _add(writer, f"{theirs}.{there}.weight",
                 permute_heads(weight, heads) if heads else weight)
    _finish(writer)


def write_adapter(base, folder, path):
    """The LoRA of `folder`, on the model of `base`, as `path`."""
    model = json.loads((base / "config.json").read_text())
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = read_safetensors(folder / "adapter_model.safetensors")
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(config["lora_alpha"]))
    for layer in range(model["num_hidden_layers"]):
        for here, there in LINEARS.items():
            its = f"base_model.model.model.layers.{layer}.{here}"
            b = tensors[f"{its}.lora_B.weight"]
            heads = heads_of(model, there)
            name = f"blk.{layer}.{there}.weight"
            _add(writer, f"{name}.lora_a", tensors[f"{its}.lora_A.weight"])
            _add(writer, f"{name}.lora_b",
                 permute_heads(b, heads) if heads else b)
    _finish(writer)
