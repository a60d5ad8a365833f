"""What the repository rules that call pip have in common."""

# Long enough for half a gigabyte on a slow line.
_TIMEOUT_SECONDS = 3600

# The machine's pip, or Debian's package of pip unpacked here: on Debian python3
# comes without pip, and a repository rule cannot install packages.
_FIND_PIP = """
set -eu
if "$PYTHON" -m pip --version >/dev/null 2>&1; then
  echo -m pip
  exit
fi
mkdir -p pip && cd pip
apt-get -q download python3-pip-whl >&2
dpkg-deb -x python3-pip-whl_*.deb .
for wheel in "$PWD"/usr/share/python-wheels/pip-*.whl; do
  echo "$wheel/pip"
done
"""

def find_pip(ctx):
    """Looks for Python 3 and pip.

    Args:
      ctx: the repository rule's context.

    Returns:
      A struct: python, the interpreter's path; pip, the command that runs pip;
      error, a sentence, or None where both were found.
    """
    python = ctx.which("python3")
    if not python:
        return struct(error = "python3 is not on the PATH.")
    result = ctx.execute(["sh", "-c", _FIND_PIP], environment = {"PYTHON": str(python)})
    if result.return_code != 0:
        return struct(error = "there is no pip for %s, and Debian's package python3-pip-whl could not be fetched:\n%s" %
                              (python, result.stderr))
    return struct(
        error = None,
        pip = [str(python)] + result.stdout.strip().split(" "),
        python = str(python),
    )

def run(ctx, what, command):
    """Runs a command that takes a while.

    Args:
      ctx: the repository rule's context.
      what: what the command does, for the progress line and the error.
      command: the command.

    Returns:
      None, or a sentence that tells what went wrong.
    """
    ctx.report_progress(what)
    result = ctx.execute(command, timeout = _TIMEOUT_SECONDS)
    if result.return_code == 0:
        return None
    return "%s failed:\n%s" % (what, result.stderr)

# Unpacks what begins with argv[2] in the wheel argv[1].
_UNPACK = """
import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
names = [name for name in wheel.namelist() if name.startswith(sys.argv[2])]
wheel.extractall(members=names)
"""

def download_wheels(ctx, tools, what, requirements, only = ""):
    """Downloads the wheels of a requirements file and unpacks them together.

    Args:
      ctx: the repository rule's context.
      tools: what find_pip returned.
      what: what is downloaded, for the progress line and the error.
      requirements: the label of the file; it has hashes.
      only: how the paths begin of what is unpacked.

    Returns:
      None, or a sentence that tells what went wrong.
    """
    error = run(ctx, "Downloading " + what, tools.pip + [
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
        "--disable-pip-version-check",
        "--dest=wheels",
        "--requirement=" + str(ctx.path(requirements)),
    ])
    if error:
        return error
    for wheel in ctx.path("wheels").readdir():
        error = run(
            ctx,
            "Unpacking " + wheel.basename,
            [tools.python, "-c", _UNPACK, str(wheel), only],
        )
        if error:
            return error
    ctx.delete("wheels")
    return None

def warn_not_fetched(ctx, error):
    """Says on the terminal why what needs this repository is skipped."""

    # buildifier: disable=print
    print(("\n@%s is not there, and targets that need it are SKIPPED: %s\n" +
           "To try again: ./bazelw sync --configure") % (ctx.name, error))
