"""A repository made of the upstream sources of one of the system's packages.

apt knows where the machine's sources lie, so no server is named here. Only the
upstream archive is fetched, without the distribution's patches, and its
checksum decides: it is the same file in every distribution that packages the
same upstream version.
"""

load("//third_party:replace.bzl", "replace")

# A list of source packages made from the machine's own list of binary ones,
# with its own state, so that the machine's configuration is never changed.
_FETCH = """
set -eu
mkdir -p apt/parts apt/lists/partial apt/cache/archives/partial archive
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  case "$f" in
    *.sources) [ -r "$f" ] && sed -E 's/^Types:.*/Types: deb-src/' "$f" \
        > "apt/parts/$(basename "$f")" ;;
    *.list) [ -r "$f" ] && sed -nE 's/^deb(-src)?([[:space:]])/deb-src\\2/p' \
        "$f" | sort -u > "apt/parts/$(basename "$f")" ;;
  esac
done
set -- -q -o Dir::Etc::SourceList=/dev/null \
  -o Dir::Etc::SourceParts="$PWD/apt/parts" \
  -o Dir::State::Lists="$PWD/apt/lists" \
  -o Dir::Cache="$PWD/apt/cache" \
  -o APT::Sandbox::User=
# A single dead list does not matter as long as the package is found.
apt-get "$@" update >apt/update.log 2>&1 || cat apt/update.log >&2
cd archive
apt-get "$@" source --download-only --tar-only "$PACKAGE" >&2
"""

def _fetch_archive(ctx):
    """Downloads the upstream archive and returns its path."""
    name = "%s_%s.orig.%s" % (
        ctx.attr.package,
        ctx.attr.upstream_version,
        ctx.attr.archive_type,
    )
    folder = ctx.os.environ.get("PEFT_SOURCE_ARCHIVES")
    if folder:
        return ctx.path(folder + "/" + name)
    ctx.report_progress("Fetching the source package " + ctx.attr.package)
    result = ctx.execute(
        ["sh", "-c", _FETCH],
        environment = {"PACKAGE": ctx.attr.package},
        timeout = 600,
    )
    archive = ctx.path("archive/" + name)
    if result.return_code != 0 or not archive.exists:
        fail(("@%s needs %s, the upstream archive of the source package %s, " +
              "and apt-get could not fetch it. On another system put the " +
              "file into a folder and name that in PEFT_SOURCE_ARCHIVES.\n%s") %
             (ctx.name, name, ctx.attr.package, result.stderr))
    return archive

def _check_sha256(ctx, archive):
    result = ctx.execute(["sha256sum", str(archive)])
    found = result.stdout.split(" ")[0]
    if found != ctx.attr.sha256:
        fail("%s has sha256 %s, expected %s: it is not the archive that @%s is made from." %
             (archive, found, ctx.attr.sha256, ctx.name))

def _source_package_impl(ctx):
    archive = _fetch_archive(ctx)
    _check_sha256(ctx, archive)
    ctx.extract(archive, stripPrefix = ctx.attr.strip_prefix)
    ctx.delete("apt")
    ctx.delete("archive")
    for file, text in ctx.attr.replacements.items():
        replace(ctx, file, file, json.decode(text))
    if ctx.attr.build_file:
        ctx.delete("BUILD.bazel")
        ctx.symlink(ctx.attr.build_file, "BUILD.bazel")

    # A package of its own: not all BUILD files export it.
    ctx.symlink(ctx.attr.licence, "peft_licence/licence.txt")
    ctx.file("peft_licence/BUILD.bazel", "exports_files([\"licence.txt\"])\n")

_source_package = repository_rule(
    implementation = _source_package_impl,
    environ = ["PEFT_SOURCE_ARCHIVES"],
    attrs = {
        "archive_type": attr.string(default = "tar.gz"),
        "build_file": attr.label(
            doc = "Takes the place of the BUILD file at the top.",
        ),
        "licence": attr.string(
            doc = "The file with it; `@NAME//peft_licence:licence.txt` then.",
            mandatory = True,
        ),
        "package": attr.string(mandatory = True),
        "replacements": attr.string_dict(),
        "sha256": attr.string(mandatory = True),
        "strip_prefix": attr.string(),
        "upstream_version": attr.string(mandatory = True),
    },
)

def source_package(replacements = {}, **kwargs):
    """Declares a repository made of a source package.

    Args:
      replacements: file to a dictionary of old text to new text.
      **kwargs: the rule's attributes.
    """
    _source_package(
        replacements = {
            file: json.encode(pairs)
            for file, pairs in replacements.items()
        },
        **kwargs
    )
