"""One download from a Hub that misbehaves, and what may come of it."""

import os
import shutil
import tempfile

from hub.driver_client import PATIENCE, OurClient, OurError
from testing.fake_hub import trees, world
from testing.fake_hub.server import FakeHub

BYTES = "the right bytes"
# What may come instead of the right bytes. Not: a programming error, a full
# disk, or an error without a name.
NAMED = {"HUB_CONNECT", "HUB_ENTRY_NOT_FOUND", "HUB_HASH_MISMATCH", "HUB_HTTP",
         "HUB_LOCAL_ENTRY_NOT_FOUND", "HUB_RATE_LIMITED",
         "HUB_REPOSITORY_NOT_FOUND", "HUB_RESPONSE", "HUB_TIMEOUT", "HUB_TLS",
         "HUB_UNAUTHORIZED", "HUB_URL", "PATH_ESCAPES"}
# A file that a listing may name so that it lands here.
EVIL = os.path.join(tempfile.gettempdir(), "fake-hub-evil")


class Trial:
    """A Hub of its own and an empty cache, while it is entered.

    `verb`: "snapshot", or "download" of the largest file of `repo`. `options`:
    of the driver. `timeout_s`: OurClient's.
    """

    def __init__(self, driver, verb, repo, big, options=(),
                 timeout_s=PATIENCE):
        self.verb = verb
        self.options = options
        self.repo = repo
        self.hub = FakeHub()
        made = world.populate(self.hub, big)[repo]
        self.commit = made.branches["main"]
        self.files = made.commits[self.commit]
        self.largest = max(self.files, key=lambda f: len(self.files[f].data))
        self.cache = tempfile.mkdtemp()
        self.ours = OurClient(driver, self.hub, self.cache, world.READER,
                              timeout_s=timeout_s)

    def __enter__(self):
        self.hub.__enter__()
        return self

    def __exit__(self, *raised):
        self.hub.__exit__(*raised)
        shutil.rmtree(self.cache)

    def arguments(self):
        """Of the driver."""
        if self.verb == "snapshot":
            return ["snapshot", self.repo, *self.options]
        return ["download", self.repo, self.largest, *self.options]

    def run(self):
        """BYTES, or the id of an error; raises for what must never be."""
        try:
            self.ours.run(self.arguments())
        except OurError as error:
            if error.id not in NAMED:
                raise AssertionError(f"unexpected: {error}") from error
            self.check([])
            return error.id
        self.check(self.files if self.verb == "snapshot" else [self.largest])
        return BYTES

    def check(self, wanted):
        """The cache has the files `wanted`, and nothing wrong."""
        snapshot = os.path.join(
            self.cache, "models--" + self.repo.replace("/", "--"), "snapshots",
            self.commit)
        there = trees.tree(snapshot)
        for path in there:
            with open(os.path.join(snapshot, path), "rb") as file:
                if (path not in self.files
                        or file.read() != self.files[path].data):
                    raise AssertionError(f"{path} is wrong in the snapshot")
        if not set(wanted) <= set(there):
            raise AssertionError(f"missing: {set(wanted) - set(there)}")
        wrong = trees.wrong_blobs(self.cache)
        if wrong or os.path.exists(EVIL):
            raise AssertionError(f"wrong in the cache, or outside: {wrong}")
        for request in self.hub.seen("cdn"):
            if world.READER in request.target + str(request.headers):
                raise AssertionError("the token reached another origin")

    def recover(self):
        """Once all is well again, a download is done and leaves nothing."""
        self.hub.schedule.clear()
        what = self.run()
        if what != BYTES:
            raise AssertionError(f"{what} from a Hub that is well")
        if trees.left_over(self.cache):
            raise AssertionError(f"left over: {trees.left_over(self.cache)}")
