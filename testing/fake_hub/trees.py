"""What lies in a cache, for comparison."""

import hashlib
import os
import re
import stat

_PARTIAL = re.compile(r"\.incomplete|\.tmp$")


def tree(folder, locks=False):
    """{path: what it is}: links by target, files by content, blobs by mode too.

    Folders as such do not count. `.locks` is left out unless `locks`: who locks
    what is a client's own business, what is locked is not.
    """
    found = {}
    for place, folders, files in os.walk(folder):
        if not locks and ".locks" in folders:
            folders.remove(".locks")
        for name in folders + files:
            path = os.path.join(place, name)
            if os.path.islink(path) or os.path.isfile(path):
                found[os.path.relpath(path, folder)] = _what(path)
    return found


def _what(path):
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return "link to " + os.readlink(path)
    with open(path, "rb") as file:
        data = file.read()
    digest = hashlib.sha256(data).hexdigest()[:16]
    if os.path.basename(os.path.dirname(path)) == "blobs":
        return f"blob {stat.S_IMODE(mode):o} {len(data)} {digest}"
    return f"file {len(data)} {digest}"


def left_over(folder):
    """Files of downloads that are not done."""
    return [path for path in tree(folder) if _PARTIAL.search(path)]


def wrong_blobs(folder):
    """Blobs whose content is not what their names say."""
    wrong = []
    for place, _, files in os.walk(folder):
        if os.path.basename(place) != "blobs":
            continue
        for name in files:
            if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", name):
                continue
            with open(os.path.join(place, name), "rb") as file:
                data = file.read()
            if len(name) == 64:
                real = hashlib.sha256(data).hexdigest()
            else:
                real = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            if real != name:
                wrong.append(os.path.join(place, name))
    return wrong
