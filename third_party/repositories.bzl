"""Third-party code that every build needs, from the system's packages."""

load("//third_party:aarch64.bzl", "aarch64")
load("//third_party:licences.bzl", "system_licences")
load("//third_party:own_folder.bzl", "own_folder")
load("//third_party:source_package.bzl", "source_package")
load("//third_party:system_folder.bzl", "system_folder")
load("//third_party/python:cuda.bzl", "cuda")
load("//third_party/python:libtorch.bzl", "libtorch")
load("//third_party/python:python_oracle.bzl", "python_oracle")

def peft_repositories():
    """Declares the repositories; nothing is fetched before it is used.

    Also for the WORKSPACE of a program that depends on @peft//peft_c
    (tools/dist/outside_workspace.sh).
    """
    own_folder(
        name = "rules_cc",
        workspace_file = Label("//third_party/rules_cc:WORKSPACE"),
    )
    aarch64(name = "aarch64")
    own_folder(
        name = "remote_coverage_tools",
        workspace_file = Label("//third_party/remote_coverage_tools:WORKSPACE"),
    )
    native.local_repository(
        name = "bazel_skylib",
        path = "/usr/share/bazel/tools/skylib",
    )

    # abseil is built from source: Debian's static libraries are not position
    # independent, and its string_view is not std::string_view.
    source_package(
        name = "com_google_absl",
        package = "abseil",
        upstream_version = "20220623.1",
        sha256 = "abfe2897f3a30edaa74bc34365afe3c2a3cd012091a97dc7e008f7016adcd5fe",
        strip_prefix = "abseil-20220623.1",
        licence = "LICENSE",
        replacements = {
            # The packaged @platforms does not know WebAssembly.
            "absl/BUILD.bazel": {
                "@platforms//cpu:wasm32": "@platforms//cpu:x86_32",
                "@platforms//cpu:wasm64": "@platforms//cpu:s390x",
            },
            # Each file that includes <iostream> has a global constructor, and
            # all of them together link the C++ library's locales, 0.4 MB.
            "absl/status/status.cc": {
                "#include <errno.h>": "#include <errno.h>\n#include <ostream>",
            },
            "absl/status/status.h": {
                "#include <iostream>": "#include <iosfwd>",
            },
            "absl/strings/cord.cc": {
                "#include <iostream>": "#include <ostream>",
            },
            "absl/strings/internal/charconv_bigint.h": {
                "#include <iostream>": "#include <ostream>",
            },
            "absl/strings/internal/cord_rep_btree.cc": {
                "#include <iostream>": "#include <ostream>",
            },
            "absl/strings/internal/cord_rep_btree_navigator.h": {
                "#include <iostream>": "#include <ostream>",
            },
            "absl/strings/internal/cord_rep_ring.cc": {
                "#include <iostream>": "#include <ostream>",
            },
        },
    )

    # PCRE2 runs the regular expressions of target_modules. It is built from
    # source so that it can be linked statically and hidden in libpeft.so.
    source_package(
        name = "pcre2",
        package = "pcre2",
        upstream_version = "10.42",
        sha256 = "c33b418e3b936ee3153de2c61cc638e7e4fe3156022a5c77d0711bcbb9d64f1f",
        strip_prefix = "pcre2-10.42",
        licence = "LICENCE",
        build_file = Label("//third_party:pcre2.BUILD"),
    )

    # The Hub's TLS. Built from source, static and hidden in libpeft.so: a
    # program that links OpenSSL itself has functions of the same names.
    source_package(
        name = "boringssl",
        package = "android-platform-external-boringssl",
        upstream_version = "13.0.0+r24",
        archive_type = "tar.xz",
        sha256 = "583b7aeee1fca68b8244d086cea6fca23bd19d517bd63f0b9de714e048f92a7d",
        strip_prefix = "android-platform-external-boringssl-13.0.0+r24",
        licence = "src/LICENSE",
        # Another compiler's warnings are not ours to heed.
        replacements = {"BUILD": {
            '    "-Werror",\n': '    "-w",\n    "-fvisibility=hidden",\n' +
                               # 0.4 MB less. What downloads spend their time
                               # with, ciphers and hashes, stays in assembly.
                               '    "-Os",\n    "-DOPENSSL_SMALL",\n',
        }},
    )

    # Built from the source that the package installs, so that the framework
    # has the flags, and the sanitizers, of the tests that link it.
    system_folder(
        name = "com_google_googletest",
        folders = {
            "googlemock": "/usr/src/googletest/googlemock",
            "googletest": "/usr/src/googletest/googletest",
        },
        package = "googletest",
        build_file = Label("//third_party:googletest.BUILD"),
    )
    system_folder(
        name = "com_github_google_benchmark",
        folders = {"benchmark": "/usr/include/benchmark"},
        package = "libbenchmark-dev",
        build_file = Label("//third_party:benchmark.BUILD"),
    )
    system_folder(
        name = "nlohmann_json",
        folders = {"nlohmann": "/usr/include/nlohmann"},
        package = "nlohmann-json3-dev",
        # A value's destructor allocates, so that it needs no recursion: out of
        # memory it ends the process. Ours recurses, over a depth that
        # peft_cc/base/json.h limits.
        replacements = {"nlohmann/json.hpp": {
            "if (t == value_t::array || t == value_t::object)": "if (false)",
        }},
        build_file = Label("//third_party:nlohmann_json.BUILD"),
    )
    system_folder(
        name = "boost",
        folders = {"boost": "/usr/include/boost"},
        package = "libboost-dev",
        build_file = Label("//third_party:boost.BUILD"),
    )
    system_folder(
        name = "eigen",
        folders = {"Eigen": "/usr/include/eigen3/Eigen"},
        package = "libeigen3-dev",
        build_file = Label("//third_party:eigen.BUILD"),
    )

    # A file of the second is code of the first: they are of one version.
    system_folder(
        name = "flatbuffers",
        folders = {
            "flatbuffers": "/usr/include/flatbuffers",
            "flatc": "/usr/bin/flatc",
        },
        package = "libflatbuffers-dev flatbuffers-compiler",
        build_file = Label("//third_party:flatbuffers.BUILD"),
    )

    # For the archive of //:dist.
    system_licences(
        name = "system_licences",
        packages = {
            "boost": "libboost1.*-dev",
            "eigen": "libeigen3-dev",
            "libstdc++": "libstdc++-*-dev",
            "nlohmann_json": "nlohmann-json3-dev",
        },
    )

    # Fetched through pip, when a target that needs them is built.
    cuda(name = "cuda")
    libtorch(name = "libtorch")
    python_oracle(name = "python_oracle")
    native.register_toolchains("@peft//third_party/python:oracle_toolchain")
