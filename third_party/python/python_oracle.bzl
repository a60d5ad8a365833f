"""@python_oracle: a Python with PEFT and transformers, for tests."""

load("//third_party/python:pip.bzl", "find_pip", "run", "warn_not_fetched")

# Prints the folder of packages of the interpreter that runs it.
_SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"

# Succeeds where the torch in the folder argv[1] is one for this interpreter.
_CHECK_TORCH = """
import os, sys, sysconfig
name = '_C' + sysconfig.get_config_var('EXT_SUFFIX')
sys.exit(not os.path.exists(os.path.join(sys.argv[1], 'torch', name)))
"""

def _share_torch(ctx, interpreter):
    """Makes @libtorch's folder one of the interpreter's, if it fits.

    There is then one torch on the disk and not two. Else pip installs one.
    """
    folder = str(ctx.path(ctx.attr._libtorch).dirname)
    if ctx.execute([interpreter, "-c", _CHECK_TORCH, folder]).return_code != 0:
        return
    site = ctx.execute([interpreter, "-c", _SITE]).stdout.strip()
    ctx.file(site + "/libtorch.pth", folder + "\n", executable = False)

def _compile_command(ctx, interpreter):
    """All .pyc files: in the sandbox nothing could write them later."""
    return [interpreter, "-m", "compileall", "-q", "-j", "0", "env"] + [
        str(ctx.path(ctx.attr._libtorch).dirname.get_child("torch")),
    ]

def _fetch(ctx):
    """Makes the environment `env`. Returns None or a sentence."""
    tools = find_pip(ctx)
    if tools.error:
        return tools.error
    error = run(ctx, "Making a Python environment", [
        tools.python,
        "-m",
        "venv",
        "--without-pip",
        "env",
    ])
    if error:
        return error
    interpreter = str(ctx.path("env/bin/python3"))
    _share_torch(ctx, interpreter)
    return run(ctx, "Installing Python PEFT and transformers", tools.pip + [
        "--python=" + interpreter,
        "install",
        "--no-compile",
        "--disable-pip-version-check",
        "--requirement=" + str(ctx.path(ctx.attr._requirements)),
        "--constraint=" + str(ctx.path(ctx.attr._constraints)),
    ])

def _python_oracle_impl(ctx):
    error = _fetch(ctx)
    if error:
        warn_not_fetched(ctx, error)
        interpreter = "/usr/bin/python3"
        available = "@peft//third_party/python:not_fetched"
    else:
        interpreter = str(ctx.path("env/bin/python3"))
        available = "@platforms//os:linux"

        # What does not compile is code for other versions of Python.
        ctx.report_progress("Compiling Python packages")
        ctx.execute(_compile_command(ctx, interpreter), timeout = 600)
    ctx.template("BUILD.bazel", ctx.attr._build_file, {
        "{AVAILABLE}": available,
        "{INTERPRETER}": interpreter,
    })
    versions = ctx.read(ctx.attr._requirements) + ctx.read(ctx.attr._constraints)
    ctx.file("versions.txt", versions, executable = False)

python_oracle = repository_rule(
    implementation = _python_oracle_impl,
    configure = True,
    attrs = {
        "_build_file": attr.label(default = "//third_party/python:python_oracle.BUILD"),
        "_constraints": attr.label(default = "//third_party/python:oracle_constraints.txt"),
        # Fetches @libtorch first.
        "_libtorch": attr.label(default = "@libtorch//:found.txt"),
        "_requirements": attr.label(default = "//third_party/python:oracle.txt"),
    },
)
