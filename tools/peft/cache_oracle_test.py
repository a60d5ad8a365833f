"""`peft cache` on a cache that huggingface_hub and `peft download` fill."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

from testing.fake_hub import python_client, trees, world
from testing.fake_hub.server import FakeHub

PEFT = sys.argv.pop(1)
scan_cache_dir = python_client.huggingface_hub.scan_cache_dir


class CacheTest(unittest.TestCase):

    def setUp(self):
        self.hub = self.enterContext(FakeHub())
        self.repositories = world.populate(self.hub, big=1 << 20)
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.cache = pathlib.Path(folder).resolve() / "cache"
        self.python = python_client.PythonClient(self.hub, str(self.cache))
        self.environment = {
            "HF_ENDPOINT": self.hub.url, "SSL_CERT_FILE": self.hub.ca,
            "HF_HOME": folder, "HF_HUB_CACHE": str(self.cache)}

    def peft(self, *words, code=0):
        done = subprocess.run([PEFT, *words], env=self.environment,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout

    def listed(self):
        return json.loads(self.peft("cache", "list", "--json"))["repos"]

    def commit(self, repo="org/adapter"):
        return self.repositories[repo].branches["main"]

    def let_age(self):
        """Nothing was changed in the last hour."""
        for path in [self.cache, *self.cache.rglob("*")]:
            moment = path.lstat().st_mtime - 3600
            os.utime(path, (moment, moment), follow_symlinks=False)

    def test_lists_and_verifies_what_both_have_fetched(self):
        self.python.snapshot("org/adapter")
        self.peft("download", "org/adapter", "--revision", "v1.0")
        self.peft("download", "org/data", "--type", "dataset")
        theirs = {repo.repo_id: repo for repo in
                  scan_cache_dir(self.cache).repos}
        ours = self.listed()
        self.assertEqual({repo["id"]: repo["size"] for repo in ours},
                         {name: repo.size_on_disk
                          for name, repo in theirs.items()})
        verified = json.loads(self.peft("cache", "verify", "--json"))
        self.assertEqual(verified["blobs"],
                         sum(repo["files"] for repo in ours))
        self.assertEqual(verified["problems"], [])

    def test_a_damaged_blob_is_found(self):
        folder = pathlib.Path(self.python.snapshot("org/adapter"))
        weights = (folder / "adapter_model.safetensors").resolve()
        data = bytearray(weights.read_bytes())
        data[1000] ^= 1
        weights.write_bytes(data)
        self.assertIn(str(weights), self.peft("cache", "verify", code=1))

    def test_a_revision_goes_and_the_other_is_whole(self):
        self.python.snapshot("org/adapter")
        self.python.snapshot("org/adapter", revision="v1.0")
        self.peft("cache", "rm", "org/adapter@v1.0", "--yes")
        scan = scan_cache_dir(self.cache)
        self.assertEqual(scan.warnings, [])
        (repo,) = scan.repos
        self.assertEqual([r.commit_hash for r in repo.revisions],
                         [self.commit()])
        self.assertEqual(trees.wrong_blobs(str(self.cache)), [])
        self.python.snapshot("org/adapter", offline=True)
        self.peft("cache", "rm", "org/adapter", "--yes")
        self.assertEqual(self.listed(), [])

    def test_prune_takes_what_python_calls_detached(self):
        self.python.snapshot("org/adapter")
        self.python.snapshot("gpt-tiny", revision=self.commit("gpt-tiny"))
        self.assertIn("freed 0 B", self.peft("cache", "prune", "--yes"))
        self.let_age()
        self.peft("cache", "prune", "--yes")
        (repo,) = (repo for repo in scan_cache_dir(self.cache).repos
                   if repo.revisions)
        self.assertEqual(repo.repo_id, "org/adapter")
        self.python.snapshot("org/adapter", offline=True)

    def test_a_download_and_a_prune_at_once(self):
        """Also of a commit, which no ref names."""
        done = threading.Event()

        def prune():
            while not done.is_set():
                self.peft("cache", "prune", "--yes")

        pruner = threading.Thread(target=prune)
        self.cache.mkdir()
        pruner.start()
        try:
            commit = self.commit("org/many")
            for _ in range(3):
                self.peft("download", "org/many", "--revision", commit)
                self.python.snapshot("org/adapter")
                self.assertEqual(len(list((
                    self.cache / "models--org--many/snapshots" / commit
                ).rglob("*.json"))), 40)
                self.peft("cache", "verify")
        finally:
            done.set()
            pruner.join()


if __name__ == "__main__":
    unittest.main()
