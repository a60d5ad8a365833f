"""The rules that every BUILD file of the project uses."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")
load("//testing:aarch64_test.bzl", "aarch64_test")
load("//testing:sanitized_test.bzl", "sanitized_test")

# Packages, and libraries of others, without a loop that anybody waits for:
# libpeft.so is to be small.
_COMPILED_FOR_SIZE = [
    "hub",
    "kernels/cuda",
    "kernels/cuda/lt",
    "kernels/cuda/sites",
    "peft_c",
    "peft_cc/adapters:combine",
    "peft_cc/adapters:combined_config",
    "peft_cc/adapters:convert_init",
    "peft_cc/adapters:fresh",
    "peft_cc/adapters:fresh_config",
    "peft_cc/adapters:fresh_layers",
    "peft_cc/adapters:inspect",
    "peft_cc/adapters:inspect_json",
    "peft_cc/adapters:renamed_config",
    "peft_cc/adapters:save",
    "peft_cc/adapters:saved_modules",
    "peft_cc/adapters:trained_tokens",
    "peft_cc/algebra:lora_init",
    "peft_cc/algebra:mutated_init",
    "peft_cc/algebra:weight_init",
    "peft_cc/config",
    "peft_cc/cuda",
    "peft_cc/models:bert_description",
    "peft_cc/models:config_fields",
    "peft_cc/models:description_builder",
    "peft_cc/models:host_layers",
    "peft_cc/models:layer_replication",
    "peft_cc/models:model_family",
    "peft_cc/models:model_folder",
    "peft_cc/models:model_source",
    "peft_cc/models:rope_config",
]

# Of a fake that is a library: with a C++ library of its own, a test that makes
# allocations fail does not reach those of the device.
OWN_CXX_LIBRARY = [
    "-l:libstdc++.a",
    "-Wl,-Bsymbolic",
    "-Wl,--exclude-libs,ALL",
]

def peft_cc_library(name, copts = [], **kwargs):
    """A cc_library; here so that options for all of them have one place.

    Args:
      name: the library's name.
      copts: options of the compiler.
      **kwargs: cc_library's other attributes.
    """
    package = native.package_name()
    if package in _COMPILED_FOR_SIZE or package + ":" + name in _COMPILED_FOR_SIZE:
        copts = copts + select({
            "//peft_cc/base:optimized": ["-Os"],
            "//conditions:default": [],
        })

    # Shared libraries are made of the objects; nobody links a single one's.
    cc_library(name = name, copts = copts, linkstatic = True, **kwargs)

def peft_cc_binary(name, **kwargs):
    """A cc_binary; here so that options for all of them have one place."""
    cc_binary(name = name, **kwargs)

def _of_twin(kwargs, tag):
    """The attributes that a test's twin of another configuration shares."""
    return dict(
        args = kwargs.get("args", []),
        data = kwargs.get("data", []),
        env = kwargs.get("env", {}),
        shard_count = kwargs.get("shard_count"),
        tags = kwargs.get("tags", []) + [tag],
    )

def _sanitized(name, binary, sanitizer, kwargs):
    """Declares `name`, which runs `binary` as it is built with `sanitizer`."""
    sanitized_test(
        name = name,
        binary = binary,
        sanitizer = sanitizer,
        size = kwargs.get("size", "small"),
        **_of_twin(kwargs, sanitizer)
    )

def peft_cc_test(
        name,
        deps = [],
        aarch64 = False,
        sanitize = False,
        sanitize_threads = False,
        **kwargs):
    """A googletest test.

    Args:
      name: the test's name.
      deps: its dependencies; googletest and its main function are added.
      aarch64: also runs the test built for 64-bit Arm, in qemu, as
        `<name>_aarch64`. For kernels, file formats and the C ABI.
      sanitize: also runs the test with the address and undefined behaviour
        sanitizers, as `<name>_asan`. For parsers and the C ABI.
      sanitize_threads: also runs it with the thread sanitizer, `<name>_tsan`.
      **kwargs: cc_test's other attributes. The size is small (a minute) where
        none is given.
    """
    kwargs.setdefault("size", "small")
    cc_test(
        name = name,
        # One file instead of a hundred shared libraries, most of them
        # abseil's, that the sandbox and the dynamic linker would go through.
        linkstatic = True,
        deps = deps + [
            "//testing:sanitizer_options",
            "@com_google_googletest//:gtest_main",
        ],
        **kwargs
    )
    if aarch64:
        aarch64_test(
            name = name + "_aarch64",
            binary = name,
            # qemu is some ten times slower.
            size = "medium",
            **_of_twin(kwargs, "aarch64")
        )
    if sanitize:
        _sanitized(name + "_asan", name, "asan", kwargs)
    if sanitize_threads:
        _sanitized(name + "_tsan", name, "tsan", kwargs)

def peft_cc_fuzz_test(name, srcs, corpus = [], deps = [], **kwargs):
    """A fuzz target: srcs define LLVMFuzzerTestOneInput.

    `<name>` replays the corpus and some thousand seeded mutations of it under
    the address and undefined behaviour sanitizers, for about five seconds. For
    a real search there is libFuzzer:

        ./bazelw run --config=fuzz //folder:<name>_binary -- CORPUS_FOLDER

    Args:
      name: the test's name, by convention `x_fuzz_test` for `x_fuzz.cc`.
      srcs: the sources of the fuzz target.
      corpus: files to start from.
      deps: the sources' dependencies.
      **kwargs: attributes of the test: size, tags, env.
    """
    cc_binary(
        name = name + "_binary",
        testonly = True,
        srcs = srcs,
        data = corpus,
        linkopts = select({
            "//testing:libfuzzer": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        linkstatic = True,
        tags = ["manual"],
        deps = deps + select({
            "//testing:libfuzzer": [],
            "//conditions:default": ["//testing:fuzz_driver"],
        }),
    )
    _sanitized(name, name + "_binary", "asan", dict(
        kwargs,
        args = ["$(rootpaths %s)" % file for file in corpus],
        data = corpus,
    ))

def _oracle(kwargs):
    """Adds to a Python rule's attributes what the oracle's users need."""
    kwargs["data"] = kwargs.get("data", []) + ["@python_oracle//:versions"]
    kwargs["python_version"] = "PY3"
    kwargs["target_compatible_with"] = ["@python_oracle//:available"]
    return kwargs

def oracle_py_binary(name, **kwargs):
    """A py_binary that runs with Python PEFT, transformers, torch and numpy.

    Args:
      name: the program's name.
      **kwargs: py_binary's attributes.
    """
    native.py_binary(name = name, **_oracle(kwargs))

def oracle_py_test(name, env = {}, **kwargs):
    """A py_test that runs with Python PEFT, transformers, torch and numpy.

    Skipped, with a reason on the terminal, where these could not be fetched.

    Args:
      name: the test's name.
      env: environment variables.
      **kwargs: py_test's other attributes.
    """
    native.py_test(
        name = name,
        # The oracle never asks the Hub: models are made or lie in the tree.
        env = dict({"HF_HUB_OFFLINE": "1"}, **env),
        **_oracle(kwargs)
    )
