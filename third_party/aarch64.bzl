"""@aarch64: a C++ toolchain for Linux on 64-bit Arm, from the system's packages.

Its compiler is that of g++-aarch64-linux-gnu; tests run in qemu-aarch64-static
of qemu-user-static. `--config=aarch64` uses both. Without the compiler the
repository is there and empty, and that configuration fails by name.
"""

_COMPILER = "aarch64-linux-gnu-g++"

_TOOLS = {
    "ar": "ar",
    "cpp": "cpp",
    "dwp": "dwp",
    "gcc": "gcc",
    "gcov": "gcov",
    "ld": "ld",
    "llvm-cov": "gcov",
    "nm": "nm",
    "objcopy": "objcopy",
    "objdump": "objdump",
    "strip": "strip",
}

_BUILD = """
load("@bazel_tools//tools/cpp:unix_cc_toolchain_config.bzl", "cc_toolchain_config")

package(default_visibility = ["//visibility:public"])

platform(
    name = "platform",
    constraint_values = [
        "@platforms//cpu:aarch64",
        "@platforms//os:linux",
    ],
)

cc_toolchain_suite(
    name = "suite",
    toolchains = {{"aarch64|gcc": ":compiler", "aarch64": ":compiler"}},
)

filegroup(name = "empty")

cc_toolchain(
    name = "compiler",
    all_files = ":empty",
    compiler_files = ":empty",
    dwp_files = ":empty",
    linker_files = ":empty",
    objcopy_files = ":empty",
    strip_files = ":empty",
    supports_param_files = 1,
    toolchain_config = ":config",
    toolchain_identifier = "aarch64",
)

toolchain(
    name = "toolchain",
    target_compatible_with = [
        "@platforms//cpu:aarch64",
        "@platforms//os:linux",
    ],
    toolchain = ":compiler",
    toolchain_type = "@bazel_tools//tools/cpp:toolchain_type",
)

cc_toolchain_config(
    name = "config",
    abi_libc_version = "gnu",
    abi_version = "gnu",
    compile_flags = ["-fstack-protector", "-Wall", "-fno-omit-frame-pointer"],
    compiler = "gcc",
    cpu = "aarch64",
    cxx_builtin_include_directories = {includes},
    cxx_flags = ["-std=c++17"],
    dbg_compile_flags = ["-g"],
    host_system_name = "local",
    link_flags = ["-Wl,-z,relro,-z,now"],
    link_libs = ["-lstdc++", "-lm"],
    opt_compile_flags = ["-g0", "-O2", "-DNDEBUG", "-ffunction-sections", "-fdata-sections"],
    opt_link_flags = ["-Wl,--gc-sections"],
    supports_start_end_lib = False,
    target_libc = "glibc",
    target_system_name = "aarch64-linux-gnu",
    tool_paths = {tools},
    toolchain_identifier = "aarch64",
    unfiltered_compile_flags = [
        "-fno-canonical-system-headers",
        "-Wno-builtin-macro-redefined",
        "-D__DATE__=\\"redacted\\"",
        "-D__TIMESTAMP__=\\"redacted\\"",
        "-D__TIME__=\\"redacted\\"",
    ],
)
"""

def _include_folders(ctx, compiler):
    """Where the compiler looks for headers that nobody names."""
    result = ctx.execute([compiler, "-E", "-x", "c++", "-v", "/dev/null"])
    if result.return_code != 0:
        fail("%s does not run: %s" % (compiler, result.stderr))
    text = result.stderr.split("#include <...> search starts here:")[1]
    lines = text.split("End of search list.")[0].split("\n")
    return [str(ctx.path(line.strip()).realpath) for line in lines if line.strip()]

def _aarch64_impl(ctx):
    compiler = ctx.which(_COMPILER)
    if not compiler:
        ctx.file("BUILD.bazel", "# %s is not in PATH.\n" % _COMPILER)
        return
    prefix = str(compiler)[:-len("g++")]
    ctx.file("BUILD.bazel", _BUILD.format(
        includes = repr(_include_folders(ctx, compiler)),
        tools = repr({name: prefix + tool for name, tool in _TOOLS.items()}),
    ))

aarch64 = repository_rule(
    implementation = _aarch64_impl,
    configure = True,
    environ = ["PATH"],
    local = True,
)
