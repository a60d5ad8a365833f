"""Models and adapters by their Hub ids, through the C ABI, from a fake Hub."""

import ctypes as C
import gzip
import http.client
import json
import os
import pathlib
import ssl
import sys
import tempfile
import time
import unittest
import urllib.parse
from unittest import mock

import numpy as np

from testing import peft_ctypes
from testing import peft_structs as structs
from testing.fake_hub import content
from testing.fake_hub.proxy import Proxy
from testing.fake_hub.server import FakeHub

LIBRARY = peft_ctypes.Library(os.path.abspath(sys.argv.pop(1)))
QUICKSTART = pathlib.Path("examples/quickstart").absolute()
READER = "hf_reader"
TRANSPORT_OK, TRANSPORT_CONNECT, TRANSPORT_TLS = 0, 1, 3
PROMPT = np.array([[1, 4, 5, 6, 7, 13]])


def files(folder, prefix="", **changes):
    """A folder's files for the Hub; `changes` are of adapter_config.json."""
    found = {}
    for path in (QUICKSTART / folder).iterdir():
        data = path.read_bytes()
        if path.name == "adapter_config.json":
            data = json.dumps(dict(json.loads(data), **changes)).encode()
        found[prefix + path.name] = content.File(
            data, lfs=path.suffix == ".safetensors")
    return found


class HubIdsTest(unittest.TestCase):

    def setUp(self):
        self.hub = self.enterContext(FakeHub())
        self.hub.tokens.add(READER)
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.folder = pathlib.Path(folder).resolve()
        self.cache = self.folder / "cache"
        self.enterContext(mock.patch.dict(os.environ, {
            "HF_ENDPOINT": self.hub.url, "SSL_CERT_FILE": self.hub.ca,
            "HF_HOME": str(self.folder), "HF_HUB_CACHE": str(self.cache),
            "HF_HUB_OFFLINE": "0"}))
        base = self.add("org/base")
        base.commit(files("base"))
        base.tags["good"] = base.branches["main"]
        adapter = self.add("org/german")
        adapter.commit(self.named("adapters/french", "org/base"))
        adapter.tags["v1"] = adapter.branches["main"]
        adapter.commit(dict(
            self.named("adapters/german", "org/base"),
            **self.named("adapters/roman", "org/base", prefix="sub/")))
        self.add("org/private", readers={READER}).commit(
            self.named("adapters/german", "org/base"))

    def add(self, name, **access):
        return self.hub.add(content.Repository(name, **access))

    def named(self, folder, base, **more):
        return files(folder, base_model_name_or_path=base, **more)

    def open(self, path, **options):
        model = peft_ctypes.Model(LIBRARY, path, **options)
        self.addCleanup(model.close)
        return model

    def fresh_config(self, model):
        """The config of an adapter that is made for the model."""
        options = structs.AddAdapterOptions()
        LIBRARY.call("peft_model_add_adapter", model.handle, b"fresh",
                     b'{"peft_type": "LORA"}', C.byref(options))
        text = LIBRARY.new("peft_model_get_adapter_config", model.handle,
                           b"fresh")
        return json.loads(LIBRARY.lib.peft_string_data(text))

    def assert_runs(self, model, adapter):
        """The model computes what base and adapter of the quickstart do."""
        local = self.open(QUICKSTART / "base")
        if adapter is not None:
            local.load_adapter(QUICKSTART / "adapters" / adapter, "a")
        np.testing.assert_array_equal(model.forward(PROMPT),
                                      local.forward(PROMPT))

    def assert_fails(self, error_id, call, *words, **options):
        with self.assertRaises(peft_ctypes.PeftError) as caught:
            call(*words, **options)
        self.assertEqual(caught.exception.id, error_id,
                         caught.exception.message)
        return caught.exception.message

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

    # -- by the program's own network code

    def transport(self, request, exchange):
        """A peft_transport_fn by Python's http.client."""
        self.asked.append(request.method + b" " + request.url)
        url = urllib.parse.urlsplit(request.url.decode())
        connection = http.client.HTTPSConnection(
            url.netloc, timeout=request.timeout_ms / 1000,
            context=ssl.create_default_context(cafile=self.hub.ca))
        try:
            connection.request(
                request.method.decode(),
                url.path + ("?" + url.query if url.query else ""),
                headers={request.field_names[i].decode():
                         request.field_values[i].decode()
                         for i in range(request.num_fields)})
            return self.answer(connection.getresponse(), exchange)
        except ssl.SSLError:
            return TRANSPORT_TLS
        except (OSError, http.client.HTTPException):
            return TRANSPORT_CONNECT
        finally:
            connection.close()

    def answer(self, response, exchange):
        fields = [(name.encode(), value.encode())
                  for name, value in response.getheaders()
                  if name.lower() != "content-encoding"]
        names, values = ((C.c_char_p * len(fields))(*column)
                         for column in zip(*fields))
        exchange = C.c_void_p(exchange)
        end = LIBRARY.lib.peft_exchange_respond(
            exchange, response.status, names, values,
            C.c_size_t(len(fields)))
        body = response
        if response.getheader("Content-Encoding") == "gzip":
            body = gzip.GzipFile(fileobj=response)
        while not end and (part := body.read(10_000)):
            end = LIBRARY.lib.peft_exchange_write(exchange, part,
                                                  C.c_size_t(len(part)))
        return TRANSPORT_OK

    def with_transport(self, transport=None):
        """Options that have this transport, where ours would go astray."""
        self.asked = []
        os.environ["SSL_CERT_FILE"] = os.devnull
        return {"transport": transport or self.transport}

    def test_the_programs_transport_fetches(self):
        options = self.with_transport()
        model = self.open("org/base", **options)
        model.load_adapter("org/private", "a", token=READER, **options)
        self.assert_runs(model, "german")
        self.assertEqual(len(self.asked), len(self.hub.requests))
        self.assertTrue(any(asked.startswith(b"HEAD ")
                            for asked in self.asked))

    def test_faults_are_made_good_over_the_programs_transport(self):
        self.hub.misbehave("cut", value=500, at=0, origin="cdn")
        model = self.open("org/base", **self.with_transport())
        self.assert_runs(model, None)

    def test_what_a_transport_may_do_wrong(self):
        def says(value):
            return lambda request, exchange: value

        def writes_first(request, exchange):
            LIBRARY.lib.peft_exchange_write(C.c_void_p(exchange), b"x",
                                            C.c_size_t(1))
            return TRANSPORT_OK

        def status_of(status, count):
            def answer(request, exchange):
                LIBRARY.lib.peft_exchange_respond(C.c_void_p(exchange), status,
                                                  None, None, C.c_size_t(count))
                return TRANSPORT_OK
            return answer

        for error_id, transport in (
                ("HUB_CONNECT", says(TRANSPORT_OK)),
                ("HUB_CONNECT", says(TRANSPORT_CONNECT)),
                ("HUB_CONNECT", says(77)), ("HUB_TIMEOUT", says(2)),
                ("HUB_TLS", says(TRANSPORT_TLS)),
                ("ARGUMENT", writes_first),
                ("ARGUMENT", status_of(7, 0)),
                ("ARGUMENT", status_of(200, 1))):
            self.assert_fails(error_id, self.open, "org/base",
                              **self.with_transport(transport))
        self.assert_fails("ARGUMENT", self.open, "org/base",
                          proxies=["all=http://127.0.0.1:1"],
                          **self.with_transport())

    def test_an_exchange_ends_with_its_call(self):
        kept = []

        def keep(request, exchange):
            kept.append(exchange)
            return self.transport(request, exchange)

        self.open("org/base", **self.with_transport(keep))
        late = C.c_void_p(kept[0])
        lib = LIBRARY.lib
        self.assertEqual(lib.peft_exchange_is_cancelled(late), 1)
        self.assertEqual(lib.peft_exchange_write(late, b"x", C.c_size_t(1)), 1)
        self.assertEqual(
            lib.peft_exchange_respond(late, 200, None, None, C.c_size_t(0)), 1)

    def test_a_program_is_cancelled_in_its_transport(self):
        start = time.monotonic()

        def waits(request, exchange):
            while not LIBRARY.lib.peft_exchange_is_cancelled(
                    C.c_void_p(exchange)):
                time.sleep(0.05)
            return TRANSPORT_OK

        self.assert_fails(
            "CANCELLED", self.open, "org/base",
            on_download=lambda *_: time.monotonic() - start > 0.5,
            **self.with_transport(waits))

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
