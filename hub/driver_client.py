"""Our client of the Hub, hub_driver, for the tests that compare it."""

import os
import subprocess


class OurError(Exception):
    """What the driver says; `id` is one of docs/errors.md."""

    def __init__(self, error_id, message):
        super().__init__(f"{error_id} {message}")
        self.id = error_id


# Seconds that nothing but a fault takes, on the slowest machine.
PATIENCE = 30


class OurClient:
    """Downloads from `hub` into the cache `cache_dir`, a process each time.

    `timeout_s`: of each wait for the Hub; small where it is to stall.
    """

    def __init__(self, driver, hub, cache_dir, token=None, environment=(),
                 timeout_s=PATIENCE):
        self.driver = driver
        self.token = token
        self.environment = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": os.path.join(cache_dir, "home-of-no-token"),
            "HF_HUB_CACHE": cache_dir,
            "HF_HUB_DOWNLOAD_TIMEOUT": str(timeout_s),
            "HF_HUB_ETAG_TIMEOUT": str(timeout_s),
            "SSL_CERT_FILE": hub.ca,
            **dict(environment),
        }
        if token:
            self.environment["HF_TOKEN"] = token

    def start(self, *arguments, offline=False, before=None):
        """The driver's process, its output piped.

        `before`: called in the process first.
        """
        environment = dict(self.environment)
        if offline:
            environment["HF_HUB_OFFLINE"] = "1"
        return subprocess.Popen(
            [self.driver, *arguments, "--retry-wait-ms", "50"],
            env=environment, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, preexec_fn=before)

    def download(self, repo, file, revision=None, offline=False,
                 repo_type=None):
        """The path of the file; OurError."""
        return self.run(["download", repo, file, *_revision(revision),
                         *_type(repo_type)], offline)

    def snapshot(self, repo, revision=None, allow=(), ignore=(),
                 offline=False, repo_type=None):
        """The folder of the snapshot; OurError."""
        patterns = [word for pattern in allow
                    for word in ("--include", pattern)]
        patterns += [word for pattern in ignore
                     for word in ("--exclude", pattern)]
        return self.run(["snapshot", repo, *_revision(revision),
                         *_type(repo_type), *patterns], offline)

    def run(self, arguments, offline=False, before=None):
        """The last line that it prints; OurError.

        AssertionError for what must not be: no end, a crash, a token.
        """
        return self.lines(arguments, offline, before)[-1]

    def lines(self, arguments, offline=False, before=None):
        """All that it prints, as run()."""
        process = self.start(*arguments, offline=offline, before=before)
        try:
            output, log = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError(f"{arguments} never ends") from None
        if self.token and self.token in output + log:
            raise AssertionError(f"the token is in what it says: {output}{log}")
        lines = output.splitlines()
        if lines and lines[-1].startswith("ERROR "):
            _, error_id, message = (lines[-1] + " ").split(" ", 2)
            raise OurError(error_id, message)
        if process.returncode != 0 or not lines:
            raise AssertionError(f"{arguments}: exit status "
                                 f"{process.returncode}, {output}{log}")
        return lines


def _revision(revision):
    return [] if revision is None else ["--revision", revision]


def _type(repo_type):
    return [] if repo_type is None else ["--type", repo_type]
