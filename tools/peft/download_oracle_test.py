"""`peft download` leaves what huggingface_hub leaves."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

from testing.fake_hub import content, python_client, trees, world
from testing.fake_hub.server import FakeHub

PEFT = sys.argv.pop(1)
REPO = "org/adapter"


def read(path):
    with open(path, "rb") as file:
        return file.read()


class DownloadTest(unittest.TestCase):

    def setUp(self):
        self.hub = self.enterContext(FakeHub())
        world.populate(self.hub, big=1 << 20)
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.folder = os.path.realpath(folder)
        self.cache = os.path.join(self.folder, "ours")

    def peft(self, *words, code=0, command="download"):
        """What the command prints, and its complaints."""
        environment = {"HF_ENDPOINT": self.hub.url, "SSL_CERT_FILE": self.hub.ca,
                       "HF_HOME": self.folder, "HF_HUB_CACHE": self.cache}
        done = subprocess.run([PEFT, command, *words], env=environment,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout.rstrip("\n"), done.stderr

    def test_the_cache_is_that_of_huggingface_hub(self):
        cache = os.path.join(self.folder, "python")
        python = python_client.PythonClient(self.hub, cache)
        theirs = python.snapshot(REPO)
        ours, _ = self.peft(REPO)
        self.assertEqual(os.path.relpath(ours, self.cache),
                         os.path.relpath(theirs, cache))
        self.assertEqual(trees.tree(self.cache), trees.tree(cache))

    def test_patterns_and_revisions_choose(self):
        folder, _ = self.peft(REPO, "--revision", "v1.0", "--include", "*.json",
                              "--exclude", "sub/*")
        self.assertEqual(os.listdir(folder), ["adapter_config.json"])

    def test_a_folder_of_ones_own_has_files_and_no_links(self):
        mine = os.path.join(self.folder, "mine")
        folder, _ = self.peft(REPO, "--local-dir", mine)
        self.assertEqual(folder, mine)
        weights = os.path.join(mine, "adapter_model.safetensors")
        self.assertFalse(os.path.islink(weights))
        self.assertEqual(os.path.getsize(weights), 120_000)
        self.assertFalse(os.path.exists(self.cache))

    def add_examples(self):
        """The quickstart's model and an adapter, each also below a folder."""
        for name in ("base", "adapters/german"):
            folder = os.path.join("examples/quickstart", name)
            files = {file: content.File(read(os.path.join(folder, file)),
                                        lfs=file.endswith(".safetensors"))
                     for file in os.listdir(folder)}
            repo = "org/" + os.path.basename(name)
            self.hub.add(content.Repository(repo)).commit(files)
            self.hub.add(content.Repository(f"{repo}-below")).commit(
                {f"below/{file}": data for file, data in files.items()})

    def test_every_command_has_the_options_of_the_hub(self):
        options = ["--token", "--cache-dir", "--proxy", "--local-files-only",
                   "--force-download", "--model-revision", "--model-subfolder"]
        of_adapters = ["--adapter-revision", "--adapter-subfolder"]
        for commands, wanted in (
                (("inspect", "add", "quantize"), options),
                (("list", "save", "add-weighted", "merge", "probe", "forward",
                  "generate"), options + of_adapters)):
            for command in commands:
                text, _ = self.peft("--help", command=command)
                for option in wanted:
                    self.assertIn(f"  {option} ", text, command)

    def test_options_of_the_hub_are_read(self):
        self.add_examples()
        words = ["--prompt-ids", "1,7,13", "--model", "org/base-below",
                 "--model-subfolder", "below", "--adapter", "org/german-below",
                 "--adapter-subfolder", "below"]
        local, _ = self.peft("--model", "examples/quickstart/base", "--adapter",
                             "examples/quickstart/adapters/german",
                             *words[:2], command="generate")
        _, complaint = self.peft(*words, "--local-files-only",
                                 command="generate", code=1)
        self.assertIn("HUB_LOCAL_ENTRY_NOT_FOUND", complaint)
        elsewhere = os.path.join(self.folder, "elsewhere")
        remote, _ = self.peft(*words, "--cache-dir", elsewhere,
                              command="generate")
        self.assertEqual(remote, local)
        self.assertFalse(os.path.exists(self.cache))
        again, _ = self.peft(*words, "--cache-dir", elsewhere,
                             "--local-files-only", command="generate")
        self.assertEqual(again, local)
        _, complaint = self.peft(*words, "--proxy", "https=http://127.0.0.1:1",
                                 command="generate", code=1)
        self.assertIn("HUB_", complaint)
        self.hub.repositories["model", "org/german-below"].readers = {
            world.READER}
        inspect = ["org/german-below", "--subfolder", "below"]
        _, complaint = self.peft(*inspect, command="inspect", code=1)
        self.assertIn("HUB_", complaint)
        summary, _ = self.peft(*inspect, "--token", world.READER,
                               command="inspect")
        self.assertIn("method", summary)

    def test_other_commands_fetch_what_they_name(self):
        self.add_examples()
        named = dict(self.hub.repositories["model", "org/german"].commits[
            self.hub.repositories["model", "org/german"].branches["main"]])
        config = json.loads(named["adapter_config.json"].data)
        config["base_model_name_or_path"] = "org/base"
        named["adapter_config.json"] = content.File(
            json.dumps(config).encode())
        self.hub.add(content.Repository("org/named")).commit(named)
        words = ["--prompt-ids", "1,7,13"]
        local, _ = self.peft("--model", "examples/quickstart/base", "--adapter",
                             "examples/quickstart/adapters/german", *words,
                             command="generate")
        remote, _ = self.peft("--model", "org/base", "--adapter", "org/german",
                              *words, command="generate")
        self.assertEqual(remote, local)
        named, _ = self.peft("--adapter", "org/named", "--model-revision",
                             "main", *words, command="generate")
        self.assertEqual(named, local)
        summary, _ = self.peft("org/named", "--model", "org/base",
                               command="inspect")
        self.assertRegex(summary, r"loads +yes")
        _, complaint = self.peft("--model", "org/base", "--adapter", "org/none",
                                 *words, command="generate", code=1)
        self.assertIn("HUB_REPOSITORY_NOT_FOUND", complaint)

    def test_errors_say_what_is_wrong(self):
        for words, what in (
                (["org/none"], "HUB_REPOSITORY_NOT_FOUND"),
                (["org/gated"], "HUB_GATED_REPO"),
                ([REPO, "--revision", "none"], "HUB_REVISION_NOT_FOUND"),
                (["a..b"], "HUB_REPO_ID"),
                ([REPO, "--type", "x"], "ARGUMENT")):
            with self.subTest(words=words):
                _, complaint = self.peft(*words, code=1)
                self.assertIn(what, complaint)

    def test_a_token_opens_what_is_private(self):
        _, complaint = self.peft("org/private", "--token", "hf_wrong", code=1)
        self.assertIn("HUB_", complaint)
        self.assertNotIn("hf_wrong", complaint)
        folder, _ = self.peft("org/private", "--token", world.READER)
        self.assertIn("adapter_config.json", os.listdir(folder))


if __name__ == "__main__":
    unittest.main()
