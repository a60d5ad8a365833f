"""A test that runs another target's program, built with a sanitizer.

The sanitizer comes by a transition: the program and all that it depends on,
abseil included, are built again with the sanitizer's flags. There is one
configuration per sanitizer, so a library is built once for all tests.
"""

# -O1 and line tables only: the whole of abseil is built this way too.
_COMMON = ["-O1", "-g1", "-fno-omit-frame-pointer"]

_ASAN = ["-fsanitize=address", "-fsanitize=undefined"]

_COPTS = {
    "asan": _COMMON + _ASAN + ["-fno-sanitize-recover=all"],
    "tsan": _COMMON + ["-fsanitize=thread"],
}

_LINKOPTS = {
    "asan": _ASAN,
    "tsan": ["-fsanitize=thread"],
}

_COPT = "//command_line_option:copt"

_LINKOPT = "//command_line_option:linkopt"

def _sanitizer_transition_impl(settings, attr):
    for flag in settings[_COPT]:
        # With --config=asan and the like everything has that sanitizer
        # already, and most pairs of them do not go together.
        if flag.startswith("-fsanitize="):
            return settings
    return {
        _COPT: settings[_COPT] + _COPTS[attr.sanitizer],
        _LINKOPT: settings[_LINKOPT] + _LINKOPTS[attr.sanitizer],
    }

_sanitizer_transition = transition(
    implementation = _sanitizer_transition_impl,
    inputs = [_COPT, _LINKOPT],
    outputs = [_COPT, _LINKOPT],
)

# gcc's thread sanitizer cannot live with the long random addresses that newer
# kernels give out. Where the container does not allow to turn them off, it is
# left to its luck.
_TSAN_SCRIPT = """#!/bin/sh
if setarch -R true 2>/dev/null; then
  exec setarch -R "./{binary}" "$@"
fi
exec "./{binary}" "$@"
"""

def _sanitized_test_impl(ctx):
    # A transition makes a list even of a single label.
    binary = ctx.attr.binary[0][DefaultInfo]
    program = binary.files_to_run.executable
    executable = ctx.actions.declare_file(ctx.label.name)
    if ctx.attr.sanitizer == "tsan":
        script = _TSAN_SCRIPT.format(binary = program.short_path)
        ctx.actions.write(executable, script, is_executable = True)
    else:
        ctx.actions.symlink(
            output = executable,
            target_file = program,
            is_executable = True,
        )
    return [
        DefaultInfo(executable = executable, runfiles = binary.default_runfiles),
        testing.TestEnvironment(ctx.attr.env),
    ]

sanitized_test = rule(
    implementation = _sanitized_test_impl,
    attrs = {
        "binary": attr.label(
            cfg = _sanitizer_transition,
            executable = True,
            mandatory = True,
        ),
        # Only so that `args` may name these; the binary brings its own.
        "data": attr.label_list(
            allow_files = True,
            cfg = _sanitizer_transition,
        ),
        "env": attr.string_dict(),
        "sanitizer": attr.string(
            mandatory = True,
            values = ["asan", "tsan"],
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    test = True,
)
