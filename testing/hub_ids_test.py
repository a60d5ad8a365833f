"""Models and adapters by their Hub ids, through the C ABI, from a fake Hub."""

import ctypes as C
import json
import os
import pathlib
import time
import unittest

from testing import peft_ctypes
from testing import peft_structs as structs
from testing.fake_hub import content
from testing.fake_hub.proxy import Proxy
from testing.hub_case import LIBRARY, QUICKSTART, READER, HubCase, files


class HubIdsTest(HubCase):

    # -- what an id stands for

    def test_a_model_and_its_adapter(self):
        model = self.open("org/base")
        self.assert_runs(model, None)
        notes = model.load_adapter("org/german", "a")
        self.assert_runs(model, "german")
        self.assertNotIn("base_model_name_or_path", str(notes))
        self.assertEqual(self.fresh_config(model)["base_model_name_or_path"],
                         "org/base")

    def test_a_revision_is_a_tag_or_a_commit(self):
        model = self.open("org/base", revision="good")
        model.load_adapter("org/german", "a", revision="v1")
        self.assert_runs(model, "french")
        commit = self.hub.repositories["model", "org/german"].branches["main"]
        model.load_adapter("org/german", "b", revision=commit)
        self.assert_runs(model, "german")
        self.assert_fails("HUB_REVISION_NOT_FOUND", model.load_adapter,
                          "org/german", "c", revision="nowhere")

    def test_a_subfolder(self):
        model = self.open("org/base")
        model.load_adapter("org/german", "a", subfolder="sub")
        self.assert_runs(model, "roman")
        self.assert_fails("HUB_ENTRY_NOT_FOUND", model.load_adapter,
                          "org/german", "b", subfolder="none")
        self.assert_fails("PATH_ESCAPES", model.load_adapter, "org/german",
                          "b", subfolder="../x")
        self.add("org/nested").commit(files("base", prefix="deep/base/"))
        self.assert_runs(self.open("org/nested", subfolder="deep/base"), None)

    def test_every_call_that_takes_an_adapter_takes_an_id(self):
        model = self.open("org/base", for_adapters=["org/german"])
        model.load_adapter(QUICKSTART / "adapters/french", "a")
        LIBRARY.new("peft_model_replace_adapter", model.handle, b"a",
                    b"org/german", None)
        self.assert_runs(model, "german")
        estimate = structs.AdapterEstimate()
        LIBRARY.call("peft_estimate_adapter", b"org/german", None,
                     C.byref(estimate))
        self.assertGreater(estimate.num_parameters, 0)
        text = LIBRARY.new("peft_inspect_adapter", b"org/german", b"sub",
                           model.handle)
        summary = json.loads(LIBRARY.lib.peft_string_data(text))
        self.assertTrue(summary["model"]["loads"])

    def test_a_local_folder_wins_only_if_it_holds_what_is_looked_for(self):
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        local = pathlib.Path("org/german")
        local.mkdir(parents=True)
        model = self.open("org/base")
        model.load_adapter("org/german", "a")
        self.assert_runs(model, "german")
        for path in (QUICKSTART / "adapters/roman").iterdir():
            (local / path.name).write_bytes(path.read_bytes())
        notes = model.load_adapter("org/german", "b", revision="v1")
        self.assert_runs(model, "roman")
        self.assertIn("without effect are revision", str(notes))

    def test_folders_ahead_of_time(self):
        def folder(name, path, options):
            text = LIBRARY.new(name, path, C.byref(options))
            return pathlib.Path(LIBRARY.lib.peft_string_data(text).decode())
        repository = self.hub.repositories["model", "org/german"]
        snapshots = self.cache / "models--org--german/snapshots"
        found = folder("peft_fetch_adapter", b"org/german",
                       structs.LoadOptions(subfolder=b"sub"))
        self.assertEqual(found, snapshots / repository.branches["main"] / "sub")
        options = structs.ModelOptions(**peft_ctypes.hub_options(
            {"for_adapters": [str(found)]}), read_mode=1)
        base = folder("peft_fetch_model", None, options)
        self.assertTrue((base / "config.json").exists())
        self.assertEqual(base.parent.parent.name, "models--org--base")
        self.assertEqual(folder("peft_fetch_model", bytes(base),
                                structs.ModelOptions(read_mode=1)), base)

    # -- the base by the adapter's word

    def test_the_base_that_an_adapter_names(self):
        model = self.open(None, for_adapters=["org/german"],
                          adapter_revision="v1")
        model.load_adapter("org/german", "a", revision="v1")
        self.assert_runs(model, "french")

    def test_the_base_at_the_revision_of_the_adapters_config(self):
        self.hub.repositories["model", "org/base"].commit(
            {"config.json": content.text("not json", 100)})
        self.add("org/pinned").commit(self.named(
            "adapters/german", "org/base", revision="good"))
        self.assert_runs(self.open(None, for_adapters=["org/pinned"]), None)
        self.assert_fails("HUB_REVISION_NOT_FOUND", self.open, None,
                          for_adapters=["org/pinned"], revision="x")
        self.assert_runs(self.open(None, for_adapters=["org/german"],
                                   revision="good"), None)

    def test_a_base_that_is_not_named_or_not_there(self):
        for base, error_id in ((None, "ADAPTER_CONFIG"),
                               ("/home/trainer/other", "FILE_NOT_FOUND"),
                               ("org/none", "HUB_REPOSITORY_NOT_FOUND")):
            with self.subTest(base=base):
                name = "org/" + error_id.lower()
                self.add(name).commit(self.named("adapters/german", base))
                self.assert_fails(error_id, self.open, None,
                                  for_adapters=[name])
        message = self.assert_fails(
            "BASE_MISMATCH", self.open, None,
            for_adapters=["org/german", "org/file_not_found"])
        self.assertIn("/home/trainer/other", message)

    # -- who may ask, and how

    def test_tokens(self):
        model = self.open("org/base")
        for token, error_id in ((None, "HUB_REPOSITORY_NOT_FOUND"),
                                ("hf_wrong", "HUB_UNAUTHORIZED")):
            message = self.assert_fails(error_id, model.load_adapter,
                                        "org/private", "a", token=token)
            self.assertNotIn("hf_wrong", message)
        model.load_adapter("org/private", "a", token=READER)
        self.assert_runs(model, "german")

    def test_what_is_not_there(self):
        model = self.open("org/base")
        message = self.assert_fails("HUB_REPOSITORY_NOT_FOUND",
                                    model.load_adapter, "mistyped", "a")
        self.assertIn('no folder "mistyped" with adapter_config.json', message)
        message = self.assert_fails("HUB_UNAUTHORIZED", model.load_adapter,
                                    "mistyped", "a", token="hf_wrong")
        self.assertIn('no folder "mistyped" with adapter_config.json', message)
        self.assert_fails("HUB_ENTRY_NOT_FOUND", model.load_adapter,
                          "org/base", "a")
        self.assert_fails("HUB_REPOSITORY_NOT_FOUND", self.open, "org/none")
        self.assertEqual(LIBRARY.names("peft_model_list_adapters",
                                       model.handle), [])

    def test_local_files_only_makes_no_request(self):
        model = self.open("org/base")
        self.assert_fails("HUB_LOCAL_ENTRY_NOT_FOUND", model.load_adapter,
                          "org/german", "a", local_files_only=1)
        model.load_adapter("org/german", "a")
        self.hub.forget()
        self.open("org/base", local_files_only=1).load_adapter(
            "org/german", "a", local_files_only=1)
        os.environ["HF_HUB_OFFLINE"] = "1"
        self.assert_runs(self.open(None, for_adapters=["org/german"]), None)
        self.assertEqual(self.hub.requests, [])

    def test_a_warm_load_is_one_request_and_a_forced_one_fetches_again(self):
        model = self.open("org/base")
        model.load_adapter("org/german", "a")
        self.hub.forget()
        model.load_adapter("org/german", "b")
        self.assertEqual(len(self.hub.requests), 1)
        model.load_adapter("org/german", "c", force_download=1)
        self.assertTrue(self.hub.seen("cdn", "GET"))

    def test_endpoint_and_cache_of_the_call(self):
        os.environ["HF_ENDPOINT"] = "https://localhost:1"
        elsewhere = self.folder / "elsewhere"
        where = {"endpoint": self.hub.url, "cache_dir": str(elsewhere)}
        model = self.open("org/base", **where)
        model.load_adapter("org/german", "a", **where)
        self.assert_runs(model, "german")
        self.assertTrue((elsewhere / "models--org--german").is_dir())
        self.assertFalse(self.cache.exists())
        self.assert_fails("HUB_URL", model.load_adapter, "org/german", "b",
                          endpoint="nonsense")

    def test_proxies_of_the_call(self):
        os.environ["NO_PROXY"] = "*"  # of the environment's proxies
        with Proxy() as proxy:
            model = self.open("org/base", proxies=["https=" + proxy.url])
            model.load_adapter("org/german", "a",
                               proxies=["http=" + proxy.url])
            asked = set(proxy.targets)
            model.load_adapter("org/german", "b", revision="v1",
                               proxies=["all=" + proxy.url])
        targets = {"CONNECT " + url.removeprefix("https://")
                   for url in self.hub.urls.values()}
        self.assertEqual(asked, targets)
        self.assertGreater(len(proxy.targets), len(asked))
        self.assert_fails("HUB_PROXY", model.load_adapter, "org/german", "c",
                          revision="v1", force_download=1,
                          proxies=["all=http://127.0.0.1:1"])

    # -- meanwhile

    def large(self):
        """The id of an adapter with a few megabytes beside its weights."""
        whole = self.named("adapters/german", "org/base")
        whole["adapter_model.safetensors"] = content.lfs("large", 6 << 20)
        self.add("org/large").commit(whole)
        return "org/large"

    def test_progress_counts_bytes_and_files(self):
        calls = []
        model = self.open("org/base", on_download=lambda *counts:
                          calls.append(counts))
        self.assertEqual(calls[-1][0], calls[-1][1])
        self.assertEqual(calls[-1][2], calls[-1][3])
        calls.clear()
        model.load_adapter("org/german", "a",
                           on_download=lambda *counts: calls.append(counts))
        sizes = [len(file.data) for file in
                 self.named("adapters/german", "org/base").values()]
        self.assertEqual(calls[-1], (sum(sizes), sum(sizes), 2, 2))

    def test_a_callback_cancels_and_the_next_load_goes_on(self):
        name = self.large()
        model = self.open("org/base")
        message = self.assert_fails(
            "CANCELLED", model.load_adapter, name, "a",
            on_download=lambda got, *_: got > 3 << 20)
        self.assertTrue(message)
        self.hub.forget()
        # What came is whole: it is no adapter.
        self.assert_fails("SAFETENSORS", model.load_adapter, name, "a")
        self.assertTrue([request for request in self.hub.seen("cdn", "GET")
                         if "range" in request.headers])

    def test_a_callback_cancels_while_nothing_comes(self):
        self.hub.misbehave("stall", value=60, at=1000, origin="cdn")
        start = time.monotonic()
        self.assert_fails(
            "CANCELLED", self.open, "org/base",
            on_download=lambda *_: time.monotonic() - start > 0.5)
        self.assertLess(time.monotonic() - start, 5)


if __name__ == "__main__":
    unittest.main()
