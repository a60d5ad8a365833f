"""CUDA code for a cc_library, by the nvcc of @cuda."""

load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")
load("@rules_cc//cc:defs.bzl", "cc_library")

# What targets with CUDA code are compatible with: they are SKIPPED without
# --config=cuda, and where nvcc could not be fetched.
CUDA_COMPATIBLE = select({
    "//testing:cuda": ["@cuda//:available"],
    "//conditions:default": ["//third_party/python:needs_config_cuda"],
})

def _with_cuda(labels):
    """The labels with --config=cuda, so that else they are not fetched."""
    return select({
        "//testing:cuda": labels,
        "//conditions:default": [],
    })

# What a C++ target depends on that includes CUDA's own headers.
CUDA_HEADERS = _with_cuda(["@cuda//:cudart"])

# Machine code for H100 and H200, whose own instructions `90a` allows, and PTX
# from which the driver of a newer GPU makes its code. Code with those
# instructions must be inside of `#ifdef __CUDA_ARCH_FEAT_SM90_ALL`.
_ARCHITECTURES = [
    "-gencode=arch=compute_90a,code=sm_90a",
    "-gencode=arch=compute_90,code=compute_90",
]

# What kernels are embedded for that the driver loads by itself: machine code
# for A100 and its minor revisions, for H100 and H200, for B100 and B200, and PTX
# for what comes after.
_IMAGE_ARCHITECTURES = [
    "-gencode=arch=compute_80,code=sm_80",
    "-gencode=arch=compute_90a,code=sm_90a",
    "-gencode=arch=compute_100,code=sm_100",
    "-gencode=arch=compute_100,code=compute_100",
]

_FLAGS = [
    "-std=c++17",
    "-O3",
    "-Werror=all-warnings",
    "-Xcompiler=-fPIC,-Wall,-Wextra,-Werror",
]

# nvcc names its temporary files, and symbols after them, at random. In a folder
# of ours they are called after the source.
_COMMAND = """
folder=$1; shift
mkdir -p "$folder"
"$@" --keep --keep-dir "$folder"
exit_code=$?
rm -r "$folder"
exit $exit_code
"""

def _include_flags(context):
    """The flags by which code finds the headers of a compilation context."""
    folders = depset(transitive = [
        context.includes,
        context.quote_includes,
        context.system_includes,
    ])
    return ["-I" + folder for folder in folders.to_list()]

def _bin(ctx):
    """The folder of nvcc and its like."""
    return [file for file in ctx.files.toolkit if file.basename == "bin"][0]

def _compile(ctx, source, suffix, flags):
    """Declares the compilation of one file and returns what it makes."""
    context = cc_common.merge_cc_infos(
        cc_infos = [dep[CcInfo] for dep in ctx.attr.deps],
    ).compilation_context
    compiler = find_cpp_toolchain(ctx).compiler_executable
    object = ctx.actions.declare_file(
        "%s/%s%s" % (ctx.label.name, source.basename, suffix),
    )
    ctx.actions.run_shell(
        outputs = [object],
        inputs = depset(
            [source] + ctx.files.hdrs + ctx.files.toolkit,
            transitive = [context.headers],
        ),
        command = _COMMAND,
        arguments = [object.path + ".keep", _bin(ctx).path + "/nvcc"] +
                    _FLAGS + flags + ["-ccbin=" + compiler, "-I."] +
                    _include_flags(context) +
                    ["-D" + define for define in context.defines.to_list()] +
                    [source.path, "-o", object.path],
        mnemonic = "CudaCompile",
        progress_message = "Compiling " + source.short_path,
        use_default_shell_env = True,
    )
    return object

def _cuda_objects_impl(ctx):
    return [DefaultInfo(files = depset([
        _compile(ctx, source, ".o", ["-c"] + _ARCHITECTURES)
        for source in ctx.files.srcs
    ]))]

def _cuda_image_impl(ctx):
    fatbin = _compile(
        ctx,
        ctx.files.srcs[0],
        ".fatbin",
        ["-fatbin"] + _IMAGE_ARCHITECTURES,
    )
    source = ctx.actions.declare_file(ctx.label.name + ".c")
    ctx.actions.run_shell(
        outputs = [source],
        inputs = [fatbin] + ctx.files.toolkit,
        command = "%s/bin2c --const --type longlong --name %s %s > %s" %
                  (_bin(ctx).path, ctx.label.name, fatbin.path, source.path),
        mnemonic = "CudaImage",
    )
    return [
        DefaultInfo(files = depset([source])),
        OutputGroupInfo(fatbin = depset([fatbin])),
    ]

_CUDA_ATTRS = {
    "deps": attr.label_list(providers = [CcInfo]),
    "hdrs": attr.label_list(allow_files = [".h", ".cuh", ".inc"]),
    "srcs": attr.label_list(allow_files = [".cu"], mandatory = True),
    # @cuda//:toolkit. No default, which would be fetched for every build.
    "toolkit": attr.label_list(allow_files = True),
    "_cc_toolchain": attr.label(
        default = "@bazel_tools//tools/cpp:current_cc_toolchain",
    ),
}

_cuda_objects = rule(
    implementation = _cuda_objects_impl,
    attrs = _CUDA_ATTRS,
    fragments = ["cpp"],
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
)

_cuda_image = rule(
    implementation = _cuda_image_impl,
    attrs = _CUDA_ATTRS,
    fragments = ["cpp"],
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
)

def peft_cuda_library(name, srcs, hdrs = [], deps = [], **kwargs):
    """A cc_library of CUDA code. Its users include cuda_runtime_api.h freely.

    SKIPPED without --config=cuda, and its users must be: what depends on it
    says `target_compatible_with = CUDA_COMPATIBLE`.

    Args:
      name: the library's name.
      srcs: the .cu files.
      hdrs: headers.
      deps: C++ libraries.
      **kwargs: cc_library's other attributes.
    """
    _cuda_objects(
        name = name + "_objects",
        srcs = srcs,
        hdrs = hdrs,
        deps = deps,
        target_compatible_with = CUDA_COMPATIBLE,
        testonly = kwargs.get("testonly", False),
        toolkit = _with_cuda(["@cuda//:toolkit"]),
    )
    cc_library(
        name = name,
        srcs = [name + "_objects"],
        hdrs = hdrs,
        linkstatic = True,
        target_compatible_with = CUDA_COMPATIBLE,
        deps = deps + _with_cuda(["@cuda//:cudart"]),
        **kwargs
    )

def peft_cuda_image(name, src, hdrs = [], deps = []):
    """A C source with machine code that the CUDA driver loads by itself.

    It defines `const unsigned long long <name>[]`. SKIPPED without
    --config=cuda.

    Args:
      name: the array's name.
      src: the .cu file.
      hdrs: headers and .inc files.
      deps: C++ libraries whose headers it includes.
    """
    _cuda_image(
        name = name,
        srcs = [src],
        hdrs = hdrs,
        deps = deps,
        target_compatible_with = CUDA_COMPATIBLE,
        toolkit = _with_cuda(["@cuda//:toolkit"]),
    )
