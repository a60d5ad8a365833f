"""The environment is read as huggingface_hub reads it, for random ones."""

import importlib
import os
import random
import subprocess
import sys
import unittest

from huggingface_hub import constants
from huggingface_hub.utils import _auth

DRIVER = sys.argv.pop(1)

PATHS = ["", "/a/b", "rel", "~", "~/x", "~root/x", "~nobody-there/x", "~/",
         "$A/x", "${A}/x", "$UNSET/x", "${UNSET", "a$", "$", "${}", "/a//b/",
         "~$A", "$A~", "$A$B/${B}", "a b", "/tmp/$A-b", "~/x/~"]
FLAGS = ["", "0", "1", "on", "Yes", "TRUE", "off", "2", " 1", "false"]
TOKENS = ["", " ", "hf_x", " hf_y ", "hf\n_z\r\n", "\thf_w"]
ENDPOINTS = ["", "http://localhost:1/", "https://m.example//", "x"]
VALUES = {
    "HF_HOME": PATHS,
    "XDG_CACHE_HOME": PATHS,
    "HF_HUB_CACHE": PATHS,
    "HUGGINGFACE_HUB_CACHE": PATHS,
    "HF_TOKEN_PATH": PATHS,
    "HOME": ["", "/home/u", "/home/u/", "/", "rel"],
    "HF_TOKEN": TOKENS,
    "HUGGING_FACE_HUB_TOKEN": TOKENS,
    "HF_ENDPOINT": ENDPOINTS,
    "HF_HUB_OFFLINE": FLAGS,
    "TRANSFORMERS_OFFLINE": FLAGS,
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": FLAGS,
    "HF_HUB_DISABLE_SYMLINKS": FLAGS,
    "A": ["", "va", "/va/"],
    "B": ["vb"],
}


def python_settings(environment):
    """What huggingface_hub makes of `environment`."""
    saved = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        importlib.reload(constants)
        token = _auth._get_token_from_environment()
    finally:
        os.environ.clear()
        os.environ.update(saved)
    return [
        constants.HF_HUB_CACHE,
        constants.HF_TOKEN_PATH,
        token or "",
        constants.ENDPOINT,
        str(int(constants.HF_HUB_OFFLINE)),
        str(int(not constants.HF_HUB_DISABLE_IMPLICIT_TOKEN)),
        str(int(not constants.HF_HUB_DISABLE_SYMLINKS)),
    ]


def our_settings(environment):
    """What the driver makes of it."""
    text = subprocess.run([DRIVER], env=environment, check=True,
                          capture_output=True, text=True).stdout
    return text.split("\n")[:-1]


class SettingsOracleTest(unittest.TestCase):

    def test_random_environments(self):
        draw = random.Random(20261125)
        for _ in range(400):
            environment = {
                name: draw.choice(values)
                for name, values in VALUES.items()
                if draw.random() < 0.4
            }
            with self.subTest(environment=environment):
                self.assertEqual(our_settings(environment),
                                 python_settings(environment))


if __name__ == "__main__":
    unittest.main()
