"""Measures the SDK beside its peers, all in one interleaved run.

  ./bazelw run //benchmarks:side_by_side -- [--dtype f32] [--rounds 5]
      [--peers peft,llama.cpp] [--threads 1,2] [--contention] [--rounded]

Makes a Llama of 135M parameters (SmolLM's shape, random weights) and two LoRA
adapters (r=16 on all seven linears), then times the sides in turns, so that a
noisy machine disturbs all alike: a table for each number of threads. Each
figure is a median; a ratio above 1 means that the SDK is that many times faster
(or smaller). With --contention a process of its own keeps one core busy during
another set of decode steps.

With --rounded another column has the SDK with its session option
`round_activations`: products with bf16 weights round their inputs to bf16, as
torch and llama.cpp do for such weights, where the SDK keeps them in f32
otherwise. A peer then has a second ratio, to that column. It needs --dtype bf16.

Peers are transformers + PEFT, and llama.cpp, with files converted before
anything is measured; llama.cpp is built from source the first time.
"""

import argparse
import copy
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np

from benchmarks import llama_cpp_peer
from benchmarks.timer import Timer

SHAPES = {
    "135m": dict(vocab_size=49152, hidden_size=576, intermediate_size=1536,
                 num_hidden_layers=30, num_attention_heads=9,
                 num_key_value_heads=3, max_position_embeddings=2048,
                 tie_word_embeddings=True),
    "tiny": dict(vocab_size=512, hidden_size=64, intermediate_size=160,
                 num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=2, max_position_embeddings=2048,
                 tie_word_embeddings=True),
}
PREFILL_TOKENS = (256, 1024)
DECODE_TOKENS = 16


def make_files(folder, shape, dtype):
    """The base model and two adapters, saved by transformers and PEFT."""
    import peft
    import torch
    import transformers
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**SHAPES[shape])
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.to(torch.bfloat16 if dtype == "bf16" else torch.float32)
    model.save_pretrained(folder / "base")
    lora = peft.LoraConfig(r=16, lora_alpha=32, target_modules="all-linear",
                           task_type="CAUSAL_LM", init_lora_weights=False)
    wrapped = peft.get_peft_model(model, copy.deepcopy(lora), "first",
                                  autocast_adapter_dtype=False)
    wrapped.add_adapter("second", lora, autocast_adapter_dtype=False)
    wrapped.save_pretrained(folder)


class Sdk:
    """Our side, through the C ABI."""

    round_activations = False

    def __init__(self, folder, threads, library):
        from testing import peft_ctypes
        self.folder, self.threads = folder, threads
        self.module = peft_ctypes
        self.library = peft_ctypes.Library(library)
        self.model = None

    def load_base(self):
        if self.model is not None:
            self.model.close()
        self.model = self.module.Model(
            self.library, self.folder / "base", self.threads,
            round_activations=self.round_activations)

    def load_adapter(self, name):
        self.model.load_adapter(self.folder / name, name)

    def switch(self, name):
        self.model.set_adapter([name] if name else [])

    def prefill(self, ids):
        self.model.reset()
        self.last = self.model.step(ids)

    def decode(self, token):
        self.model.step(np.array([[token]]))

    def logits(self, count):
        return self.module.view_to_numpy(self.last).reshape(-1)[-count:]


class RoundedSdk(Sdk):
    """Our side with the inputs of bf16 products in bf16, as peers have them."""

    round_activations = True


class Peft:
    """transformers + PEFT."""

    def __init__(self, folder, threads, library):
        import peft
        import torch
        import transformers
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        warnings.simplefilter("ignore")
        torch.set_grad_enabled(False)
        self.peft, self.torch = peft, torch
        self.transformers = transformers
        self.folder, self.threads = folder, threads

    def load_base(self):
        self.torch.set_num_threads(self.threads)
        self.base = self.transformers.AutoModelForCausalLM.from_pretrained(
            self.folder / "base", dtype="auto").eval()
        self.model = self.base

    def load_adapter(self, name):
        if self.model is self.base:
            self.model = self.peft.PeftModel.from_pretrained(
                self.base, self.folder / name, adapter_name=name)
        else:
            self.model.load_adapter(self.folder / name, name)
        self.model.set_adapter(name)
        self.model.eval()

    def switch(self, name):
        if name:
            self.model.base_model.enable_adapter_layers()
            self.model.set_adapter(name)
        else:
            self.model.base_model.disable_adapter_layers()

    def prefill(self, ids):
        self.torch.set_num_threads(self.threads)
        self.cache = self.transformers.DynamicCache()
        self.last = self.model(input_ids=self.torch.from_numpy(ids),
                               past_key_values=self.cache,
                               logits_to_keep=1).logits

    def decode(self, token):
        self.torch.set_num_threads(self.threads)
        self.model(input_ids=self.torch.tensor([[token]]),
                   past_key_values=self.cache, logits_to_keep=1)

    def logits(self, count):
        return self.last.float().numpy().reshape(-1)[-count:]


class LlamaCpp(llama_cpp_peer.LlamaCpp):
    """llama.cpp, from files in its own format."""

    def __init__(self, folder, threads, library):
        super().__init__(folder, threads, ("first", "second"))
        self.threads = threads


PEERS = {"peft": Peft, "llama.cpp": LlamaCpp}


def measure_decode(timer, sides, label):
    for name, side in sides.items():
        timer.time(f"decode step, {label}", name, lambda: side.decode(7),
                   DECODE_TOKENS)


def measure_forward(timer, sides, prompts):
    """Prefill and decode, without and with an adapter."""
    for adapter, label in ((None, "base"), ("first", "adapter")):
        for side in sides.values():
            side.switch(adapter)
        for ids in reversed(prompts):  # so that decoding follows the first
            for name, side in sides.items():
                timer.time(f"prefill {ids.shape[1]}, {label}", name,
                           lambda: side.prefill(ids))
        measure_decode(timer, sides, label)


class BusyCore:
    """A process that takes one core for itself, as far as it can."""

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", "import os\nos.sched_setaffinity("
             "0, {min(os.sched_getaffinity(0))})\nwhile True: pass"])
        time.sleep(0.2)

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()


def measure(sides, arguments):
    """All timings, the sides taking turns within each round."""
    timer = Timer()
    random = np.random.default_rng(0)
    prompts = [random.integers(3, 500, (1, n)) for n in PREFILL_TOKENS]
    for round_index in range(arguments.rounds):
        for name, side in sides.items():
            timer.time("base load", name, side.load_base)
            timer.time("adapter load", name, lambda: side.load_adapter("first"))
            side.load_adapter("second")
            # The first run pays for page faults and caches: warm all.
            side.prefill(prompts[0])
        for name, side in sides.items():
            timer.time("switch", name, lambda: side.switch("first"))
            timer.time("switch", name, lambda: side.switch("second"))
        measure_forward(timer, sides, prompts)
        if arguments.contention:
            with BusyCore():
                measure_decode(timer, sides, "adapter, one core taken")
        print(f"round {round_index + 1} of {arguments.rounds}", file=sys.stderr)
    return timer


def print_agreement(sides, shape):
    """Shows that all compute the same, by the logits of one prompt."""
    ids = np.arange(5, 29)[None]
    count = SHAPES[shape]["vocab_size"]
    logits = {}
    for name, side in sides.items():
        side.switch("first")
        side.prefill(ids)
        logits[name] = np.asarray(side.logits(count), np.float64)
    first = next(iter(logits))
    for name, values in logits.items():
        error = np.abs(values - logits[first]).max() / np.abs(
            logits[first]).max()
        print(f"logits of {name}: {error:.1e} from those of {first}",
              file=sys.stderr)


CHILD = """
import json, sys, time
start = time.perf_counter()
sys.path[:0] = json.loads(sys.argv[5])
import pathlib
import numpy as np
from benchmarks import side_by_side
side = getattr(side_by_side, sys.argv[1])(
    pathlib.Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
ready = time.perf_counter() - start
side.load_base()
side.load_adapter("first")
side.prefill(np.full((1, 8), 5))
first = time.perf_counter() - start
status = open("/proc/self/status").read()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps([1e3 * ready, 1e3 * first, peak]))
"""


def measure_processes(sides, arguments, folder, rounds=3):
    """Cold start and peak memory, in processes of their own."""
    results = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            output = subprocess.run(
                [sys.executable, "-c", CHILD, type(side).__name__,
                 str(folder), str(side.threads), arguments.library,
                 json.dumps(sys.path)],
                check=True, capture_output=True, text=True).stdout
            results[name].append(json.loads(output))
    return {name: [statistics.median(column) for column in zip(*rows)]
            for name, rows in results.items()}


def print_row(label, ours, theirs, unit):
    """One line; a peer's ratios are to each of ours. None: not measured."""
    cells = [f"{value:.3g} {unit}" for value in ours]
    for value in theirs:
        ratios = [] if value is None else [f"{value / our:.2f}" for our in ours]
        cells += ["" if value is None else f"{value:.3g} {unit}",
                  ", ".join(ratios)]
    print("| " + " | ".join([label, *cells]) + " |")


def print_table(timer, processes, ours, peers, count, title):
    """One number of threads; `ours` and `peers` are kinds of sides."""
    print(f"\n{title}\n")
    header = ["", *ours]
    for peer in peers:
        header += [peer, "ratio"]
    print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")

    def row(label, value_of, unit):
        print_row(label, *([value_of(f"{kind}, {count}") for kind in kinds]
                           for kinds in (ours, peers)), unit)

    for label in dict.fromkeys(m for m, _ in timer.samples):
        row(label, lambda name: timer.median(label, name), "ms")
    rows = [("process start to libraries loaded", "ms"),
            ("process start to first token", "ms"), ("peak memory", "MiB")]
    for i, (label, unit) in enumerate(rows):
        row(label, lambda name: processes.get(name, [None] * 3)[i], unit)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--library", required=True, help="libpeft.so")
    parser.add_argument("--shape", default="135m", choices=SHAPES)
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default=f"1,{os.cpu_count()}",
                        help="thread counts, of all sides")
    parser.add_argument("--peers", default="peft,llama.cpp",
                        help="of peft and llama.cpp")
    parser.add_argument("--rounded", action="store_true",
                        help="the SDK also with activations rounded to bf16")
    parser.add_argument("--contention", action="store_true",
                        help="decode also while another process takes a core")
    arguments = parser.parse_args()
    arguments.peers = [peer for peer in arguments.peers.split(",") if peer]
    if not set(arguments.peers) <= set(PEERS):
        parser.error(f"--peers: expected some of {', '.join(PEERS)}")
    if arguments.rounded and arguments.dtype != "bf16":
        parser.error("--rounded: expected --dtype bf16, as only products with "
                     "bf16 weights round")
    return arguments


def main():
    arguments = parse_arguments()
    arguments.library = os.path.abspath(arguments.library)
    counts = sorted({int(t) for t in arguments.threads.split(",")})
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_files(folder, arguments.shape, arguments.dtype)
        ours = {"SDK": Sdk} | ({"SDK, rounded": RoundedSdk}
                               if arguments.rounded else {})
        kinds = ours | {peer: PEERS[peer] for peer in arguments.peers}
        sides = {f"{label}, {count}": kind(folder, count, arguments.library)
                 for count in counts for label, kind in kinds.items()}
        timer = measure(sides, arguments)
        print_agreement(sides, arguments.shape)
        # llama.cpp's start is mostly that of the Python around it.
        processes = measure_processes(
            {name: side for name, side in sides.items()
             if not isinstance(side, LlamaCpp)}, arguments, folder)
    for count in counts:
        print_table(timer, processes, ours, arguments.peers, count,
                    f"{arguments.shape} Llama shape, {arguments.dtype}, "
                    f"{count} threads, medians of {arguments.rounds} "
                    "interleaved rounds")
    print("\nPython and numpy are part of the SDK's process figures: it is "
          "called through ctypes.")


if __name__ == "__main__":
    main()
