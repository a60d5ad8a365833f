"""The sources of libraries with all that compiling them takes, as data."""

_Sources = provider(fields = ["files"])

def _sources_aspect_impl(target, ctx):
    files = []
    if not target.label.workspace_name and hasattr(ctx.rule.files, "srcs"):
        files = [f for f in ctx.rule.files.srcs if f.extension in ("c", "cc")]
    return [_Sources(files = depset(
        files,
        transitive = [
            dep[_Sources].files
            for dep in getattr(ctx.rule.attr, "deps", [])
            if _Sources in dep
        ],
    ))]

_sources_aspect = aspect(
    implementation = _sources_aspect_impl,
    attr_aspects = ["deps"],
)

def _runfiles_path(path, bin_dir):
    """A folder of the build as the runfiles of a test have it."""
    if path.startswith(bin_dir):
        path = path[len(bin_dir):].lstrip("/")
    if path.startswith("external/"):
        return "../" + path[len("external/"):]
    return path or "."

def _cc_sources_impl(ctx):
    contexts = [dep[CcInfo].compilation_context for dep in ctx.attr.deps]
    sources = depset(transitive = [dep[_Sources].files for dep in ctx.attr.deps])
    includes = {}
    for context in contexts:
        for folders in (context.quote_includes, context.system_includes, context.includes):
            for folder in folders.to_list():
                includes[_runfiles_path(folder, ctx.bin_dir.path)] = True
    out = ctx.actions.declare_file(ctx.label.name + ".json")
    ctx.actions.write(out, json.encode({
        "includes": includes.keys(),
        "sources": [f.short_path for f in sources.to_list()],
    }))
    return [DefaultInfo(
        files = depset([out]),
        runfiles = ctx.runfiles(
            files = [out] + ctx.files.textual,
            transitive_files = depset(transitive = [sources] + [
                context.headers
                for context in contexts
            ]),
        ),
    )]

cc_sources = rule(
    implementation = _cc_sources_impl,
    doc = """Writes NAME.json, the own sources of `deps` and of what they depend
on, and the folders of their headers; all of these are its runfiles.""",
    attrs = {
        "deps": attr.label_list(
            aspects = [_sources_aspect],
            providers = [CcInfo],
        ),
        "textual": attr.label_list(allow_files = True),
    },
)
