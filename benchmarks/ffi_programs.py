"""Builds the programs that benchmarks/ffi.py runs, each with its own
language's tools, in a folder of its own."""

import os
import pathlib
import shutil
import subprocess


def _run(command, folder, **environment):
    """Runs a build without a network; its output goes to stderr."""
    subprocess.run(command, cwd=folder, check=True, stdout=2,
                   env={**os.environ, **environment})


def _copy(name, build):
    """The sources of a binding, where the tools may write beside them."""
    shutil.copytree(pathlib.Path("bindings", name), build / name)
    return build / name


def _link_flags(library):
    return f"-L{library} -Wl,-rpath,{library}"


def rust(library, build):
    _run(["cargo", "build", "--quiet", "--offline", "--release",
          "--package=peft", "--example=ffi_overhead"], _copy("rust", build),
         CARGO_HOME=str(build / "home"), CARGO_TARGET_DIR=str(build / "target"),
         PEFT_LIB_DIR=str(library))
    return build / "target/release/examples/ffi_overhead"


def go(library, build):
    program = build / "ffi_overhead"
    _run(["go", "build", "-o", str(program), "./benchmarks/ffi_overhead"],
         _copy("go", build), HOME=str(build), GOCACHE=str(build / "cache"),
         GOPATH=str(build / "path"), GOFLAGS="-mod=mod", GOPROXY="off",
         GOTOOLCHAIN="local", CGO_CFLAGS=f"-O2 -I{os.getcwd()}",
         CGO_LDFLAGS=_link_flags(library))
    return program


def swift(library, build):
    sources = _copy("swift", build)
    _run(["swift", "build", "--configuration=release", "--disable-sandbox",
          f"--scratch-path={build}/products", "--product=FfiOverhead",
          "-Xcc", f"-I{os.getcwd()}"], sources / "Benchmarks",
         HOME=str(build), PEFT_LIB_DIR=str(library))
    return build / "products/release/FfiOverhead"


# By language: the tools that must be in PATH, and what builds the program from
# the folder of libpeft.so and an empty one.
BUILDERS = {
    "Rust": (["cargo", "rustc"], rust),
    "Go": (["go", "gcc"], go),
    "Swift": (["swift"], swift),
}
