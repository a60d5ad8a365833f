"""Steps of programs with layers and files of their own."""

import peft
import torch

from testing.scenario import recorder
from testing.scenario import scenario_files as files
from testing.scenario import scenario_peft as reference

INVALID, NOT_FOUND, STATE = 3, 5, 9
KINDS = {"table": "embedding", "first": "linear", "second": "conv1d_hf"}
IDS = torch.tensor([[3, 0], [9, 3], [1, 1]])
numbers = recorder.numbers


def layers(**fields):
    """The layers of the host network, with the same fields in each."""
    all_layers = [{"name": name, "kind": kind, "weight": f"{name}.weight",
                   **fields} for name, kind in KINDS.items()]
    for layer in all_layers[1:]:
        layer["bias"] = layer["name"] + ".bias"
    return all_layers


def create(s, **fields):
    s.step("create_model", {"num_sites": 3}, layers=layers(**fields),
           tensors="host/weights.safetensors")
    return files.host_network()


def load(s, name, scale=1):
    """Loads an adapter of the host model; PEFT's network with it."""
    folder = s.folder / "host" / name
    s.step("load_adapter", s.report(folder, model=files.host_network()),
           name=name, path=f"host/{name}")
    return adapted(s, name, scale)


def adapted(s, name, scale=1):
    model = peft.PeftModel.from_pretrained(files.host_network(),
                                           s.folder / "host" / name)
    for module in model.modules():
        for key in getattr(module, "scaling", {}):
            module.scaling[key] *= scale
    return model.eval().base_model.model


def inputs(layer):
    """What goes into a layer: the arguments of a step, and torch's tensor."""
    if layer == "table":
        return {"ids": IDS.flatten().tolist(), "shape": [3, 2]}, IDS
    rng = files.np.random.default_rng([files.SEED, 3])
    x = files.draw(rng, (3, 6 if layer == "first" else 8), 2.0)
    return {"x": x.flatten().tolist(), "shape": list(x.shape)}, x


def run(s, layer, networks, **arguments):
    """Runs a layer into memory of the program; row i by network i."""
    where, x = inputs(layer)
    y = torch.cat([getattr(network, layer)(x[i:i + 1])
                   for i, network in enumerate(networks)])
    s.step("runner_run", numbers(y), layer=layer, **where,
           y_shape=list(y.shape), **arguments)


def add_delta(s, layer, networks, base, **arguments):
    """Adds what adapters do to an output that is there."""
    where, x = inputs(layer)
    rows = [(getattr(n, layer)(x[i:i + 1]), getattr(base, layer)(x[i:i + 1]))
            for i, n in enumerate(networks)]
    y = files.draw(files.np.random.default_rng([files.SEED, 4]),
                   torch.cat([row for row, _ in rows]).shape, 1.0)
    s.step("runner_add_delta",
           numbers(y + torch.cat([row - plain for row, plain in rows])),
           layer=layer, **where, y=y.flatten().tolist(),
           y_shape=list(y.shape), **arguments)


def lower(s, layer, name, scale, **arguments):
    """The forms of a LoRA, for the program's own GPU."""
    tensors = [(key, value) for key, value in reference.read_tensors(
        s.folder / "host" / name).items() if key.startswith(layer + ".")]
    s.step("lower_layer", {
        "kinds": ["low_rank"], "shape": [1], "values": [scale],
        "tensors": [{"form": 0, "name": "ab"[i], "dtype": "float32",
                     "shape": list(value.shape),
                     "fnv1a": reference.fnv1a(value)}
                    for i, (_, value) in enumerate(tensors)]},
           layer=layer, **arguments)


def running(s):
    """Into the program's memory, for all rows and for each its own."""
    base = create(s)
    network = load(s, "adapter")
    for layer in KINDS:
        run(s, layer, [network] * 3)
        add_delta(s, layer, [network] * 3, base)
    second = load(s, "second")
    names = ["adapter", "__base__", "second"]
    for layer in KINDS:
        run(s, layer, [network, base, second], adapter_names=names)
    add_delta(s, "first", [network, base, second], base, adapter_names=names)
    s.step("create_activation", activation="twice", names=["adapter"],
           scales=[2])
    run(s, "first", [adapted(s, "adapter", 2), base, base],
        activations=["twice", "", ""])
    lower(s, "first", "adapter", 3.0, activation="twice")
    s.step("free_activation", activation="twice")
    s.refuse("runner_run", "LAYER_NOT_FOUND", NOT_FOUND, layer="third",
             x=[1], shape=[1], y_shape=[1])
    s.refuse("runner_run", "TENSOR_SHAPE_MISMATCH", INVALID, layer="first",
             x=[1], shape=[1], y_shape=[1])


def lowering(s):
    """What adapters do, as tensors."""
    create(s)
    load(s, "adapter")
    for layer in KINDS:
        lower(s, layer, "adapter", 1.5)
    s.step("set_adapter", names=["adapter"], scales=[-0.5])
    lower(s, "second", "adapter", -0.75)
    s.step("set_adapter", names=[])
    s.step("lower_layer", {"kinds": [], "tensors": []}, layer="first")
    load(s, "factors")
    s.step("lower_layer", {"kinds": ["scale_out", "bias"]}, layer="first")
    where, _ = inputs("first")
    s.refuse("runner_add_delta", "LAYER_NO_DELTA", STATE, layer="first",
             **where, y=[0.0] * 24, y_shape=[3, 8])


def merging(s):
    """Into the program's own weights, and back."""
    base = create(s, copy_weights=0, writable_weights=1)
    network = load(s, "adapter")
    s.step("merge_adapter", names=[])
    for module in network.modules():
        if hasattr(module, "merge"):
            module.merge()
    for layer in KINDS:
        s.step("host_weight", numbers(getattr(network, layer).weight),
               tensor=f"{layer}.weight")
    run(s, "first", [network] * 3)
    s.step("unmerge_adapter")
    for layer in KINDS:
        weight = getattr(base, layer).weight
        s.step("host_weight", {"fnv1a": reference.fnv1a(weight.detach())},
               tensor=f"{layer}.weight")


def without_weights(s):
    """Layers whose weights the program keeps to itself."""
    base = create(s, no_data=1)
    network = load(s, "adapter")
    add_delta(s, "first", [network] * 3, base)
    where, _ = inputs("first")
    s.refuse("runner_run", "LAYER_WEIGHT", STATE, layer="first", **where,
             y_shape=[3, 8])


def from_files(s):
    """Files that are in no folder."""
    names = ["config.json", "model.safetensors"]
    base = [{"name": name, "path": f"base/{name}"} for name in names]
    package = [{"name": name, "path": "host/assets.pak", "offset": offset,
                "size": size} for name, offset, size in files.package(s.folder)]
    plain = s.folder / "adapters/plain"
    expected = s.peft.model([(plain, 1)])
    report = s.report(plain)
    for kind in ("memory", "fd", "read"):
        s.step("open_model_files", {"model_type": "llama"}, kind=kind,
               files=base)
        s.step("load_adapter_files", report, name="packed", kind=kind,
               files=package)
        s.logits(expected)
        s.step("estimate_files", {"num_tensors": report["matched"]},
               kind=kind, files=package)
        s.step("inspect_files", {"peft_type": "LORA", "runnable": True},
               kind=kind, files=package)
    s.refuse("load_adapter_files", "FILE_NOT_FOUND", NOT_FOUND, name="x",
             kind="memory", files=package[1:])


PARTS = [running, lowering, merging, without_weights, from_files]
