"""Makes weights.safetensors: weights that bitsandbytes 0.50.2 has quantised, and
what it dequantises them to, in f32. Run with torch, safetensors and bitsandbytes
installed:  python make.py"""

import pathlib

import bitsandbytes.functional as bnb
import torch
from safetensors.torch import save_file

# Rows of whole blocks and of others, each kind of code and of scales.
WEIGHTS = {
    "nested_nf4": ((40, 512), "nf4", True, 64),
    "plain_nf4": ((3, 128), "nf4", False, 64),
    "wide_fp4": ((4, 256), "fp4", True, 128),
    "odd_nf4": ((5, 33), "nf4", True, 64),
}

tensors = {}
generator = torch.Generator().manual_seed(0)
for name, (shape, kind, nested, blocksize) in WEIGHTS.items():
    weight = 0.1 * torch.randn(shape, generator=generator)
    packed, state = bnb.quantize_4bit(weight, quant_type=kind,
                                      blocksize=blocksize,
                                      compress_statistics=nested)
    tensors[f"{name}.weight"] = packed
    for part, tensor in state.as_dict(packed=True).items():
        tensors[f"{name}.weight.{part}"] = tensor.contiguous()
    tensors[f"expected.{name}"] = bnb.dequantize_4bit(packed, state)
    assert tensors[f"expected.{name}"].dtype == torch.float32
save_file(tensors, pathlib.Path(__file__).parent / "weights.safetensors")
