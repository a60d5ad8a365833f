"""@libtorch: libtorch from LIBTORCH, else out of PyTorch's wheel."""

load("//third_party/python:pip.bzl", "download_wheels", "find_pip", "warn_not_fetched")

def _fetch(ctx):
    """Puts libtorch into the folder torch. Returns None or a sentence."""
    libtorch = ctx.os.environ.get("LIBTORCH")
    if libtorch:
        if not ctx.path(libtorch + "/lib/libtorch_cpu.so").exists:
            return ("LIBTORCH is %s, which holds no lib/libtorch_cpu.so. It " +
                    "is to name an unpacked libtorch, or the folder torch " +
                    "of a Python installation.") % libtorch
        ctx.symlink(libtorch, "torch")
        return None
    tools = find_pip(ctx)
    if tools.error:
        return tools.error
    if not download_wheels(ctx, tools, "PyTorch's CPU build", ctx.attr._torch_cpu):
        return None
    error = download_wheels(ctx, tools, "PyTorch's default build", ctx.attr._torch)
    if error:
        return error
    return download_wheels(ctx, tools, "CUDA's runtime", ctx.attr._cuda_runtime)

def _libtorch_impl(ctx):
    error = _fetch(ctx)
    if error:
        warn_not_fetched(ctx, error)
        ctx.symlink(ctx.attr._not_fetched, "BUILD.bazel")
    else:
        ctx.symlink(ctx.attr._build_file, "BUILD.bazel")

    # Read by @python_oracle, which is made anew when this changes.
    found = [str(entry) for entry in ctx.path(".").readdir()]
    ctx.file("found.txt", "\n".join(sorted(found)), executable = False)

libtorch = repository_rule(
    implementation = _libtorch_impl,
    configure = True,
    environ = ["LIBTORCH"],
    attrs = {
        "_build_file": attr.label(default = "//third_party/python:libtorch.BUILD"),
        "_cuda_runtime": attr.label(default = "//third_party/python:cuda_runtime.txt"),
        "_not_fetched": attr.label(default = "//third_party/python:libtorch_not_fetched.BUILD"),
        "_torch": attr.label(default = "//third_party/python:torch.txt"),
        "_torch_cpu": attr.label(default = "//third_party/python:torch_cpu.txt"),
    },
)
