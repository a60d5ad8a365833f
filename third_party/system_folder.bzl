"""A repository made of folders that a package of the system installs."""

def _system_folder_impl(ctx):
    for name, path in ctx.attr.folders.items():
        if not ctx.path(path).exists:
            fail(("@%s needs the folder %s: install the package %s, or run " +
                  "./bazelw once, which does that.") %
                 (ctx.name, path, ctx.attr.package))
        ctx.symlink(path, name)
    ctx.symlink(ctx.attr.build_file, "BUILD.bazel")

system_folder = repository_rule(
    implementation = _system_folder_impl,
    # An absent folder is looked for again after the package was installed.
    local = True,
    attrs = {
        "build_file": attr.label(mandatory = True),
        "folders": attr.string_dict(
            doc = "Name in the repository to path on the machine. Only these " +
                  "are visible: not all of /usr/include.",
            mandatory = True,
        ),
        "package": attr.string(
            doc = "The package to name where a folder is missing.",
            mandatory = True,
        ),
    },
)
