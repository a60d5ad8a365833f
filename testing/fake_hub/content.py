"""Repositories of the fake Hub: files, commits, branches, tags.

Everything is a function of names and seeds: two processes that make the same
repositories get the same bytes, hashes and commits.
"""

import hashlib
import random

TYPES = {"model": "", "dataset": "datasets/", "space": "spaces/"}


def seeded_bytes(seed, size):
    """`size` bytes that depend on `seed` alone."""
    return random.Random(f"bytes {seed}").randbytes(size)


def seeded_text(seed, size):
    """ASCII that compresses well, `size` bytes of it."""
    draw = random.Random(f"text {seed}")
    words = ["adapter", "base", "config", "layer", "model", "rank", "token"]
    lines = []
    length = 0
    while length < size:
        lines.append(" ".join(draw.choices(words, k=8)) + "\n")
        length += len(lines[-1])
    return "".join(lines).encode()[:size]


def git_sha1(data):
    """The name that git gives to a blob."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class File:
    """A file at one commit; `lfs` files are served by the CDN.

    `xet` files say so in headers and listings, and are served as LFS files are
    to clients without Xet.
    """

    def __init__(self, data, lfs=False, xet=False):
        self.data = data
        self.lfs = lfs or xet
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.xet_hash = None
        if xet:
            self.xet_hash = hashlib.sha256(b"xet" + data).hexdigest()
        pointer = (f"version https://git-lfs.github.com/spec/v1\n"
                   f"oid sha256:{self.sha256}\nsize {len(data)}\n").encode()
        self.pointer_size = len(pointer)
        self.oid = git_sha1(pointer if self.lfs else data)

    @property
    def etag(self):
        """What names the file in the cache."""
        return self.sha256 if self.lfs else self.oid

    def entry(self, path):
        """The file in a listing."""
        entry = {"type": "file", "oid": self.oid, "size": len(self.data),
                 "path": path}
        if self.lfs:
            entry["lfs"] = {"oid": self.sha256, "size": len(self.data),
                            "pointerSize": self.pointer_size}
        if self.xet_hash:
            entry["xetHash"] = self.xet_hash
        return entry


def lfs(seed, size, xet=False):
    """A large file, as weights are, of seeded bytes."""
    return File(seeded_bytes(seed, size), lfs=True, xet=xet)


def text(seed, size):
    """A small file that git keeps itself."""
    return File(seeded_text(seed, size))


class Repository:
    """Files by commit, and names for commits.

    `readers`: tokens that may see a private repository; None where all may.
    `accepted`: tokens whose owners accepted a gated one's conditions; None
    where it is not gated.
    """

    def __init__(self, repo_id, repo_type="model", readers=None, accepted=None,
                 disabled=False):
        self.id = repo_id
        self.type = repo_type
        self.readers = readers
        self.accepted = accepted
        self.disabled = disabled
        self.commits = {}
        self.branches = {}
        self.tags = {}
        self.pulls = {}

    def commit(self, files, branch="main", pull=None):
        """A new commit with exactly `files`, {path: File}; returns its hash."""
        parts = [self.type, self.id, str(len(self.commits))]
        parts += [path + files[path].etag for path in sorted(files)]
        commit = hashlib.sha1("\n".join(parts).encode()).hexdigest()
        self.commits[commit] = dict(files)
        if pull is None:
            self.branches[branch] = commit
        else:
            self.pulls[f"refs/pr/{pull}"] = commit
        return commit

    def resolve(self, revision):
        """The commit that `revision` names, or None."""
        for names in (self.branches, self.tags, self.pulls):
            if revision in names:
                return names[revision]
        if revision in self.commits:
            return revision
        if len(revision) >= 7:
            found = [c for c in self.commits if c.startswith(revision)]
            if len(found) == 1:
                return found[0]
        return None

    def refs(self, pulls):
        """The answer to a question for all refs."""
        def listed(names, prefix):
            return [{"name": name, "ref": prefix + name, "targetCommit": commit}
                    for name, commit in names.items()]
        answer = {"branches": listed(self.branches, "refs/heads/"),
                  "converts": [], "tags": listed(self.tags, "refs/tags/")}
        if pulls:
            answer["pullRequests"] = [
                {"name": name.split("/")[-1], "ref": name,
                 "targetCommit": commit}
                for name, commit in self.pulls.items()]
        return answer

    def listing(self, commit, under, recursive):
        """Files and folders at `commit` below the folder `under`."""
        entries = {}
        prefix = under + "/" if under else ""
        for path, file in sorted(self.commits[commit].items()):
            if not path.startswith(prefix):
                continue
            parts = path[len(prefix):].split("/")
            for depth in range(1, len(parts)):
                folder = prefix + "/".join(parts[:depth])
                if recursive or depth == 1:
                    entries.setdefault(folder, {
                        "type": "directory", "path": folder, "size": 0,
                        "oid": git_sha1(folder.encode())})
            if recursive or len(parts) == 1:
                entries[path] = file.entry(path)
        return list(entries.values())
