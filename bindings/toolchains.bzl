"""Which tools the machine has: those of other languages, and some for tests.

A target that needs one says `target_compatible_with = ["@host_go//:available"]`
and is skipped, visibly, where it is missing.
"""

_BUILD = """
alias(
    name = "available",
    actual = "{constraint}",
    visibility = ["//visibility:public"],
)
"""

def _has_version(ctx, program):
    version = ctx.attr.versions.get(program)
    if not version:
        return True
    return version in ctx.execute([program, "--version"]).stdout

def _host_toolchain_impl(ctx):
    missing = [
        name
        for name in ctx.attr.programs
        if not ctx.which(name) or not _has_version(ctx, name)
    ] + [path for path in ctx.attr.files if not ctx.path(path).exists]
    if missing:
        # buildifier: disable=print
        print("@%s: no %s; tests that need it are skipped." %
              (ctx.name, " and ".join(
                  [name + ctx.attr.versions.get(name, "") for name in missing],
              )))
        constraint = "@peft//bindings:toolchain_missing"
    else:
        constraint = "@platforms//os:linux"
    ctx.file("BUILD.bazel", _BUILD.format(constraint = constraint))

_host_toolchain = repository_rule(
    implementation = _host_toolchain_impl,
    attrs = {
        "programs": attr.string_list(mandatory = True),
        # What else there must be, by its path.
        "files": attr.string_list(),
        # What --version must print of a program, where that matters.
        "versions": attr.string_dict(),
    },
    configure = True,
    environ = ["PATH"],
    local = True,
)

def peft_binding_toolchains():
    """Declares @host_rust, @host_go, @host_swift and what other tests use."""
    _host_toolchain(
        name = "host_aarch64",
        programs = ["aarch64-linux-gnu-g++", "qemu-aarch64-static"],
    )
    _host_toolchain(name = "host_abidiff", programs = ["abidiff", "abidw"])
    _host_toolchain(
        name = "host_bindgen",
        programs = ["bindgen", "rustfmt"],
        # Others print the same declarations differently.
        versions = {"bindgen": " 0.60."},
    )
    _host_toolchain(name = "host_clang", programs = ["clang++"])
    _host_toolchain(
        name = "host_clang_targets",
        programs = ["clang-14"],
        # Headers of libc++, MinGW and glibc for Arm.
        files = [
            "/usr/aarch64-linux-gnu/include/stdio.h",
            "/usr/lib/llvm-14/include/c++/v1/vector",
            "/usr/x86_64-w64-mingw32/include/windows.h",
        ],
    )
    _host_toolchain(
        name = "host_clippy",
        programs = ["cargo", "cargo-clippy", "rustfmt"],
    )
    _host_toolchain(name = "host_cmake", programs = ["cmake", "make", "pkg-config"])
    _host_toolchain(name = "host_go", programs = ["go"])
    _host_toolchain(name = "host_rust", programs = ["cargo", "rustc"])
    _host_toolchain(name = "host_swift", programs = ["swiftc"])
