"""The licences of what libpeft.so has inside and that the system's packages
brought: Debian puts them beside each package."""

# Debian gives them as /usr/share/doc/PACKAGE/copyright. The packages of Boost
# and of the C++ library have their version in the name.
_FIND = """
set -eu
for file in $PATTERN; do
  if [ -r "$file" ]; then
    readlink -f "$file"
    exit
  fi
done
exit 1
"""

_BUILD = """
exports_files(glob(["*.txt"]), visibility = ["//visibility:public"])
"""

def _system_licences_impl(ctx):
    for name, package in ctx.attr.packages.items():
        pattern = "/usr/share/doc/%s/copyright" % package
        result = ctx.execute(["sh", "-c", _FIND], environment = {"PATTERN": pattern})
        if result.return_code != 0:
            fail("@%s: there is no %s, the licence of %s; without it there is no archive to give away." %
                 (ctx.name, pattern, name))
        ctx.symlink(result.stdout.strip(), name + ".txt")
    ctx.file("BUILD.bazel", _BUILD)

system_licences = repository_rule(
    implementation = _system_licences_impl,
    local = True,
    attrs = {
        "packages": attr.string_dict(
            doc = "Name of the licence's file, without .txt, to that of the " +
                  "package; may have wildcards.",
            mandatory = True,
        ),
    },
)
