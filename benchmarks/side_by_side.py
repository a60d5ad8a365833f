"""Measures the SDK beside transformers + PEFT, both in one interleaved run.

  ./bazelw run //benchmarks:side_by_side -- [--dtype f32] [--rounds 5]

Makes a Llama of 135M parameters (SmolLM's shape, random weights) and two LoRA
adapters (r=16 on all seven linears), then times both sides in turns, so that a
noisy machine disturbs both alike. Each figure is a median; a ratio above 1
means that the SDK is that many times faster (or smaller).
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
PREFILL_TOKENS = 256
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

    def __init__(self, folder, threads, library):
        from testing import peft_ctypes
        self.folder, self.threads = folder, threads
        self.module = peft_ctypes
        self.library = peft_ctypes.Library(library)
        self.model = None

    def load_base(self):
        if self.model is not None:
            self.model.close()
        self.model = self.module.Model(self.library, self.folder / "base",
                                       self.threads)

    def load_adapter(self, name):
        self.model.load_adapter(self.folder / name, name)

    def switch(self, name):
        self.model.set_adapter([name] if name else [])

    def prefill(self, ids):
        self.model.reset()
        self.model.step(ids)

    def decode(self, token):
        self.model.step(np.array([[token]]))


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
        self.model(input_ids=self.torch.from_numpy(ids),
                   past_key_values=self.cache, logits_to_keep=1)

    def decode(self, token):
        self.model(input_ids=self.torch.tensor([[token]]),
                   past_key_values=self.cache, logits_to_keep=1)


class Timer:
    """Milliseconds by (measure, side)."""

    def __init__(self):
        self.samples = {}

    def time(self, measure, side, function, repeat=1):
        start = time.perf_counter()
        for _ in range(repeat):
            function()
        elapsed = (time.perf_counter() - start) / repeat
        self.samples.setdefault((measure, side), []).append(1e3 * elapsed)

    def median(self, measure, side):
        return statistics.median(self.samples[measure, side])


def measure(sides, rounds):
    """All timings, the sides taking turns within each round."""
    timer = Timer()
    ids = np.random.default_rng(0).integers(3, 500, (1, PREFILL_TOKENS))
    for round_index in range(rounds):
        for name, side in sides.items():
            timer.time("base load", name, side.load_base)
            timer.time("adapter load", name, lambda: side.load_adapter("first"))
            side.load_adapter("second")
            # The first run pays for page faults and caches: warm both.
            side.prefill(ids)
        for name, side in sides.items():
            timer.time("switch", name, lambda: side.switch("first"))
            timer.time("switch", name, lambda: side.switch("second"))
        for adapter, label in ((None, "base"), ("first", "adapter")):
            for name, side in sides.items():
                side.switch(adapter)
                timer.time(f"prefill {PREFILL_TOKENS}, {label}", name,
                           lambda: side.prefill(ids))
                timer.time(f"decode step, {label}", name,
                           lambda: side.decode(7), DECODE_TOKENS)
        print(f"round {round_index + 1} of {rounds}", file=sys.stderr)
    return timer


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


def best(timer, measure_name, sides, kind):
    """The fastest thread count of one side."""
    return min(timer.median(measure_name, n) for n, s in sides.items()
               if isinstance(s, kind))


def print_row(label, ours, theirs, unit):
    print(f"| {label} | {ours:.3g} {unit} | {theirs:.3g} {unit} | "
          f"{theirs / ours:.2f} |")


def print_table(timer, processes, sides, arguments):
    print(f"\n{arguments.shape} Llama shape, {arguments.dtype}, medians of "
          f"{arguments.rounds} interleaved rounds, each side at its best of "
          f"{arguments.threads} threads\n")
    print("| | SDK | transformers + PEFT | ratio |\n|---|---|---|---|")
    for name in dict.fromkeys(m for m, _ in timer.samples):
        print_row(name, best(timer, name, sides, Sdk),
                  best(timer, name, sides, Peft), "ms")
    labels = [("process start to libraries loaded", "ms"),
              ("process start to first token", "ms"), ("peak memory", "MiB")]
    for i, (label, unit) in enumerate(labels):
        ours, theirs = (min(processes[n][i] for n, s in sides.items()
                            if isinstance(s, kind)) for kind in (Sdk, Peft))
        print_row(label, ours, theirs, unit)
    print("\nPython and numpy are part of the SDK's process figures: it is "
          "called through ctypes.")


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--library", required=True, help="libpeft.so")
    parser.add_argument("--shape", default="135m", choices=SHAPES)
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default=f"1,{os.cpu_count()}",
                        help="thread counts to try on both sides")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    arguments.library = os.path.abspath(arguments.library)
    counts = sorted({int(t) for t in arguments.threads.split(",")})
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_files(folder, arguments.shape, arguments.dtype)
        sides = {f"{kind.__name__} {count}": kind(folder, count,
                                                  arguments.library)
                 for count in counts for kind in (Sdk, Peft)}
        timer = measure(sides, arguments.rounds)
        processes = measure_processes(sides, arguments, folder)
    print_table(timer, processes, sides, arguments)


if __name__ == "__main__":
    main()
