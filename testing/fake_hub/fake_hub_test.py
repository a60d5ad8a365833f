"""Python's huggingface_hub finds in the fake Hub what it knows of the real."""

import os
import shutil
import tempfile
import unittest

from testing.fake_hub import python_client, trees, world
from testing.fake_hub.server import FakeHub

from huggingface_hub import errors  # after python_client

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Fixture(unittest.TestCase):
    """A Hub, a cache and Python's client for each test."""

    tls = True

    def setUp(self):
        self.hub = self.enterContext(FakeHub(tls=self.tls))
        self.world = world.populate(self.hub, big=1 << 20)
        self.cache = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.cache)
        self.python = self.client()

    def client(self, token=False):
        return python_client.PythonClient(self.hub, self.cache, token)

    def file(self, repo, path, revision="main"):
        repository = self.world[repo]
        return repository.commits[repository.resolve(revision)][path]

    def in_cache(self, folder, *parts):
        return os.path.join(self.cache, folder, *parts)


class DownloadTest(Fixture):

    def test_a_file_of_the_cdn_is_linked_to_its_blob(self):
        path = self.python.download("org/adapter", WEIGHTS)
        file = self.file("org/adapter", WEIGHTS)
        self.assertEqual(read(path), file.data)
        self.assertEqual(os.readlink(path), "../../blobs/" + file.sha256)
        self.assertEqual(
            [(r.origin, r.method, r.status) for r in self.hub.requests],
            [("hub", "HEAD", 302), ("cdn", "GET", 200)])

    def test_a_small_file_comes_compressed(self):
        path = self.python.download("org/adapter", CONFIG)
        file = self.file("org/adapter", CONFIG)
        self.assertEqual(read(path), file.data)
        self.assertEqual(os.readlink(path), "../../blobs/" + file.oid)

    def test_a_small_file_of_the_resolve_cache(self):
        self.hub.resolve_cache = True
        path = self.python.download("org/adapter", CONFIG)
        self.assertEqual(read(path), self.file("org/adapter", CONFIG).data)
        self.assertTrue(self.hub.seen(path="/api/resolve-cache/"))

    def test_names_that_are_quoted(self):
        name = "with blank/ü & 100%+#?.txt"
        path = self.python.download("org/adapter", name)
        self.assertEqual(read(path), self.file("org/adapter", name).data)

    def test_a_snapshot_and_its_tree(self):
        folder = self.python.snapshot("org/adapter")
        main = self.world["org/adapter"].branches["main"]
        for path, file in self.world["org/adapter"].commits[main].items():
            self.assertEqual(read(os.path.join(folder, path)), file.data)
        there = trees.tree(self.cache)
        self.assertIn(f"models--org--adapter/trees/{main}.json", there)
        self.assertEqual(trees.wrong_blobs(self.cache), [])
        self.assertEqual(trees.left_over(self.cache), [])

    def test_a_snapshot_in_pages(self):
        self.hub.page_size = 7
        folder = self.python.snapshot("org/many")
        self.assertEqual(len(os.listdir(folder)), 40)
        self.assertEqual(len(self.hub.seen(path="/tree/")), 12)

    def test_a_snapshot_by_patterns(self):
        folder = self.python.snapshot("org/adapter", allow_patterns=["*.json"],
                                      ignore_patterns=["sub/*"])
        self.assertEqual(os.listdir(folder), [CONFIG])

    def test_revisions(self):
        adapter = self.world["org/adapter"]
        main = adapter.branches["main"]
        for revision in ("v1.0", "refs/pr/1", "feature/x", main, main[:8]):
            with self.subTest(revision=revision):
                path = self.python.download("org/adapter", WEIGHTS,
                                            revision=revision)
                file = self.file("org/adapter", WEIGHTS, revision)
                self.assertEqual(read(path), file.data)
                ref = self.in_cache("models--org--adapter", "refs", revision)
                if revision != main:
                    self.assertEqual(read(ref).decode(),
                                     adapter.resolve(revision))

    def test_a_renamed_repository(self):
        path = self.python.download("org/old-name", CONFIG)
        self.assertEqual(read(path), self.file("org/old-name", CONFIG).data)
        self.assertEqual(self.hub.requests[0].status, 307)
        self.assertTrue(os.path.isdir(self.in_cache("models--org--old-name")))
        self.python.snapshot("org/old-name")

    def test_a_name_in_other_letters(self):
        self.assertEqual(read(self.python.download("ORG/Adapter", CONFIG)),
                         self.file("org/adapter", CONFIG).data)

    def test_a_data_set_and_a_repository_without_owner(self):
        path = self.python.download("org/data", "data.parquet",
                                    repo_type="dataset")
        self.assertEqual(read(path),
                         self.file("org/data", "data.parquet").data)
        self.python.snapshot("gpt-tiny")
        self.assertTrue(os.path.isdir(self.in_cache("datasets--org--data")))
        self.assertTrue(os.path.isdir(self.in_cache("models--gpt-tiny")))

    def test_missing_files_and_revisions(self):
        with self.assertRaises(errors.RemoteEntryNotFoundError):
            self.python.download("org/adapter", "none.bin")
        main = self.world["org/adapter"].branches["main"]
        self.assertTrue(os.path.exists(self.in_cache(
            "models--org--adapter", ".no_exist", main, "none.bin")))
        with self.assertRaises(errors.RevisionNotFoundError):
            self.python.download("org/adapter", CONFIG, revision="nowhere")
        with self.assertRaises(errors.RevisionNotFoundError):
            self.python.snapshot("org/adapter", revision="nowhere")

    def test_an_offline_client_reads_what_is_there(self):
        path = self.python.download("org/adapter", CONFIG)
        self.hub.forget()
        self.assertEqual(
            self.python.download("org/adapter", CONFIG, offline=True), path)
        with self.assertRaises(errors.LocalEntryNotFoundError):
            self.python.download("org/adapter", WEIGHTS, offline=True)
        self.assertEqual(self.hub.requests, [])

    def test_listings_and_refs(self):
        api = self.python.api
        adapter = self.world["org/adapter"]
        refs = api.list_repo_refs("org/adapter", include_pull_requests=True)
        self.assertEqual([b.name for b in refs.branches], ["main", "feature/x"])
        self.assertEqual(refs.tags[0].target_commit, adapter.tags["v1.0"])
        self.assertEqual(refs.pull_requests[0].ref, "refs/pr/1")
        info = api.model_info("org/adapter")
        self.assertEqual(info.sha, adapter.branches["main"])
        self.assertEqual(info.id, "org/adapter")
        [weights] = api.get_paths_info("org/adapter", [WEIGHTS])
        self.assertEqual(weights.lfs.sha256,
                         self.file("org/adapter", WEIGHTS).sha256)
        below = api.list_repo_tree("org/adapter", "sub/deep")
        self.assertEqual([entry.path for entry in below],
                         ["sub/deep/weights.bin"])
        top = api.list_repo_tree("org/adapter")
        self.assertIn("sub", [entry.path for entry in top])

    def test_xet_hashes_are_listed(self):
        [_, weights] = self.python.api.list_repo_tree("org/xet")
        self.assertEqual(weights.xet_hash,
                         self.file("org/xet", "model.safetensors").xet_hash)
        path = self.python.download("org/xet", "model.safetensors")
        self.assertEqual(read(path),
                         self.file("org/xet", "model.safetensors").data)


class AccessTest(Fixture):
    """Tokens; the 401 that means "no such repository" needs https."""

    def test_a_private_repository(self):
        with self.assertRaises(errors.RepositoryNotFoundError):
            self.python.download("org/private", CONFIG)
        with self.assertRaises(errors.RepositoryNotFoundError):
            self.client(world.STRANGER).download("org/private", CONFIG)
        reader = self.client(world.READER)
        self.assertEqual(read(reader.download("org/private", CONFIG)),
                         self.file("org/private", CONFIG).data)

    def test_a_token_reaches_no_other_origin(self):
        self.client(world.READER).download("org/private", WEIGHTS)
        self.assertEqual(len(self.hub.seen("cdn")), 1)
        self.assertIn("authorization", self.hub.requests[0].headers)
        self.assertNotIn("authorization", self.hub.seen("cdn")[0].headers)

    def test_a_gated_repository(self):
        for token in (False, world.STRANGER):
            with self.assertRaises(errors.GatedRepoError):
                self.client(token).download("org/gated", CONFIG)
        self.client(world.READER).download("org/gated", CONFIG)

    def test_a_missing_and_a_disabled_repository(self):
        with self.assertRaises(errors.RepositoryNotFoundError):
            self.python.download("org/nothing", CONFIG)
        with self.assertRaises(errors.DisabledRepoError):
            self.python.api.model_info("org/disabled")

    def test_a_wrong_token(self):
        with self.assertRaises(errors.HfHubHTTPError) as raised:
            self.client("hf_wrong").download("org/adapter", CONFIG)
        self.assertIn("Invalid credentials", str(raised.exception))

    def test_a_rate_limit(self):
        self.hub.remaining = 0
        with self.assertRaisesRegex(errors.HfHubHTTPError, "'resolvers'"):
            self.python.api.model_info("org/adapter")
        path = self.python.download("org/adapter", CONFIG)
        self.assertEqual(read(path), self.file("org/adapter", CONFIG).data)


class PlainHttpTest(DownloadTest):
    """The same over http."""

    tls = False


if __name__ == "__main__":
    unittest.main()
