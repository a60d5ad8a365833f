"""Our client leaves the cache that huggingface_hub leaves, for one fake Hub."""

import concurrent.futures
import os
import random
import threading
import unittest

from hub.driver_client import OurError
from hub.side_by_side import CONFIG, WEIGHTS, Fixture, read
from testing.fake_hub import content, trees, world


class SameTreesTest(Fixture):

    def test_files(self):
        commit = self.world["org/adapter"].branches["main"]
        for file, revision in ((CONFIG, None), (WEIGHTS, None),
                               (CONFIG, "v1.0"), (WEIGHTS, "refs/pr/1"),
                               (WEIGHTS, "feature/x"), (CONFIG, commit),
                               ("README.md", commit[:9]), ("empty.txt", None),
                               ("sub/deep/weights.bin", None),
                               ("sub/twin.bin", None),
                               ("with blank/ü & 100%+#?.txt", None)):
            with self.subTest(file=file, revision=revision):
                self.on_both("download", "org/adapter", file,
                             revision=revision)
                self.assert_same_trees()

    def test_a_first_file_of_a_pinned_commit(self):
        commit = self.world["org/adapter"].branches["main"]
        self.on_both("download", "org/adapter", WEIGHTS, revision=commit)
        self.assert_same_trees()

    def test_a_missing_file(self):
        for file in ("none.bin", "sub/none.bin"):
            self.on_both("download", "org/adapter", file)
            self.assert_same_trees()

    def test_a_missing_revision_and_repository(self):
        self.on_both("download", "org/adapter", CONFIG, revision="nowhere")
        self.on_both("download", "org/nothing", CONFIG)
        self.on_both("snapshot", "org/nothing")
        self.assertEqual(os.path.exists(self.our_cache),
                         os.path.exists(self.python_cache))

    def test_renamed_and_in_other_letters(self):
        self.on_both("download", "org/old-name", WEIGHTS)
        self.on_both("download", "ORG/Adapter", CONFIG)
        self.on_both("download", "org/old-name", "none")
        self.on_both("snapshot", "org/old-name")
        self.assert_same_trees()

    def test_small_files_behind_a_redirect(self):
        self.hub.resolve_cache = True
        self.on_both("download", "org/adapter", CONFIG)
        self.on_both("snapshot", "gpt-tiny")
        self.assert_same_trees()

    def test_snapshots(self):
        self.hub.page_size = 7
        for repo, options in (
                ("org/adapter", {}), ("org/adapter", {"revision": "v1.0"}),
                ("org/adapter", {"revision": "refs/pr/1"}),
                ("org/many", {}), ("gpt-tiny", {}), ("org/xet", {})):
            with self.subTest(repo, **options):
                self.on_both("snapshot", repo, **options)
                self.assert_same_trees()

    def test_snapshots_by_pattern(self):
        for options in ({"allow": ["*.json"]}, {"ignore": ["sub/*"]},
                        {"allow": ["sub/"]}, {"allow": ["*.[bs]*"],
                                              "ignore": ["*win*", "a?ap*"]},
                        {"allow": ["[!.]*"]}, {"allow": ["nothing"]},
                        {"allow": ["*.JSON"]}):
            with self.subTest(**options):
                self.start_anew()
                self.on_both("snapshot", "org/adapter", **options)
                self.assert_same_trees()

    def test_a_branch_that_moves_on(self):
        adapter = self.world["org/adapter"]
        self.on_both("download", "org/adapter", WEIGHTS)
        self.on_both("snapshot", "org/adapter")
        files = dict(adapter.commits[adapter.branches["main"]])
        files[WEIGHTS] = content.lfs("third", 50_000)
        del files["README.md"]
        adapter.commit(files)
        self.on_both("download", "org/adapter", CONFIG)
        self.on_both("download", "org/adapter", "README.md")
        self.on_both("snapshot", "org/adapter")
        self.assert_same_trees()

    def test_random_sequences(self):
        draw = random.Random(20261125)
        for number in range(12):
            self.start_anew()
            for _ in range(4):
                name = draw.choice(sorted(self.world))
                repository = self.world[name]
                if repository.type != "model":
                    continue
                revisions = [*repository.branches, *repository.tags,
                             *repository.pulls, *repository.commits, "none"]
                what = {"revision": draw.choice(revisions)}
                files = sorted(repository.commits[repository.branches["main"]])
                with self.subTest(number=number, repo=name, **what):
                    if draw.random() < 0.6:
                        self.on_both("download", name,
                                     draw.choice([*files, "none"]), **what)
                    else:
                        self.on_both("snapshot", name, **what)
                    self.assert_same_trees()


class SharedCacheTest(Fixture):
    """One cache for both."""

    def start_anew(self):
        super().start_anew()
        self.python = self.python_client(cache=self.our_cache)

    def test_python_reads_offline_what_we_wrote(self):
        file = self.ours.download("org/adapter", WEIGHTS, revision="v1.0")
        folder = self.ours.snapshot("org/many")
        self.assertEqual(self.python.download(
            "org/adapter", WEIGHTS, revision="v1.0", offline=True), file)
        self.assertEqual(self.python.snapshot("org/many", offline=True), folder)

    def test_we_read_offline_what_python_wrote(self):
        file = self.python.download("org/adapter", WEIGHTS, revision="v1.0")
        folder = self.python.snapshot("org/many")
        self.hub.forget()
        self.assertEqual(self.ours.download(
            "org/adapter", WEIGHTS, revision="v1.0", offline=True), file)
        self.assertEqual(self.ours.snapshot("org/many", offline=True), folder)
        with self.assertRaises(OurError) as raised:
            self.ours.download("org/adapter", CONFIG, revision="v1.0",
                               offline=True)
        self.assertIn(raised.exception.id,
                      ("HUB_LOCAL_ENTRY_NOT_FOUND", "HUB_OFFLINE"))
        self.assertEqual(self.hub.requests, [])

    def test_what_is_there_is_not_fetched_again(self):
        self.python.snapshot("org/adapter")
        self.hub.forget()
        self.ours.snapshot("org/adapter")
        self.assertEqual(len(self.hub.requests), 1)

    def test_both_at_once(self):
        for number in range(4):
            self.start_anew()
            with self.subTest(number):
                results = {}
                threads = [
                    threading.Thread(target=lambda c=c, n=n: results.update(
                        {n: c.snapshot("org/adapter")}))
                    for n, c in enumerate((self.ours, self.python, self.ours,
                                           self.python))]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                self.assertEqual(len(results), 4)
                self.assertEqual(len(set(results.values())), 1)
                self.assertEqual(trees.wrong_blobs(self.our_cache), [])
                self.assertEqual(trees.left_over(self.our_cache), [])

    def test_both_at_once_on_a_large_file_that_comes_slowly(self):
        self.hub.misbehave("drip", 400_000, origin="cdn", times=None)
        parallel = ["--connections", "4", "--parallel-from", "1"]
        big = ["download", "org/big", "model.bin"]
        for number in range(3):
            self.start_anew()
            with self.subTest(number):
                asks = [lambda: self.ours.run(big),
                        lambda: self.python.download(*big[1:]),
                        lambda: self.ours.run(big + parallel),
                        lambda: self.python.download(*big[1:])]
                with concurrent.futures.ThreadPoolExecutor(4) as pool:
                    paths = list(pool.map(lambda ask: ask(), asks))
                self.assertEqual(len(set(paths)), 1)
                self.assertEqual(read(paths[0]),
                                 self.file("org/big", "model.bin").data)
                self.assertEqual(trees.wrong_blobs(self.our_cache), [])
                self.assertEqual(trees.left_over(self.our_cache), [])


class RequestsTest(Fixture):

    def test_a_warm_branch_is_one_request(self):
        self.ours.download("org/adapter", WEIGHTS)
        self.ours.snapshot("org/many")
        self.hub.forget()
        self.ours.download("org/adapter", WEIGHTS)
        self.assertEqual(len(self.hub.requests), 1)
        self.ours.snapshot("org/many")
        self.assertEqual(len(self.hub.requests), 2)

    def test_a_pinned_commit_is_none(self):
        commit = self.world["org/adapter"].branches["main"]
        self.ours.snapshot("org/adapter", revision=commit)
        self.hub.forget()
        self.ours.snapshot("org/adapter", revision=commit)
        self.ours.download("org/adapter", WEIGHTS, revision=commit)
        self.assertEqual(self.hub.requests, [])

    def test_a_large_file_is_read_once(self):
        self.ours.download("org/big", "model.bin")
        sent = sum(request.sent for request in self.hub.seen("cdn"))
        self.assertLess(sent, (9 << 20) + 10_000)


class AccessTest(Fixture):

    def assert_error(self, error_id, token, repo, file=CONFIG, **options):
        client = self.our_client(token)
        with self.assertRaises(OurError) as raised:
            client.download(repo, file, **options)
        self.assertEqual(raised.exception.id, error_id)

    def test_names_of_refusals(self):
        none, stranger = None, world.STRANGER
        for expected, token, repo in (
                ("HUB_REPOSITORY_NOT_FOUND", none, "org/nothing"),
                ("HUB_REPOSITORY_NOT_FOUND", stranger, "org/nothing"),
                ("HUB_REPOSITORY_NOT_FOUND", none, "org/private"),
                ("HUB_REPOSITORY_NOT_FOUND", stranger, "org/private"),
                ("HUB_GATED_REPO", none, "org/gated"),
                ("HUB_GATED_REPO", stranger, "org/gated"),
                ("HUB_DISABLED_REPO", none, "org/disabled"),
                ("HUB_UNAUTHORIZED", "hf_wrong", "org/adapter")):
            with self.subTest(expected, repo=repo, token=token):
                self.assert_error(expected, token, repo)
        self.assert_error("HUB_REVISION_NOT_FOUND", none, "org/adapter",
                          revision="nowhere")
        self.assert_error("HUB_ENTRY_NOT_FOUND", none, "org/adapter", "none")

    def test_a_token_opens_what_is_private_and_gated(self):
        reader = self.our_client(world.READER)
        for repo in ("org/private", "org/gated"):
            self.assertEqual(read(reader.download(repo, WEIGHTS)),
                             self.file(repo, WEIGHTS).data)
        self.assertEqual(len(self.hub.seen("cdn")), 2)

    def test_no_redirect_or_page_takes_the_token_along(self):
        elsewhere = self.hub.urls["cdn"] + "/steal"
        other_port = elsewhere.replace("127.0.0.1", "localhost")
        with_user = elsewhere.replace("://", "://" + self.hub.url.split("/")[2]
                                      + "@")
        for target in (elsewhere, other_port, with_user,
                       elsewhere.split(":", 1)[1],
                       elsewhere.replace("https", "http")):
            for kind, options in (
                    ("redirect", {"path": "resolve/", "value": target}),
                    ("redirect", {"path": "/revision/", "value": target}),
                    ("redirect", {"path": "/tree/", "value": target}),
                    ("set_field", {"path": "/tree/", "fields": [
                        ("Link", f'<{target}>; rel="next"')]})):
                with self.subTest(kind, **options):
                    self.start_anew()
                    reader = self.our_client(world.READER)
                    self.hub.misbehave(kind, times=None, **options)
                    with self.assertRaises(OurError):
                        if options["path"] == "resolve/":
                            reader.download("org/private", CONFIG)
                        reader.snapshot("org/private")
                    self.tearDown()
                    self.hub.forget()


if __name__ == "__main__":
    unittest.main()
