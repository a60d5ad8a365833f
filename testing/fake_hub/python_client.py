"""Python's huggingface_hub, against a fake Hub. Import this before it."""

import os
import tempfile

_HOME = tempfile.TemporaryDirectory(prefix="hf-home-")
_CA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "testdata",
                   "ca.pem")

# huggingface_hub reads all of them when it is imported.
os.environ.update({
    "HF_HOME": _HOME.name,
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
    # Seconds that nothing takes, on the slowest machine.
    "HF_HUB_DOWNLOAD_TIMEOUT": "30",
    "HF_HUB_ETAG_TIMEOUT": "30",
    "HF_HUB_OFFLINE": "0",
    "SSL_CERT_FILE": _CA,
})
for _name in list(os.environ):
    if _name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE",
                 "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_OFFLINE",
                 "HF_TOKEN_PATH", "SSL_CERT_DIR") or _name.lower().endswith(
                     "_proxy"):
        del os.environ[_name]

# pylint: disable=wrong-import-position
import huggingface_hub  # noqa: E402
from huggingface_hub.utils import close_session  # noqa: E402


class PythonClient:
    """Downloads from `hub` into the cache `cache_dir`."""

    def __init__(self, hub, cache_dir, token=False):
        self._hub = hub
        self._shared = {"cache_dir": cache_dir, "token": token}
        self.api = huggingface_hub.HfApi(endpoint=hub.url, token=token)
        close_session()  # No connection to an earlier fake is used again.

    def download(self, repo, file, offline=False, **options):
        """The path of the file; huggingface_hub's exceptions."""
        return huggingface_hub.hf_hub_download(
            repo, file, endpoint=self._hub.url, local_files_only=offline,
            **self._shared, **options)

    def snapshot(self, repo, offline=False, **options):
        """The folder of the snapshot; huggingface_hub's exceptions."""
        return huggingface_hub.snapshot_download(
            repo, endpoint=self._hub.url, local_files_only=offline,
            **self._shared, **options)
