#!/usr/bin/env python3
"""Writes the golden files of this folder with torch and safetensors.

Each NAME.bin has a NAME.safetensors beside it with the same tensors, made
contiguous, so that a reader of the one can be checked against the other.
The files here were made with torch 2.13.0 and safetensors 0.8.0:

    python3 make_testdata.py [FOLDER]
"""

import collections
import io
import os
import pathlib
import re
import sys
import zipfile

import torch
from safetensors.torch import save_file

FLOATS = [torch.float32, torch.float16, torch.bfloat16, torch.float64]
INTEGERS = [
    torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint64, torch.uint32, torch.uint16, torch.uint8,
]
FLOAT8 = [
    torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu,
    torch.float8_e4m3fnuz, torch.float8_e5m2fnuz,
]


def ramp(*shape, dtype=torch.float32):
    """1, 2, 3 ... in the given shape."""
    count = 1
    for dim in shape:
        count *= dim
    return (torch.arange(count, dtype=torch.float32) + 1).reshape(shape).to(dtype)


def all_dtypes():
    tensors = {}
    for dtype in FLOATS + INTEGERS + FLOAT8:
        tensors[str(dtype).split(".")[1]] = ramp(2, 3, dtype=dtype)
    tensors["bool"] = torch.tensor([True, False, True])
    tensors["complex64"] = torch.complex(ramp(2), -ramp(2))
    tensors["special"] = torch.tensor(
        [float("nan"), float("inf"), -float("inf"), -0.0, 1e-45])
    tensors["scalar"] = torch.tensor(1.5)
    tensors["empty"] = torch.zeros(0, 4)
    return tensors


def lora():
    """What PEFT's adapter_model.bin looks like."""
    prefix = "base_model.model.model.layers.0.self_attn.q_proj"
    return {
        f"{prefix}.lora_A.weight": ramp(2, 4),
        f"{prefix}.lora_B.weight": ramp(4, 2, dtype=torch.bfloat16),
    }


def views():
    base = ramp(4, 6)
    return {
        "whole": base,
        "row": base[2],
        "rows": base[1:3],
        "column": base[:, 1],
        "transposed": base.t(),
        "steps": base[::2, 1::3],
        "permuted": ramp(2, 3, 4).permute(2, 0, 1),
        "expanded": ramp(3, 1).expand(3, 5),
        "expanded_scalar": torch.tensor(7.0).expand(2, 2),
        "unsqueezed": base.t().unsqueeze(0).unsqueeze(-1),
        "half": ramp(4, 6, dtype=torch.float16).t(),
        "double": ramp(4, 6, dtype=torch.float64).t(),
        "byte": ramp(4, 6, dtype=torch.uint8).t(),
        "float8": ramp(4, 6, dtype=torch.float8_e4m3fn).t()[1:],
    }


def parameters():
    with_state = torch.nn.Parameter(ramp(2))
    with_state.note = "an attribute makes torch pickle its state too"
    return {
        "parameter": torch.nn.Parameter(ramp(3, 2)),
        "frozen": torch.nn.Parameter(ramp(2, 2), requires_grad=False),
        "with_state": with_state,
        "requires_grad": ramp(2).requires_grad_(),
    }


def module():
    """An OrderedDict with the attribute _metadata."""
    torch.manual_seed(0)
    layers = collections.OrderedDict(
        first=torch.nn.Linear(3, 2), second=torch.nn.LayerNorm(2))
    return torch.nn.Sequential(layers).state_dict()


def to_bytes(tensors, **options):
    buffer = io.BytesIO()
    torch.save(tensors, buffer, **options)
    return buffer.getvalue()


class Unseekable(io.RawIOBase):
    """A stream: zipfile then writes sizes in data descriptors."""

    def __init__(self):
        super().__init__()
        self.content = b""

    def writable(self):
        return True

    def write(self, data):
        self.content += bytes(data)
        return len(data)


def rezip(content, stream=False, zip64=False, change=lambda path, data: data):
    """Writes a torch file again with Python's own zip writer."""
    source = zipfile.ZipFile(io.BytesIO(content))
    buffer = Unseekable() if stream else io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        for item in source.infolist():
            info = zipfile.ZipInfo(item.filename)
            with target.open(info, "w", force_zip64=zip64) as file:
                file.write(change(item.filename, source.read(item)))
    return buffer.content if stream else buffer.getvalue()


def to_cuda_classes(path, data):
    """Storage classes and locations as torch before 1.13 wrote for a GPU."""
    if not path.endswith("data.pkl"):
        return data
    data = re.sub(rb"ctorch\n(\w+Storage)\n", rb"ctorch.cuda\n\1\n", data)
    return data.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")


def without_new_entries(content):
    """Only what torch 1.6 wrote."""
    source = zipfile.ZipFile(io.BytesIO(content))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        for item in source.infolist():
            if re.search(r"/(data\.pkl|data/\d+|version)$", item.filename):
                target.writestr(zipfile.ZipInfo(item.filename), source.read(item))
    return buffer.getvalue()


def legacy(tensors, **options):
    return to_bytes(tensors, _use_new_zipfile_serialization=False, **options)


def cases():
    """Name, tensors and content of each .bin file."""
    yield "zip", all_dtypes(), to_bytes(all_dtypes())
    for protocol in 3, 4, 5:
        yield f"zip_protocol{protocol}", lora(), to_bytes(
            lora(), pickle_protocol=protocol)
    yield "zip_views", views(), to_bytes(views())
    yield "zip_parameters", parameters(), to_bytes(parameters())
    yield "zip_module", module(), to_bytes(module())
    yield "zip_stream", lora(), rezip(to_bytes(lora()), stream=True)
    yield "zip_zip64", lora(), rezip(to_bytes(lora()), zip64=True)
    yield "zip_cuda", lora(), rezip(to_bytes(lora()), change=to_cuda_classes)
    yield "zip_old", lora(), without_new_entries(to_bytes(lora()))
    yield "legacy", all_dtypes(), legacy(all_dtypes())
    yield "legacy_protocol4", lora(), legacy(lora(), pickle_protocol=4)
    yield "legacy_views", views(), legacy(views())
    yield "legacy_parameters", parameters(), legacy(parameters())


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                          os.path.dirname(os.path.abspath(__file__)))
    for name, tensors, content in cases():
        plain = {key: value.detach().clone().contiguous()
                 for key, value in tensors.items()}
        # No metadata for one of them: both kinds of header are wanted.
        metadata = None if name == "zip_views" else {"format": "pt"}
        save_file(plain, folder / f"{name}.safetensors", metadata)
        (folder / f"{name}.bin").write_bytes(content)


if __name__ == "__main__":
    main()
