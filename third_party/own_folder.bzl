"""A repository that is a folder of this one, also where this one is a part of
another workspace."""

def _own_folder_impl(ctx):
    for entry in ctx.path(ctx.attr.workspace_file).dirname.readdir():
        ctx.symlink(entry, entry.basename)

own_folder = repository_rule(
    implementation = _own_folder_impl,
    local = True,
    attrs = {
        "workspace_file": attr.label(
            doc = "The folder's WORKSPACE.",
            mandatory = True,
        ),
    },
)
