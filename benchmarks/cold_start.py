"""Sizes and cold start of libpeft.so, beside libraries of the same trade.

  ./bazelw run //benchmarks:cold_start -- [--rounds 20] [--no-peers]

The size is that of the library without symbols. The cold start is a process of
its own each time: dlopen, a model of one layer (1024 x 1024), a LoRA adapter of
rank 16 from memory, the first adapted linear. Peers come from PyPI when this
runs: onnxruntime, and llama.cpp as xllamacpp has it (llama-cpp-python, the
better known one, has no binaries there). Of them the size and dlopen are
measured, in a Python process of its own each, as is dlopen of ours.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import zipfile

# Package, and the library in its wheel.
PEERS = (("onnxruntime", "onnxruntime/capi/libonnxruntime.so*"),
         ("xllamacpp", "xllamacpp/*.so"))

DLOPEN = """
import ctypes, re, sys, time
def rss():
    with open("/proc/self/status") as file:
        return int(re.search(r"VmRSS:\\s+(\\d+)", file.read())[1])
before, start = rss(), time.perf_counter()
ctypes.CDLL(sys.argv[1])
print((time.perf_counter() - start) * 1e3, rss() - before)
"""


def stripped_size(library, folder):
    copy = folder / "stripped"
    subprocess.run(["strip", "--strip-unneeded", "-o", copy, library],
                   check=True)
    return copy.stat().st_size


def dlopen(library, rounds):
    """The medians of milliseconds and kilobytes of memory."""
    runs = [subprocess.run([sys.executable, "-c", DLOPEN, library], check=True,
                           capture_output=True, encoding="utf-8").stdout.split()
            for _ in range(rounds)]
    return [statistics.median(float(run[i]) for run in runs) for i in (0, 1)]


def fetch(package, pattern, folder):
    """The library of a wheel from PyPI; None, with a line, without network."""
    result = subprocess.run(
        ["python3", "-m", "pip", "download", "--quiet", "--no-deps",
         "--only-binary", ":all:", "--disable-pip-version-check",
         "--dest", folder, package], capture_output=True, encoding="utf-8")
    wheels = list(folder.glob(f"{package}-*.whl"))
    if result.returncode != 0 or not wheels:
        lines = (result.stderr or result.stdout).strip().splitlines()
        print(f"{package} is left out: pip could not fetch it"
              f" ({lines[-1] if lines else 'no reason given'})")
        return None
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = [name for name in wheel.namelist()
                 if pathlib.PurePath(name).match(pattern)]
        # The largest is what does the work.
        name = max(names, key=lambda n: wheel.getinfo(n).file_size)
        return pathlib.Path(wheel.extract(name, folder / package))


def print_cold_start(program, library, rounds):
    runs = [json.loads(subprocess.run([program, library], check=True,
                                      capture_output=True).stdout)
            for _ in range(rounds)]
    median = {key: statistics.median(run[key] for run in runs)
              for key in runs[0]}
    print(f"from dlopen to the first adapted linear: "
          f"{median['total_ms']:.2f} ms, of which dlopen "
          f"{median['dlopen_ms']:.2f}, model {median['model_ms']:.2f}, adapter "
          f"{median['adapter_ms']:.2f}, first run {median['first_ms']:.2f} "
          f"(second {median['second_ms']:.2f})")
    print(f"memory: {median['dlopen_rss_kb'] / 1024:.1f} MiB after dlopen, "
          f"{median['rss_kb'] / 1024:.1f} MiB in the end")
    print(f"threads after dlopen: {median['threads']:.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--no-peers", action="store_true")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        size = stripped_size(flags.library, folder)
        print_cold_start(flags.program, flags.library, flags.rounds)
        rows = [("libpeft.so", size, *dlopen(flags.library, flags.rounds))]
        for package, pattern in () if flags.no_peers else PEERS:
            library = fetch(package, pattern, folder)
            if library is not None:
                rows.append((f"{package}: {library.name}",
                             stripped_size(library, folder),
                             *dlopen(library, flags.rounds)))
    print("\n| library | MB | dlopen, ms | memory, MiB |\n|---|---|---|---|")
    for name, size, milliseconds, kilobytes in rows:
        print(f"| {name} | {size / 1e6:.2f} | {milliseconds:.2f} | "
              f"{kilobytes / 1024:.1f} |")


if __name__ == "__main__":
    main()
