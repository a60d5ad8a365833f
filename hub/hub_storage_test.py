"""Disks that are full, and folders that cannot be written: a clear error, no
damage, and once all is well again the right files.

    hub_storage_test.py DRIVER
"""

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import sys
import tempfile
import unittest

from hub.driver_client import OurClient, OurError
from testing.fake_hub import content, trees, world
from testing.fake_hub.server import FakeHub

DRIVER = sys.argv.pop(1)
MIB = 1 << 20
BIG = 9 * MIB
CACHE = "models--org--adapter"
PARALLEL = ("--connections", "4", "--parallel-from", "1")

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_CAPBSET_DROP = 24
# CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
_ROOTS_OWN = (1, 2, 3)


def _obey_modes():
    """Lets what this process starts be refused what its modes forbid."""
    for capability in _ROOTS_OWN:
        _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def _limit_files(size):
    """Files cannot grow beyond `size`: stands in for a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@contextlib.contextmanager
def read_only(*folders):
    """Nothing in `folders`, or below, can be created or removed."""
    places = [place for folder in folders
              for place, _, _ in os.walk(folder)]
    modes = {place: os.stat(place).st_mode for place in places}
    try:
        for place in places:
            os.chmod(place, 0o555)
        yield
    finally:
        for place, mode in modes.items():
            os.chmod(place, mode)


class StorageTest(unittest.TestCase):

    def setUp(self):
        self.hub = self.enterContext(FakeHub())
        self.world = world.populate(self.hub, BIG)
        self.folder = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.cache = os.path.join(self.folder, "cache")
        os.mkdir(self.cache)
        self.mine = os.path.join(self.folder, "mine")
        self.ours = OurClient(DRIVER, self.hub, self.cache)

    def files(self, repo):
        repository = self.world[repo]
        return repository.commits[repository.branches["main"]]

    def assert_has(self, folder, repo):
        """`folder` has exactly the files of `repo`, beside state."""
        files = self.files(repo)
        for path, file in files.items():
            with open(os.path.join(folder, path), "rb") as stored:
                self.assertEqual(stored.read(), file.data, path)

    def assert_error(self, arguments, before=None, error_id="FILE_WRITE"):
        """Fails with an error that names a file of ours; damages nothing."""
        with self.assertRaises(OurError) as raised:
            self.ours.run(list(arguments), before=before)
        self.assertEqual(raised.exception.id, error_id, raised.exception)
        self.assertIn(self.folder, str(raised.exception))
        self.assertEqual(trees.wrong_blobs(self.cache), [])
        return str(raised.exception)

    # -- read-only

    def test_a_read_only_cache_serves_what_it_has(self):
        folder = self.ours.snapshot("org/adapter")
        commit = self.world["org/adapter"].branches["main"]
        before = trees.tree(self.cache, locks=True)
        with read_only(self.cache):
            for arguments in (["snapshot", "org/adapter"],
                              ["snapshot", "org/adapter", "--revision",
                               commit]):
                self.assertEqual(self.ours.run(arguments, before=_obey_modes),
                                 folder)
            self.assertEqual(
                self.ours.run(["download", "org/adapter", "README.md"],
                              before=_obey_modes),
                os.path.join(folder, "README.md"))
        self.assertEqual(trees.tree(self.cache, locks=True), before)

    def test_a_read_only_cache_that_lacks_a_file_is_an_error(self):
        self.ours.download("org/adapter", "README.md")
        before = trees.tree(self.cache, locks=True)
        with read_only(self.cache):
            for arguments in (["snapshot", "org/adapter"],
                              ["download", "org/adapter", "empty.txt"],
                              ["download", "org/big", "model.bin"],
                              ["snapshot", "org/big", *PARALLEL]):
                with self.subTest(arguments):
                    said = self.assert_error(arguments, _obey_modes)
                    self.assertIn("Permission denied", said)
        self.assertEqual(trees.tree(self.cache, locks=True), before)
        self.assert_has(self.ours.snapshot("org/adapter"), "org/adapter")

    def test_each_folder_that_cannot_be_written(self):
        self.ours.download("org/adapter", "README.md")
        for name in ("blobs", "snapshots"):
            with self.subTest(name), read_only(
                    os.path.join(self.cache, CACHE, name)):
                self.assert_error(["snapshot", "org/adapter"], _obey_modes)
        for name in (f"{CACHE}/refs", ".locks"):
            with self.subTest(name), read_only(os.path.join(self.cache, name)):
                self.assert_has(self.ours.run(
                    ["snapshot", "org/adapter"], before=_obey_modes),
                                "org/adapter")
        self.assertEqual(trees.left_over(self.cache), [])

    def test_a_lock_of_another_user(self):
        locks = os.path.join(self.cache, ".locks", CACHE)
        os.makedirs(locks)
        for file in self.files("org/adapter").values():
            path = os.path.join(locks, file.etag + ".lock")
            with open(path, "wb"):
                os.chmod(path, 0)
        self.assert_has(self.ours.run(["snapshot", "org/adapter"],
                                      before=_obey_modes), "org/adapter")

    # -- full

    def test_a_full_disk(self):
        for size in (0, 20, 3000, 50_000, 5 * MIB):
            for arguments in (["snapshot", "org/adapter"],
                              ["snapshot", "org/big"],
                              ["download", "org/big", "model.bin", *PARALLEL]):
                if size > 120_000 and "org/big" not in arguments:
                    continue
                with self.subTest(arguments, size=size):
                    shutil.rmtree(self.cache)
                    os.mkdir(self.cache)
                    self.assert_error(arguments, lambda s=size: _limit_files(s))
                    path = self.ours.run(arguments)
                    folder = path if os.path.isdir(path) else None
                    if folder:
                        self.assert_has(folder, arguments[1])
                    self.assertEqual(trees.wrong_blobs(self.cache), [])
                    self.assertEqual(trees.left_over(self.cache), [])

    def test_what_was_written_before_the_disk_was_full_is_used(self):
        arguments = ["download", "org/big", "model.bin"]
        self.assert_error(arguments, lambda: _limit_files(5 * MIB))
        self.hub.forget()
        self.ours.run(arguments)
        self.assertLess(sum(r.sent for r in self.hub.seen("cdn")), BIG - 4 * MIB)

    # -- folders of one's own

    def test_a_folder_that_cannot_be_written(self):
        os.mkdir(self.mine)
        arguments = ["snapshot", "org/adapter", "--local-dir", self.mine]
        with read_only(self.mine):
            self.assert_error(arguments, _obey_modes)
        self.assertEqual(os.listdir(self.mine), [])
        self.ours.run(arguments)
        self.assert_has(self.mine, "org/adapter")

    def test_a_folder_on_a_full_disk(self):
        arguments = ["snapshot", "org/adapter", "--local-dir", self.mine]
        self.ours.run(arguments)
        adapter = self.world["org/adapter"]
        files = dict(self.files("org/adapter"))
        old = files["adapter_model.safetensors"]
        files["adapter_model.safetensors"] = content.lfs("third", 90_000)
        adapter.commit(files)
        self.assert_error(arguments, lambda: _limit_files(50_000))
        place = os.path.join(self.mine, "adapter_model.safetensors")
        with open(place, "rb") as file:
            self.assertEqual(file.read(), old.data)
        self.ours.run(arguments)
        self.assert_has(self.mine, "org/adapter")
        self.assertEqual(trees.left_over(self.mine), [])

    def test_a_folder_from_a_cache_that_is_read_only(self):
        self.ours.snapshot("org/adapter")
        self.hub.forget()
        with read_only(self.cache):
            self.ours.run(["snapshot", "org/adapter", "--local-dir", self.mine],
                          before=_obey_modes)
        self.assert_has(self.mine, "org/adapter")
        self.assertEqual(len(self.hub.requests), 1)


if __name__ == "__main__":
    unittest.main()
