"""@cuda: nvcc, CUDA's headers and its runtime, out of NVIDIA's wheels.

No GPU and no driver is needed to compile. Half a gigabyte is fetched, so only
targets of --config=cuda ask for it.
"""

load("//third_party/python:pip.bzl", "download_wheels", "find_pip", "run", "warn_not_fetched")

# All the wheels unpack into it.
_ROOT = "nvidia/cu13"

def _fetch(ctx):
    """Fills the folder _ROOT. Returns None or a sentence."""
    tools = find_pip(ctx)
    if tools.error:
        return tools.error
    error = download_wheels(ctx, tools, "nvcc", ctx.attr._toolkit)
    if error:
        return error
    error = download_wheels(
        ctx,
        tools,
        "the headers of cuBLAS",
        ctx.attr._cublas,
        only = _ROOT + "/include/",
    )
    if error:
        return error

    # Wheels do not keep these bits.
    return run(ctx, "Making nvcc executable", [
        "sh",
        "-c",
        "chmod +x %s/bin/* %s/nvvm/bin/*" % (_ROOT, _ROOT),
    ])

def _cuda_impl(ctx):
    error = _fetch(ctx)
    if error:
        warn_not_fetched(ctx, error)
        ctx.symlink(ctx.attr._not_fetched, "BUILD.bazel")
    else:
        ctx.symlink(ctx.attr._build_file, "BUILD.bazel")

cuda = repository_rule(
    implementation = _cuda_impl,
    configure = True,
    attrs = {
        "_build_file": attr.label(default = "//third_party/python:cuda.BUILD"),
        "_cublas": attr.label(default = "//third_party/python:cublas.txt"),
        "_not_fetched": attr.label(default = "//third_party/python:cuda_not_fetched.BUILD"),
        "_toolkit": attr.label(default = "//third_party/python:cuda_toolkit.txt"),
    },
)
