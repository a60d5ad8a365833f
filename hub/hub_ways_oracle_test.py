"""Other ways to the same cache: copies, shared blobs, refusals, listings."""

import os
import time
import unittest
from unittest import mock

from hub.driver_client import OurError
from hub.side_by_side import CONFIG, WEIGHTS, Fixture, read
from testing.fake_hub import trees, world

from huggingface_hub import constants  # after side_by_side


class CopiesTest(Fixture):
    """Without links: HF_HUB_DISABLE_SYMLINKS."""

    def setUp(self):
        super().setUp()
        self.enterContext(
            mock.patch.object(constants, "HF_HUB_DISABLE_SYMLINKS", True))
        self.ours = self.our_client(
            environment={"HF_HUB_DISABLE_SYMLINKS": "1"})

    def test_files_and_snapshots(self):
        self.on_both("download", "org/adapter", WEIGHTS)
        self.assert_same_trees()
        self.on_both("download", "org/adapter", CONFIG, revision="v1.0")
        self.on_both("download", "org/adapter", "none")
        self.on_both("snapshot", "gpt-tiny")
        self.on_both("snapshot", "org/many")
        self.assert_same_trees()

    def test_a_blob_that_is_there_is_copied(self):
        for cache in (self.our_cache, self.python_cache):
            with mock.patch.object(constants, "HF_HUB_DISABLE_SYMLINKS", False):
                self.python_client(cache=cache).download("org/adapter", CONFIG)
        self.on_both("download", "org/adapter", CONFIG, revision="v1.0")
        self.assert_same_trees()


class OtherTypesTest(Fixture):

    def test_data_sets(self):
        self.on_both("download", "org/data", "data.parquet",
                     repo_type="dataset")
        self.on_both("snapshot", "org/data", repo_type="dataset")
        self.on_both("download", "org/data", "none", repo_type="dataset")
        self.on_both("download", "org/data", "data.json")
        self.assert_same_trees()


class SharedBlobsTest(Fixture):
    """Blobs that are links into the store that clients with Xet share."""

    def test_they_are_read_and_kept(self):
        path = self.ours.download("org/xet", "model.safetensors")
        file = self.file("org/xet", "model.safetensors")
        blob = os.path.realpath(path)
        store = os.path.join(self.our_cache, "blobs", file.xet_hash[:2])
        os.makedirs(store)
        os.rename(blob, os.path.join(store, file.xet_hash))
        os.symlink(f"../../blobs/{file.xet_hash[:2]}/{file.xet_hash}", blob)
        before = trees.tree(self.our_cache)
        self.hub.forget()
        self.assertEqual(
            self.ours.download("org/xet", "model.safetensors", offline=True),
            path)
        self.assertEqual(self.ours.download("org/xet", "model.safetensors"),
                         path)
        os.unlink(path)
        self.assertEqual(self.ours.download("org/xet", "model.safetensors"),
                         path)
        self.assertEqual(trees.tree(self.our_cache), before)
        self.assertEqual(read(path), file.data)
        self.assertEqual(self.hub.seen("cdn"), [])


class CachedAndRefusedTest(Fixture):
    """What is cached makes up for a Hub that does not answer well."""

    ASKS = [("download", ["org/adapter", CONFIG]),
            ("download", ["org/adapter", WEIGHTS]), ("snapshot", ["gpt-tiny"])]

    def test_the_same_refusals(self):
        refusals = [{"value": status} for status in (400, 401, 403, 404, 500)]
        refusals += [{"value": status, "fields": [("X-Error-Code", code)]}
                     for status, code in ((401, "GatedRepo"),
                                          (404, "RepoNotFound"),
                                          (404, "RevisionNotFound"))]
        for refusal in refusals:
            for verb, arguments in self.ASKS:
                with self.subTest(verb, arguments=arguments, **refusal):
                    self.hub.forget()
                    self.start_anew()
                    self.on_both(verb, *arguments)
                    self.hub.misbehave("status", times=None, **refusal)
                    self.on_both(verb, *arguments)
                    self.assert_same_trees()

    def test_connections_that_break(self):
        # Python takes some of these for errors of a program, and raises them.
        for kind, value in (("close", None), ("stall", 9), ("reset", None)):
            for verb, arguments in self.ASKS:
                with self.subTest(kind, verb=verb, arguments=arguments):
                    self.hub.forget()
                    self.start_anew()
                    path = getattr(self.ours, verb)(*arguments)
                    self.hub.misbehave(kind, value, times=None)
                    hasty = self.our_client(timeout_s=1)
                    self.assertEqual(getattr(hasty, verb)(*arguments), path)

    def test_offline(self):
        self.on_both("download", "org/adapter", CONFIG)
        self.on_both("snapshot", "org/adapter", allow=["*.txt"])
        self.hub.forget()
        for verb, arguments, options in (
                ("download", ["org/adapter", CONFIG], {}),
                ("download", ["org/adapter", WEIGHTS], {}),
                ("download", ["org/adapter", CONFIG], {"revision": "v1.0"}),
                ("snapshot", ["org/adapter"], {}),
                ("snapshot", ["org/adapter"], {"allow": ["*.txt"]}),
                ("snapshot", ["org/adapter"], {"revision": "v1.0"}),
                ("snapshot", ["gpt-tiny"], {})):
            with self.subTest(verb, arguments=arguments, **options):
                self.on_both(verb, *arguments, offline=True, **options)
        self.assertEqual(self.hub.requests, [])


class ListingsTest(Fixture):

    def test_a_tree_in_pages(self):
        self.hub.page_size = 3
        lines = self.ours.lines(["tree", "org/adapter", "--revision", "v1.0"])
        entries = self.python.api.list_repo_tree(
            "org/adapter", recursive=True, revision="v1.0")
        self.assertEqual(sorted(lines), sorted(
            f"{e.path} {e.size} {e.lfs.sha256 if e.lfs else e.blob_id}"
            for e in entries if hasattr(e, "size")))

    def test_refs(self):
        refs = self.python.api.list_repo_refs("org/adapter",
                                              include_pull_requests=True)
        wanted = [f"{ref.ref} {ref.target_commit}"
                  for kind in (refs.branches, refs.tags, refs.pull_requests)
                  for ref in kind]
        self.assertEqual(sorted(self.ours.lines(["refs", "org/adapter"])),
                         sorted(wanted))

    def test_info(self):
        for revision in ("main", "v1.0", "refs/pr/1", "feature/x"):
            self.assertEqual(
                self.ours.run(["info", "org/adapter", "--revision", revision]),
                self.python.api.model_info("org/adapter",
                                           revision=revision).sha)


class TokensTest(Fixture):

    def test_a_token_in_its_file(self):
        place = os.path.join(os.path.dirname(self.our_cache), "a-token")
        with open(place, "w", encoding="utf-8") as file:
            file.write(world.READER + "\n")
        ours = self.our_client(environment={"HF_TOKEN_PATH": place})
        ours.download("org/private", CONFIG)
        with self.assertRaises(OurError):
            self.our_client(environment={
                "HF_TOKEN_PATH": place, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
            }).snapshot("org/private", revision="v2")

    def test_a_limit_is_waited_for(self):
        self.hub.remaining = 1
        begin = time.monotonic()
        self.ours.snapshot("gpt-tiny")
        self.assertGreater(time.monotonic() - begin, 1.0)
        self.assertLess(len(self.hub.seen("hub")), 6)


if __name__ == "__main__":
    unittest.main()
