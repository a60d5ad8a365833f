"""Codes of quantised weights in numpy, worked out without the SDK: what
bitsandbytes stores, and what `peft quantize` writes."""

import json

import numpy as np

# bitsandbytes' NF4: quantiles of the normal distribution.
NF4 = np.array([
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634,
    0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0], np.float32)
BLOCK = 64
NESTED_BLOCK = 256


def _nearest(values, table):
    order = np.argsort(table)
    middles = (table[order][1:] + table[order][:-1]) / 2
    return order[np.searchsorted(middles, values)].astype(np.uint8)


def _blocks(values, size):
    padded = np.zeros(-(-values.size // size) * size, np.float32)
    padded[:values.size] = values
    return padded.reshape(-1, size)


def bitsandbytes_tensors(name, weight, nested=True):
    """The tensors of weight `name`, and what they stand for."""
    flat = weight.astype(np.float32).ravel()
    blocks = _blocks(flat, BLOCK)
    scales = np.abs(blocks).max(1)
    state = {"quant_type": "nf4", "blocksize": BLOCK, "dtype": "float32",
             "shape": list(weight.shape)}
    tensors = {name + ".quant_map": NF4}
    if nested:
        table = np.linspace(-1, 1, 256).astype(np.float32)
        offset = np.float32(scales.mean())
        groups = _blocks(scales - offset, NESTED_BLOCK)
        largest = np.maximum(np.abs(groups).max(1), np.float32(1e-12))
        codes = _nearest((groups / largest[:, None]).ravel(), table)
        codes = codes[:scales.size]
        by_group = largest[np.arange(scales.size) // NESTED_BLOCK]
        scales = table[codes] * by_group + offset
        tensors.update({name + ".absmax": codes,
                        name + ".nested_absmax": largest,
                        name + ".nested_quant_map": table})
        state.update(nested_blocksize=NESTED_BLOCK, nested_dtype="float32",
                     nested_offset=float(offset))
    else:
        tensors[name + ".absmax"] = scales
    inverse = 1 / np.maximum(scales, np.float32(1e-12))
    codes = _nearest((blocks * inverse[:, None]).ravel(), NF4)[:flat.size]
    by_block = scales[np.arange(flat.size) // BLOCK]
    dequantised = (NF4[codes] * by_block).reshape(weight.shape)
    pairs = np.append(codes, np.zeros(codes.size % 2, np.uint8)).reshape(-1, 2)
    tensors[name] = (pairs[:, 0] << 4 | pairs[:, 1])[:, None]
    tensors[name + ".quant_state.bitsandbytes__nf4"] = np.frombuffer(
        json.dumps(state).encode(), np.uint8)
    return tensors, dequantised


def bitsandbytes_config():
    return {"quant_method": "bitsandbytes", "load_in_4bit": True,
            "_load_in_4bit": True, "load_in_8bit": False,
            "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": "bfloat16",
            "bnb_4bit_quant_storage": "uint8", "llm_int8_skip_modules": None,
            "llm_int8_threshold": 6.0}


TOGETHER = 16  # rows that are interleaved


def _by_row(codes, scales):
    """Codes and scales of `peft quantize`, row after row."""
    if codes.shape[0] % TOGETHER:
        return codes, scales
    words = codes.reshape(-1, codes.shape[1] // 4, TOGETHER, 4)
    groups = scales.reshape(-1, scales.shape[1], TOGETHER)
    return (words.transpose(0, 2, 1, 3).reshape(codes.shape),
            groups.transpose(0, 2, 1).reshape(scales.shape))


def from_blocks(codes, scales):
    """What a weight that `peft quantize` wrote stands for."""
    codes, scales = _by_row(codes, scales)
    if codes.dtype == np.int8:
        values = codes.astype(np.float32)
    else:
        pairs = np.stack([codes >> 4, codes & 15], -1)
        values = pairs.reshape(codes.shape[0], -1).astype(np.float32) - 8
    return values * np.repeat(scales, 32, 1)
