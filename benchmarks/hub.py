"""Measures downloads from a Hub on loopback, beside curl and huggingface_hub.

  ./bazelw run //benchmarks:hub -- [--rounds 5] [--size 1000000000]

One large file, by HTTP and by HTTPS: ours against

    curl URL | tee FILE | sha256sum

which also stores and hashes it, from the same server; and from one that limits
each connection to 50 MB a second, as many do. A snapshot of small
files: ours, a process each time, against huggingface_hub's, which is loaded
before. Peak memory: what a download needs beyond a process of ours that does
nothing. The sides take turns; each figure is a median, and a ratio above 1
means that ours is that many times faster.
"""

import argparse
import contextlib
import hashlib
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile

from benchmarks import file_server
from benchmarks.timer import Timer
from testing.fake_hub import content, python_client
from testing.fake_hub.server import FakeHub

_TESTDATA = os.path.join(os.path.dirname(os.path.abspath(
    sys.modules[FakeHub.__module__].__file__)), "testdata")
_CA = os.path.join(_TESTDATA, "ca.pem")
_MANY = "org/many"
_LIMIT = 50_000_000  # bytes a second


def make_file(path, size):
    """Random bytes; returns their SHA-256."""
    digest = hashlib.sha256()
    draw = random.Random("benchmark")
    with open(path, "wb") as file:
        while size:
            part = draw.randbytes(min(size, 1 << 24))
            digest.update(part)
            file.write(part)
            size -= len(part)
    return digest.hexdigest()


def serve_many(pipe, count):
    """A fake Hub with a repository of small files, until the process ends."""
    with FakeHub() as hub:
        hub.add(content.Repository(_MANY)).commit({
            f"part-{i % 10}/file-{i}.json": content.text(f"many {i}", 2000 + i)
            for i in range(count)})
        pipe.send(hub.url)
        pipe.recv()


@contextlib.contextmanager
def many_files(count):
    """The URL of serve_many in a process of its own."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve_many, args=(theirs, count),
                              daemon=True)
    process.start()
    yield ours.recv()
    ours.send(None)
    process.join()


class Ours:
    """hub_driver, a process for each download, into a new cache.

    Folders of small files stay until the end: some file systems take much
    longer to make files after others were removed.
    """

    def __init__(self, driver, folder):
        self.driver = os.path.abspath(driver)
        self.folder = folder
        self.cache = None

    def run(self, url, *arguments):
        """The most memory that the driver used, in bytes."""
        self.cache = tempfile.mkdtemp(dir=self.folder)
        environment = {"HF_ENDPOINT": url, "HF_HUB_CACHE": self.cache,
                       "HF_HOME": self.cache, "SSL_CERT_FILE": _CA}
        done = subprocess.run([self.driver, *arguments, "--memory"],
                              env=environment, text=True, capture_output=True,
                              check=False)
        if arguments and done.returncode:
            raise RuntimeError(done.stdout)
        return int(done.stderr.split()[-2]) << 10

    def clear(self):
        """Removes the last download."""
        shutil.rmtree(self.cache)


def curl(url, folder, hasher):
    """Stores and hashes what `url` has."""
    path = os.path.join(folder, "curl")
    subprocess.run(
        ["bash", "-c", 'set -o pipefail; curl -sS --cacert "$1" "$2" | '
         f'tee "$3" | {hasher} >/dev/null', "-", _CA, url, path], check=True)
    return path


class _Hub:
    """What PythonClient needs to know of one."""

    def __init__(self, url):
        self.url = url


def measure_file(timer, server, ours, folder, label):
    """One round of the large file."""
    peak = []
    timer.time(f"large file, {label}", "ours", lambda: peak.append(
        ours.run(server.url, "download", "org/big", "model.bin")))
    ours.clear()
    for side, hasher in (("theirs", "sha256sum"),
                         ("openssl", "openssl dgst -sha256")):
        timer.time(f"large file, {label}", side,
                   lambda h=hasher: curl(server.file_url, folder, h))
        os.unlink(os.path.join(folder, "curl"))
    return peak[0]


def measure_many(timer, url, ours, folder):
    """One round of the snapshot."""
    peak = []
    timer.time("snapshot", "ours",
               lambda: peak.append(ours.run(url, "snapshot", _MANY)))
    python = python_client.PythonClient(_Hub(url),
                                        tempfile.mkdtemp(dir=folder))
    timer.time("snapshot", "theirs", lambda: python.snapshot(_MANY))
    return peak[0]


def print_table(timer, peaks):
    print("| | ours | peer | ratio | with openssl's SHA-256 |")
    print("|---|---|---|---|---|")
    for measure in dict.fromkeys(name for name, _ in timer.samples):
        ours, theirs = (timer.median(measure, side)
                        for side in ("ours", "theirs"))
        other = ""
        if (measure, "openssl") in timer.samples:
            other = f"{timer.median(measure, 'openssl') / ours:.2f}"
        print(f"| {measure} | {ours:.0f} ms | {theirs:.0f} ms | "
              f"{theirs / ours:.2f} | {other} |")
    for label, peak in peaks.items():
        print(f"| peak memory beyond an idle process, {label} | "
              f"{peak / 1e6:.1f} MB | | | |")


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--driver", required=True, help="hub_driver")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1_000_000_000)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--folder", help="where files are written")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    timer = Timer()
    peaks = {}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(dir=arguments.folder))
        path = os.path.join(folder, "file")
        sha256 = make_file(path, arguments.size)
        servers = {
            "http": stack.enter_context(
                file_server.FileServer(path, sha256)),
            "https": stack.enter_context(file_server.FileServer(
                path, sha256, os.path.join(_TESTDATA, "server.pem"))),
            "limited": stack.enter_context(
                file_server.FileServer(path, sha256, limit=_LIMIT))}
        many = stack.enter_context(many_files(arguments.files))
        ours = Ours(arguments.driver, folder)
        idle = ours.run(many)
        for index in range(arguments.rounds):
            for label, server in servers.items():
                peaks[label] = measure_file(timer, server, ours, folder,
                                            label) - idle
            peaks["snapshot"] = measure_many(timer, many, ours, folder) - idle
            print(f"round {index + 1} of {arguments.rounds}", file=sys.stderr)
    print(f"{arguments.size} bytes, {arguments.files} files, medians of "
          f"{arguments.rounds} interleaved rounds")
    print_table(timer, peaks)


if __name__ == "__main__":
    main()
