"""Measures the adapter verbs beside PEFT, both in one interleaved run.

  ./bazelw run //benchmarks:adapter_verbs -- [--rounds 5] [--resident 100]

On the base model of side_by_side.py, with LoRA adapters of r=16 on all seven
linears: loading the first and a late adapter, switching, replacing, merging and
unmerging, a batch of eight rows with eight adapters, and DoRA beside LoRA; and
what an adapter of a method takes in memory. What the machine itself can do
(copying, matrix products) is measured in the same run.

Memory that a virtual machine touches for the first time costs it several times
as much as later, whoever asks for it: as much as will be needed is touched and
given back before anything is measured.
"""

import argparse
import copy
import json
import multiprocessing
import os
import pathlib
import sys
import tempfile
import time

import numpy as np

from benchmarks import side_by_side
from benchmarks.timer import Timer
from testing import peft_ctypes
from testing import peft_verbs as ours

BATCH = 8
DECODE_STEPS = 8
ONE_ADAPTER = "decode step, batch 8, one adapter"
EIGHT_ADAPTERS = "decode step, batch 8, eight adapters"
READ_WEIGHTS = "read of the base weights, in a product with a vector"
RANK = 16
HIGH_RANK = 128
# Methods whose memory is measured, and how many adapters of each are loaded.
RESIDENT_METHODS = ("lora0", "adalora", "ia3")
LARGE_IA3 = "ia3 of an 8B Llama"
# The linears of Llama 3 8B: name, inputs, outputs.
LARGE_LAYERS = 32
LARGE_LINEARS = (
    ("self_attn.q_proj", 4096, 4096), ("self_attn.k_proj", 4096, 1024),
    ("self_attn.v_proj", 4096, 1024), ("self_attn.o_proj", 4096, 4096),
    ("mlp.gate_proj", 4096, 14336), ("mlp.up_proj", 4096, 14336),
    ("mlp.down_proj", 14336, 4096))
RESIDENT_COUNT = 20
TOUCHED_BYTES = 8 << 30
# The loads with others before them that are measured, and more than they take.
LATE_LOADS = 5
LATE_BYTES = 512 << 20


def make_files(folder, shape):
    """The base, BATCH + 1 LoRA adapters, one of a high rank, and of others."""
    import peft
    import torch
    import transformers
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**side_by_side.SHAPES[shape])
    base = transformers.AutoModelForCausalLM.from_config(config)
    base.save_pretrained(folder / "base")
    configs = {f"lora{i}": dict(r=RANK) for i in range(BATCH + 1)}
    configs["high"] = dict(r=HIGH_RANK)
    configs["dora"] = dict(r=RANK, use_dora=True)
    linears = dict(target_modules="all-linear", task_type="CAUSAL_LM")
    adapters = {
        name: peft.LoraConfig(lora_alpha=fields["r"], init_lora_weights=False,
                              **linears, **fields)
        for name, fields in configs.items()
    }
    adapters["adalora"] = peft.AdaLoraConfig(init_r=RANK, target_r=RANK,
                                             total_step=10, **linears)
    adapters["ia3"] = peft.IA3Config(
        target_modules=["k_proj", "v_proj", "down_proj"],
        feedforward_modules=["down_proj"], init_ia3_weights=False,
        task_type="CAUSAL_LM")
    for name, config in adapters.items():
        model = peft.get_peft_model(copy.deepcopy(base), config)
        model.save_pretrained(folder / name)
        del model


def large_names():
    """The linears of LARGE_LAYERS, each with its inputs and outputs."""
    return [(f"model.layers.{layer}.{linear}", inputs, outputs)
            for layer in range(LARGE_LAYERS)
            for linear, inputs, outputs in LARGE_LINEARS]


def make_large_ia3(folder):
    """IA3 as PEFT places it in a Llama, for linears of another size."""
    from safetensors.numpy import save_file
    config = json.loads((folder / "ia3" / "adapter_config.json").read_text())
    tensors = {}
    for name, inputs, outputs in large_names():
        if name.split(".")[-1] in config["target_modules"]:
            inner = name.split(".")[-1] in config["feedforward_modules"]
            tensors[f"base_model.model.{name}.ia3_l"] = np.ones(
                (1, inputs) if inner else (outputs, 1), np.float32)
    (folder / LARGE_IA3).mkdir()
    (folder / LARGE_IA3 / "adapter_config.json").write_text(json.dumps(config))
    save_file(tensors, folder / LARGE_IA3 / "adapter_model.safetensors")


class LargeLayers:
    """Layers without a model around them; those of one shape share weights."""

    def __init__(self, library, folder):
        weights = {(outputs, inputs): np.zeros((outputs, inputs), np.float16)
                   for _, inputs, outputs in LARGE_LINEARS}
        self.folder = folder
        self.model = peft_ctypes.HostModel(
            library, [dict(name=name, kind=ours.LAYER_KINDS["Linear"],
                           weight=weights[outputs, inputs])
                      for name, inputs, outputs in large_names()])

    def load(self, name, folder_name):
        self.model.load_adapter(self.folder / folder_name, name)

    def delete(self, name):
        self.model.delete_adapter([name])


class Ours:
    """The SDK, through the C ABI."""

    def __init__(self, library, folder, threads):
        self.folder = folder
        self.model = ours.Model(library, folder / "base", "logits", threads)

    def load(self, name, folder_name=None):
        self.model.load(self.folder / (folder_name or name), name)

    def delete(self, name):
        self.model.delete_adapter([name])

    def switch(self, name):
        self.model.set_adapter([name])

    def replace(self, name, folder_name):
        self.model.replace(name, self.folder / folder_name)

    def merge(self):
        self.model.merge()

    def unmerge(self):
        self.model.unmerge()

    def start(self, rows, names=None):
        self.activations = names and [self.model.activation([n]) for n in names]
        self.model.reset()
        self.model.step_rows(np.full((rows, 8), 5), self.activations)

    def step(self, rows):
        self.model.step_rows(np.full((rows, 1), 7), self.activations)

    def finish(self):
        for activation in self.activations or []:
            self.model.free_activation(activation)


class Theirs:
    """PEFT."""

    def __init__(self, folder, threads):
        import peft
        import torch
        import transformers
        from peft.utils import hotswap
        transformers.logging.set_verbosity_error()
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.peft, self.torch, self.transformers = peft, torch, transformers
        self.hotswap = hotswap.hotswap_adapter
        self.folder = folder
        self.model = None

    def load(self, name, folder_name=None):
        path = self.folder / (folder_name or name)
        if self.model is None:
            base = self.transformers.AutoModelForCausalLM.from_pretrained(
                self.folder / "base").eval()
            start = time.perf_counter()
            self.model = self.peft.PeftModel.from_pretrained(
                base, path, adapter_name=name).eval()
            self.first_load = time.perf_counter() - start
        else:
            self.model.load_adapter(path, name)
        self.model.set_adapter(name)

    def delete(self, name):
        self.model.delete_adapter(name)

    def switch(self, name):
        self.model.set_adapter(name)

    def replace(self, name, folder_name):
        self.hotswap(self.model, self.folder / folder_name, name)

    def merge(self):
        self.model.merge_adapter()

    def unmerge(self):
        self.model.unmerge_adapter()

    def start(self, rows, names=None):
        self.extra = {} if names is None else {"adapter_names": names}
        self.cache = self.transformers.DynamicCache()
        self._run(np.full((rows, 8), 5))

    def step(self, rows):
        self._run(np.full((rows, 1), 7))

    def finish(self):
        self.cache = None

    def _run(self, ids):
        self.model(input_ids=self.torch.from_numpy(ids),
                   past_key_values=self.cache, logits_to_keep=1, **self.extra)


def measure_decode(timer, sides, label, rows, names, active):
    for key, side in sides.items():
        side.switch(active)
        side.start(rows, names)
        side.step(rows)
        timer.time(label, key, lambda: side.step(rows), DECODE_STEPS)
        side.finish()


def measure_round(timer, sides, peers):
    """One round of everything that both sides can do."""
    for key, side in sides.items():
        timer.time("load one more adapter", key,
                   lambda: side.load("new", "lora8"))
        side.delete("new")
    for key, side in sides.items():
        side.switch("lora0")
        timer.time("switch", key, lambda: side.switch("lora1"))
        timer.time("switch", key, lambda: side.switch("lora0"))
    for key, side in sides.items():
        timer.time("replace", key, lambda: side.replace("lora7", "lora8"))
    for name in ("lora0", "high"):
        rank = RANK if name == "lora0" else HIGH_RANK
        for key, side in sides.items():
            side.switch(name)
            timer.time(f"merge, r={rank}", key, side.merge)
            timer.time(f"unmerge, r={rank}", key, side.unmerge)
    names = [f"lora{i}" for i in range(BATCH)]
    measure_decode(timer, sides, ONE_ADAPTER, BATCH, None, "lora0")
    measure_decode(timer, sides, EIGHT_ADAPTERS, BATCH, names, "lora0")
    measure_decode(timer, sides, "decode step, LoRA", 1, None, "lora0")
    measure_decode(timer, sides, "decode step, DoRA", 1, None, "dora")
    for peer in peers:
        peer(timer)


def machine_peers(folder, threads):
    """Copying and reading the base's weights, and the rate of its merges'
    products."""
    import torch
    weights = torch.ones((folder / "base/model.safetensors").stat().st_size // 4)
    copy_of = torch.ones_like(weights)
    columns = 1 << 12
    matrix = weights[:len(weights) // columns * columns].view(-1, columns)
    vector = torch.ones(columns)
    rows = torch.rand(1536, 1536)

    def copy_weights(timer):
        torch.set_num_threads(threads)
        timer.time("copy of the base weights over others", "machine",
                   lambda: copy_of.copy_(weights))
        timer.time("copy of the base weights to new memory", "machine",
                   weights.clone)

    def read_weights(timer):
        torch.set_num_threads(threads)
        timer.time(READ_WEIGHTS, "machine", lambda: torch.mv(matrix, vector), 3)

    def product(timer):
        torch.set_num_threads(threads)
        timer.time("1536^3 product", "machine", lambda: torch.mm(rows, rows), 3)

    return [copy_weights, read_weights, product]


def share_of_bound(timer, folder):
    """The step of eight adapters over what it may take: that of one, and the
    bytes of the others at the rate at which the base's weights are read."""
    base, adapter = ((folder / name).stat().st_size for name in (
        "base/model.safetensors", "lora1/adapter_model.safetensors"))
    others = timer.median(READ_WEIGHTS, "machine") * \
        (BATCH - 1) * adapter / base
    bound = timer.median(ONE_ADAPTER, "ours") + others
    return (f"{timer.median(EIGHT_ADAPTERS, 'ours') / bound:.3g} of {bound:.3g}"
            " ms")


def print_table(timer, extra):
    print("\n| | SDK | PEFT | ratio |\n|---|---|---|---|")
    for measure in dict.fromkeys(m for m, _ in timer.samples):
        if (measure, "machine") in timer.samples:
            print(f"| {measure} | {timer.median(measure, 'machine'):.4g} ms | "
                  "(the machine) | |")
            continue
        ours, theirs = (timer.median(measure, k) for k in ("ours", "theirs"))
        print(f"| {measure} | {ours:.4g} ms | {theirs:.4g} ms | "
              f"{theirs / ours:.3g} |")
    for label, value in extra.items():
        print(f"| {label} | {value} | | |")


def touch_memory(size):
    """Has the system back `size` bytes, and gives them back."""
    np.ones(size // 8).sum()


def resident_bytes():
    """What this process has in memory, without the files it maps."""
    with open("/proc/self/status", encoding="utf-8") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) << 10
    raise RuntimeError("no RssAnon in /proc/self/status")


def resident_size(side, folder, method):
    """Memory of an adapter and the size of its file, in bytes."""
    side.load("warm", method)
    before = resident_bytes()
    for i in range(RESIDENT_COUNT):
        side.load(f"many{i}", method)
    taken = (resident_bytes() - before) / RESIDENT_COUNT
    for name in ["warm"] + [f"many{i}" for i in range(RESIDENT_COUNT)]:
        side.delete(name)
    file = folder / method / "adapter_model.safetensors"
    return taken, file.stat().st_size


def _send_resident_size(pipe, library, folder, method):
    library = peft_ctypes.Library(library)
    side = (LargeLayers(library, folder) if method == LARGE_IA3 else
            Ours(library, folder, 1))
    pipe.send(resident_size(side, folder, method))


def resident_size_alone(library, folder, method):
    """The same in a process of its own, where nothing was freed before."""
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=_send_resident_size,
                              args=(its, library, folder, method))
    process.start()
    its.close()
    size = ours.recv()
    process.join()
    return size


def late_loads(side, resident):
    """Milliseconds of the last of `resident` loads."""
    times = []
    for i in range(resident):
        # What was touched at first went back to the host meanwhile.
        if i == resident - LATE_LOADS:
            touch_memory(LATE_BYTES)
        start = time.perf_counter()
        side.load(f"many{i}", "lora8")
        times.append(1e3 * (time.perf_counter() - start))
    for i in range(resident):
        side.delete(f"many{i}")
    return times[-LATE_LOADS:]


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--library", required=True, help="libpeft.so")
    parser.add_argument("--shape", default="135m", choices=side_by_side.SHAPES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--resident", type=int, default=100,
                        help="adapters that are loaded up to the late load")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    library = peft_ctypes.Library(os.path.abspath(arguments.library))
    timer = Timer()
    extra = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_files(folder, arguments.shape)
        touch_memory(TOUCHED_BYTES)
        sdk = Ours(library, folder, arguments.threads)
        theirs = Theirs(folder, arguments.threads)
        sides = {"ours": sdk, "theirs": theirs}
        timer.time("load the first adapter", "ours", lambda: sdk.load("lora0"))
        theirs.load("lora0")
        timer.samples["load the first adapter", "theirs"] = [
            1e3 * theirs.first_load]
        for adapter in [f"lora{i}" for i in range(1, BATCH)] + ["high", "dora"]:
            for side in sides.values():
                side.load(adapter)
        label = f"load of adapter {arguments.resident}"
        for key, side in sides.items():
            timer.samples[label, key] = late_loads(side, arguments.resident)
        make_large_ia3(folder)
        for method in (*RESIDENT_METHODS, LARGE_IA3):
            taken, file = resident_size_alone(
                os.path.abspath(arguments.library), folder, method)
            extra[f"memory of a resident adapter, {method}"] = (
                f"{taken / 1e6:.3g} MB, its file {file / 1e6:.3g} MB, "
                f"ratio {taken / file:.3g}")
        peers = machine_peers(folder, arguments.threads)
        for index in range(arguments.rounds):
            measure_round(timer, sides, peers)
            print(f"round {index + 1} of {arguments.rounds}", file=sys.stderr)
        extra[f"{EIGHT_ADAPTERS}, of its bound"] = share_of_bound(timer, folder)
    print(f"{arguments.shape} Llama shape, f32, {arguments.threads} threads, "
          f"medians of {arguments.rounds} interleaved rounds")
    print_table(timer, extra)


if __name__ == "__main__":
    main()
