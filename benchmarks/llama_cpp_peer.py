"""llama.cpp as a side of side_by_side.py.

Its package is built from source, for the processor at hand, into a virtual
environment below the user's cache folder the first time: that takes a quarter
of an hour, a compiler and CMake.
"""

import json
import os
import pathlib
import subprocess
import sys

VERSIONS = ("llama-cpp-python==0.3.36", "gguf", "numpy")


def _cache():
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(root) / "peft-benchmarks" / "llama_cpp"


def python():
    """The Python that has llama_cpp, made where it is missing."""
    folder = _cache()
    program = folder / "bin" / "python"
    done = folder / "installed"
    if not done.exists() or done.read_text().split() != list(VERSIONS):
        print(f"building {VERSIONS[0]} into {folder}: some 15 minutes",
              file=sys.stderr)
        subprocess.run(["python3", "-m", "venv", "--clear", folder],
                       check=True)
        subprocess.run([program, "-m", "pip", "install", "-q", *VERSIONS],
                       check=True)
        done.write_text("\n".join(VERSIONS))
    return program


def _environment():
    """Without the modules of the Python that this runs in."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}


class LlamaCpp:
    """llama.cpp in a worker process; a call costs some 0.05 ms on top."""

    def __init__(self, folder, threads, adapters):
        worker = pathlib.Path(__file__).with_name("llama_cpp_worker.py")
        self.process = subprocess.Popen(
            [python(), worker, str(folder), str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=_environment())
        self._call("convert", adapters=list(adapters))

    def _call(self, verb, **arguments):
        self.process.stdin.write(json.dumps({"do": verb, **arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"llama.cpp ended during {verb}")
        return json.loads(line)

    def load_base(self):
        self._call("load_base")

    def load_adapter(self, name):
        self._call("load_adapter", name=name)

    def switch(self, name):
        self._call("switch", name=name)

    def prefill(self, ids):
        self._call("prefill", ids=ids[0].tolist())

    def decode(self, token):
        self._call("decode", token=token)

    def logits(self, count):
        """Of the last token."""
        return self._call("logits", count=count)["logits"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
