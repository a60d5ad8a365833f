"""Compiles the header and the core for systems that nobody builds on here.

clang checks the syntax of each source for a target, with the headers that can
be had: those of MinGW for Windows, of glibc in place of Android's, and only
clang's own for Apple's systems, where no more than the C header is compiled.
What a target lacks is written down in lacking.txt; a source that fails and is
not there fails the test, and so does one that is there and compiles.
"""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path("testing/portability")
LIBCXX = "/usr/lib/llvm-14/include/c++/v1"
# By target: where the C library's headers are.
CORE = {
    "aarch64-linux-android21": "/usr/aarch64-linux-gnu/include",
    "x86_64-w64-mingw32": "/usr/x86_64-w64-mingw32/include",
}
HEADER = ("aarch64-linux-android21", "armv7a-linux-androideabi21",
          "arm64-apple-ios15", "arm64-apple-macos12", "x86_64-apple-macos12",
          "x86_64-pc-windows-msvc", "x86_64-w64-mingw32", "wasm32-unknown")
STANDARDS = {"c": ("c99", "c17"), "c++": ("c++11", "c++17", "c++20")}


def clang(*arguments, text=None):
    """None, or what the compiler says."""
    done = subprocess.run(["clang-14", "-fsyntax-only", *arguments],
                          input=text, capture_output=True, text=True,
                          check=False)
    return None if done.returncode == 0 else done.stderr


def read_lacking():
    """(target, source) to what the target lacks."""
    lacking = {}
    for line in (HERE / "lacking.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            target, source, reason = line.split(None, 2)
            lacking[target, source] = reason
    return lacking


def compile_source(target, source, includes):
    flags = [f"--target={target}", "-std=c++17", "-w", "-nostdinc++",
             "-DPCRE2_CODE_UNIT_WIDTH=8", "-isystem", LIBCXX, "-isystem",
             CORE[target]]
    if pathlib.Path(source).name.startswith(("avx512", "amx")):
        flags += ["-mavx512f"]  # registers that assembly may name
    for folder in includes:
        flags += ["-isystem" if folder.startswith("../") else "-iquote",
                  folder]
    return clang(*flags, source)


class PortabilityTest(unittest.TestCase):

    def test_the_header_needs_nothing_of_any_system(self):
        for target in HEADER:
            for language, standards in STANDARDS.items():
                for standard in standards:
                    with self.subTest(target=target, standard=standard):
                        self.assertIsNone(clang(
                            f"--target={target}", "-ffreestanding",
                            "-nostdinc++", "-x", language, f"-std={standard}",
                            "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I.",
                            "-", text='#include "peft_c/peft_c.h"\n'))

    def test_the_core_compiles_but_for_what_is_written_down(self):
        core = json.loads((HERE / "core.json").read_text())
        jobs = [(target, source) for target in CORE
                for source in sorted(core["sources"])
                if source.endswith(".cc") and not _of_another(target, source)]
        self.assertGreater(len(jobs), 80)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            errors = dict(zip(jobs, pool.map(
                lambda job: compile_source(*job, core["includes"]), jobs)))
        lacking = read_lacking()
        for job, error in errors.items():
            with self.subTest(target=job[0], source=job[1]):
                if job in lacking:
                    self.assertIsNotNone(
                        error, "compiles: remove it from lacking.txt")
                else:
                    self.assertIsNone(error)
        self.assertEqual(set(lacking) - set(jobs), set(),
                         "lacking.txt names what is not compiled")


def _of_another(target, source):
    """Kernels of another processor."""
    name = pathlib.Path(source).name
    return ("kernels/cpu/" in source and
            (name.startswith(("avx", "amx")) and not target.startswith("x86_64") or
             name == "neon.cc" and not target.startswith("aarch64")))


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=1))
