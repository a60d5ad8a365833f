"""Packs the archive that programs without Bazel use.

    make_dist.py --out=FILE.tar.gz --root=FOLDER --strip=PROGRAM
        [--define=NAME=VALUE]... [PATH=FILE | PATH->TARGET]...

PATH=FILE puts FILE into the archive as FOLDER/PATH, PATH->TARGET a link. A file
whose name ends in ".in" has @NAME@ replaced by its value. The same files give
the same bytes: no times, no owners, names in order.
"""

import argparse
import gzip
import io
import pathlib
import re
import subprocess
import tarfile
import tempfile

_ELF = b"\x7fELF"
# Boost's packages say of each of thousands of files who wrote it; its licence is
# one for all.
_BOOST = "License: BSL-1.0"


def _stripped(data, strip):
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        subprocess.run([strip, "--strip-unneeded", file.name], check=True)
        return pathlib.Path(file.name).read_bytes()


def _filled(text, values):
    """`text` with each @NAME@ replaced."""
    return re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]], text)


def _boost_licence(text):
    for paragraph in text.split("\n\n"):
        if paragraph.startswith(_BOOST + "\n"):
            return paragraph + "\n"
    raise ValueError(f"no paragraph begins with {_BOOST!r}")


def newest_glibc(binaries):
    """The newest version of glibc's symbols that any of these files needs."""
    versions = [tuple(map(int, match))
                for data in binaries
                for match in re.findall(rb"\0GLIBC_(\d+)\.(\d+)", data)]
    return ".".join(map(str, max(versions)))


def contents(path, source, strip, values):
    """The bytes that `source` becomes as `path`."""
    data = pathlib.Path(source).read_bytes()
    if data.startswith(_ELF):
        return _stripped(data, strip)
    if source.endswith(".in"):
        return _filled(data.decode("utf-8"), values).encode("utf-8")
    if path.endswith("/boost.txt"):
        return _boost_licence(data.decode("utf-8")).encode("utf-8")
    return data


def _member(name, mode, kind):
    member = tarfile.TarInfo(name)
    member.mode = mode
    member.type = kind
    return member


def pack(root, files, links):
    """The bytes of the archive: `files` is path to contents, `links` path to
    target."""
    archive = io.BytesIO()
    # A time of 0, and no name, in gzip's header as well.
    with gzip.GzipFile(fileobj=archive, mode="wb", mtime=0, filename="") as zipped:
        with tarfile.open(fileobj=zipped, mode="w",
                          format=tarfile.USTAR_FORMAT) as tar:
            folders = {str(parent) for path in (*files, *links)
                       for parent in pathlib.PurePath(root, path).parents}
            for folder in sorted(folders - {"."}):
                tar.addfile(_member(folder, 0o755, tarfile.DIRTYPE))
            for path in sorted((*files, *links)):
                name = f"{root}/{path}"
                if path in links:
                    member = _member(name, 0o777, tarfile.SYMTYPE)
                    member.linkname = links[path]
                    tar.addfile(member)
                    continue
                data = files[path]
                is_program = path.startswith(("bin/", "lib/lib"))
                member = _member(name, 0o755 if is_program else 0o644,
                                 tarfile.REGTYPE)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return archive.getvalue()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--strip", required=True)
    parser.add_argument("--define", action="append", default=[])
    parser.add_argument("entries", nargs="+")
    flags = parser.parse_args()
    values = dict(define.split("=", 1) for define in flags.define)
    links = dict(entry.split("->") for entry in flags.entries if "->" in entry)
    sources = dict(entry.split("=") for entry in flags.entries if "=" in entry)
    files = {path: contents(path, source, flags.strip, values)
             for path, source in sources.items() if not source.endswith(".in")}
    values["GLIBC"] = newest_glibc(data for data in files.values()
                                   if data.startswith(_ELF))
    for path, source in sources.items():
        if source.endswith(".in"):
            files[path] = contents(path, source, flags.strip, values)
    pathlib.Path(flags.out).write_bytes(pack(flags.root, files, links))


if __name__ == "__main__":
    main()
