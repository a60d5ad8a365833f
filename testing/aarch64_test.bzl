"""A test that runs another target's program, built for 64-bit Arm, in qemu.

The architecture comes by a transition: the program and all that it depends on
are built again by the cross compiler of third_party/aarch64.bzl. There is one
configuration, so a library is built once for all tests. Where the compiler or
qemu is missing the tests are SKIPPED.
"""

_OPTION = "//command_line_option:"

# What --config=aarch64 of .bazelrc says on the command line.
_SETTINGS = {
    _OPTION + "compiler": "gcc",
    _OPTION + "cpu": "aarch64",
    _OPTION + "crosstool_top": "@aarch64//:suite",
    _OPTION + "extra_toolchains": "@aarch64//:toolchain",
    _OPTION + "host_crosstool_top": "@bazel_tools//tools/cpp:toolchain",
    _OPTION + "platforms": "@aarch64//:platform",
    # Those of the command line are for this machine: sanitizers, -march.
    _OPTION + "copt": [],
    _OPTION + "linkopt": [],
    # As phones have it; and BoringSSL is half of all there is to compile.
    "//hub:without_network": True,
}

def _aarch64_transition_impl(settings, attr):
    return _SETTINGS

_aarch64_transition = transition(
    implementation = _aarch64_transition_impl,
    inputs = [],
    outputs = _SETTINGS.keys(),
)

_SCRIPT = """#!/bin/sh
exec qemu-aarch64-static -L /usr/aarch64-linux-gnu "./{binary}" "$@"
"""

def _aarch64_test_impl(ctx):
    # A transition makes a list even of a single label.
    binary = ctx.attr.binary[0][DefaultInfo]
    executable = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        executable,
        _SCRIPT.format(binary = binary.files_to_run.executable.short_path),
        is_executable = True,
    )
    return [
        DefaultInfo(executable = executable, runfiles = binary.default_runfiles),
        testing.TestEnvironment(ctx.attr.env),
    ]

_aarch64_test = rule(
    implementation = _aarch64_test_impl,
    attrs = {
        "binary": attr.label(cfg = _aarch64_transition, executable = True),
        # Only so that `args` may name these; the binary brings its own.
        "data": attr.label_list(allow_files = True),
        "env": attr.string_dict(),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    test = True,
)

def aarch64_test(name, binary, **kwargs):
    """Declares `name`, which runs `binary` as it is built for 64-bit Arm.

    Args:
      name: the test's name.
      binary: the label of a program.
      **kwargs: attributes of the test: args, data, env, size, tags.
    """
    _aarch64_test(
        name = name,
        # Without a compiler there is no such configuration.
        binary = select({
            "@host_aarch64//:available": binary,
            "//conditions:default": None,
        }),
        # An Arm machine runs the tests as they are.
        target_compatible_with = [
            "@host_aarch64//:available",
            "@platforms//cpu:x86_64",
        ],
        **kwargs
    )
