"""A repository made of folders that a package of the system installs."""

load("//third_party:replace.bzl", "replace")

def _link(ctx, path, name, replacements):
    """Links the folder `path` as `name`, with some files of it changed."""
    changed = {
        file[len(name) + 1:]: json.decode(text)
        for file, text in replacements.items()
        if file.startswith(name + "/")
    }
    if not changed:
        ctx.symlink(path, name)
        return
    for entry in ctx.path(path).readdir():
        target = name + "/" + entry.basename
        if entry.basename in changed:
            replace(ctx, entry, target, changed[entry.basename])
        else:
            ctx.symlink(entry, target)

def _system_folder_impl(ctx):
    for name, path in ctx.attr.folders.items():
        if not ctx.path(path).exists:
            fail(("@%s needs the folder %s: install the package %s, or run " +
                  "./bazelw once, which does that.") %
                 (ctx.name, path, ctx.attr.package))
        _link(ctx, path, name, ctx.attr.replacements)
    ctx.symlink(ctx.attr.build_file, "BUILD.bazel")

_system_folder = repository_rule(
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
        "replacements": attr.string_dict(),
    },
)

def system_folder(replacements = {}, **kwargs):
    """Declares a repository made of a package's folders.

    Args:
      replacements: file directly in one of the folders, by its path in the
        repository, to a dictionary of old text to new text.
      **kwargs: the rule's attributes.
    """
    _system_folder(
        replacements = {
            file: json.encode(pairs)
            for file, pairs in replacements.items()
        },
        **kwargs
    )
