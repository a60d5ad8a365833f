"""Our client and Python's beside each other, on one fake Hub."""

import os
import shutil
import sys
import tempfile
import unittest

from hub.driver_client import OurClient
from testing.fake_hub import python_client, trees, world
from testing.fake_hub.server import FakeHub

DRIVER = sys.argv.pop(1)
CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Fixture(unittest.TestCase):
    """A Hub, and a cache for each side; no token may leave the Hub."""

    maxDiff = 2000

    def setUp(self):
        self.hub = self.enterContext(FakeHub())
        self.world = world.populate(self.hub, big=9 << 20)
        self.start_anew()

    def start_anew(self):
        """Empty caches; new folders, for Python remembers what was in them."""
        folder = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        self.our_cache = os.path.join(folder, "ours")
        self.python_cache = os.path.join(folder, "python")
        self.ours = self.our_client()
        self.python = self.python_client()

    def tearDown(self):
        for request in self.hub.seen("cdn"):
            self.assertNotRegex(request.target + str(request.headers),
                                "authorization|hf_(reader|stranger|wrong)")

    def our_client(self, token=None, cache=None, environment=(), **options):
        return OurClient(DRIVER, self.hub, cache or self.our_cache, token,
                         environment, **options)

    def python_client(self, token=False, cache=None):
        return python_client.PythonClient(self.hub, cache or self.python_cache,
                                          token)

    def file(self, repo, path, revision="main"):
        repository = self.world[repo]
        return repository.commits[repository.resolve(revision)][path]

    def assert_same_trees(self):
        ours, python = (trees.tree(cache) for cache in
                        (self.our_cache, self.python_cache))
        if not any("/snapshots/" in path for path in python):
            # Where each file was refused: we tag the cache before the first
            # one is asked for, Python after.
            ours.pop("CACHEDIR.TAG", None)
        self.assertEqual(ours, python)
        self.assertEqual(trees.left_over(self.our_cache), [])

    def on_both(self, verb, *arguments, **options):
        """Does it on both sides; where one fails, the other does."""
        said = []
        for client in (self.ours, self.python):
            names = dict(options)
            if client is self.python and "allow" in names:
                names["allow_patterns"] = names.pop("allow")
            if client is self.python and "ignore" in names:
                names["ignore_patterns"] = names.pop("ignore")
            try:
                path = getattr(client, verb)(*arguments, **names)
                said.append(os.path.relpath(path, os.path.dirname(
                    self.our_cache)).split(os.sep, 1)[1])
            except AssertionError:
                raise
            except Exception as error:  # pylint: disable=broad-except
                said.append(None)
                last = error
        if None in said:
            self.assertEqual(said, [None, None], last)
        self.assertEqual(said[0], said[1])
