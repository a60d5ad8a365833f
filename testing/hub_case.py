"""A fake Hub with the quickstart's files, for tests of the C ABI."""

import ctypes as C
import json
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np

from testing import peft_ctypes
from testing import peft_structs as structs
from testing.fake_hub import content
from testing.fake_hub.server import FakeHub

LIBRARY = peft_ctypes.Library(os.path.abspath(sys.argv.pop(1)))
QUICKSTART = pathlib.Path("examples/quickstart").absolute()
READER = "hf_reader"
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


class HubCase(unittest.TestCase):

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
