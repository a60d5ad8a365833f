"""The scan of a cache finds what huggingface_hub's scan_cache_dir finds."""

import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

from huggingface_hub import scan_cache_dir

DRIVER = sys.argv.pop(1)
NAMES = ["config.json", "a b.txt", ".hidden", "ünï.bin", "sub/x", "sub/y.json",
         "sub/deep/er/z", ".DS_Store", "model-00001-of-00002.safetensors"]
REFS = ["main", "v1.0", "refs/pr/1", "feature/x", ".DS_Store"]


class RandomCache:
    """A cache as clients leave it, and with `damage` worse."""

    def __init__(self, folder, seed, damage):
        self.draw = random.Random(f"cache {seed}")
        self.root = pathlib.Path(folder)
        self.damage = damage
        self.root.mkdir()
        (self.root / "CACHEDIR.TAG").write_text("Signature")
        (self.root / ".locks/models--a--b").mkdir(parents=True)
        for kind in ("models", "datasets", "spaces", "kernels"):
            for name in ("gpt2", "org--name", "a--b--c"):
                if self.draw.random() < 0.4:
                    self.repository(self.root / f"{kind}--{name}")
        if self.chance():
            (self.root / "stray file").write_text("x")
        if self.chance():
            (self.root / "other--folder").mkdir()
        if self.draw.random() < 0.3:
            (self.root / "Thumbs.db").write_text("x")

    def chance(self):
        return self.damage and self.draw.random() < 0.3

    def repository(self, path):
        draw = self.draw
        commits = ["%040x" % draw.getrandbits(160)
                   for _ in range(draw.randrange(4))]
        (path / "blobs").mkdir(parents=True)
        blobs = [self.blob(path) for _ in range(draw.randrange(1, 5))]
        if not self.chance():
            (path / "snapshots").mkdir()
            for commit in commits:
                self.snapshot(path / "snapshots" / commit, blobs)
        for ref in draw.sample(REFS, draw.randrange(len(REFS))):
            if commits or self.chance():
                file = path / "refs" / ref
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(draw.choice(commits) if commits else "0" * 40)
        if draw.random() < 0.3:
            (path / "blobs/abc.1234.incomplete").write_text("part")
        if draw.random() < 0.3:
            (path / ".no_exist/x").mkdir(parents=True)
        if self.chance() and (path / "snapshots").exists():
            (path / "snapshots/file").write_text("x")
        if self.chance():
            draw.choice(blobs).unlink()

    def blob(self, path):
        data = self.draw.randbytes(self.draw.randrange(2000))
        blob = path / "blobs" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        moment = self.draw.randrange(10**9, 2 * 10**9)
        os.utime(blob, (moment, moment - self.draw.randrange(10**8)))
        return blob

    def snapshot(self, folder, blobs):
        folder.mkdir()
        for name in self.draw.sample(NAMES, self.draw.randrange(len(NAMES))):
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            blob = self.draw.choice(blobs)
            if self.draw.random() < 0.2:
                shutil.copy2(blob, file)
            else:
                file.symlink_to(os.path.relpath(blob, file.parent))
        os.utime(folder, (10**9, 10**9))


def ours(root):
    done = subprocess.run([DRIVER, str(root)], capture_output=True, text=True,
                          check=True)
    return json.loads(done.stdout)


def as_ours(repo):
    """A CachedRepoInfo as the driver prints it."""
    return {
        "type": repo.repo_type, "id": repo.repo_id,
        "folder": repo.repo_path.name, "size": repo.size_on_disk,
        "num_files": repo.nb_files, "last_used": int(repo.last_accessed),
        "last_modified": int(repo.last_modified), "revisions": sorted(({
            "commit": revision.commit_hash, "refs": sorted(revision.refs),
            "size": revision.size_on_disk,
            "last_modified": int(revision.last_modified),
            "files": {str(file.file_path.relative_to(revision.snapshot_path)):
                      [str(file.blob_path), file.size_on_disk]
                      for file in revision.files}}
            for revision in repo.revisions), key=lambda r: r["commit"])}


class ScanTest(unittest.TestCase):

    def compare(self, damage):
        problems = 0
        for seed in range(60):
            with (self.subTest(seed=seed),
                  tempfile.TemporaryDirectory() as folder):
                root = pathlib.Path(folder).resolve() / "cache"
                RandomCache(root, seed, damage)
                theirs = scan_cache_dir(root)
                found = ours(root)
                partials = {path for repo in found["repos"]
                            for path in repo.pop("partials")}
                bad = [repo["folder"] for repo in found["repos"]
                       if repo.pop("num_problems")]
                good = [repo for repo in found["repos"]
                        if repo["folder"] not in bad]
                self.assertEqual(good, sorted(
                    map(as_ours, theirs.repos), key=lambda r: r["folder"]))
                self.assertEqual(len(bad) + found["num_problems"],
                                 len(theirs.warnings))
                self.assertEqual(partials, {
                    str(file.file_path) for file in theirs.incomplete_files})
                problems += len(bad)
        return problems

    def test_caches_as_clients_leave_them(self):
        self.assertEqual(self.compare(damage=False), 0)

    def test_damaged_caches(self):
        self.assertGreater(self.compare(damage=True), 20)


if __name__ == "__main__":
    unittest.main()
