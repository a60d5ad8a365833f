"""How the fake Hub misbehaves, on order.

A fault names the requests that it befalls and what happens to them. Kinds that
change what is said:

    status         `value`: the status; `fields`: more fields of the answer
    lie_size       X-Linked-Size, Content-Range and sizes in listings are off by
                   `value`
    drop_field     the field `value` is left out
    set_field      `fields` replace those of the same name
    redirect       302 to the URL `value`
    circle         302 to the very URL that was asked for
    portal         200 and a page of HTML, as a captive portal sends
    tree_names     the listing names the file `value` besides
    ignore_range   200 and the whole file
    wrong_range    206 with a part that begins `value` bytes too early
    corrupt        one bit of the body is flipped, at byte `at`
    bad_gzip       the same of what is sent, after compression

and kinds that change how it travels:

    close          the connection ends without an answer
    garbage        something that is not HTTP
    cut            the connection ends at byte `at` of the body
    reset          it is reset there
    stall          nothing comes after byte `at` for `value` seconds; then cut
    drip           `value` bytes at a time, every 20 ms
    length         Content-Length is off by `value`; then the connection ends
    chunk          chunks, the last of them cut at byte `at` of the body
    endless_field  a field that does not end, until `value` bytes are sent
"""

import json
import re
import threading

from testing.fake_hub import content
from testing.fake_hub.messages import Answer, redirect

ANSWER_KINDS = {"status", "lie_size", "drop_field", "set_field", "redirect",
                "circle", "portal", "tree_names", "ignore_range",
                "wrong_range", "corrupt", "bad_gzip"}
WIRE_KINDS = {"close", "garbage", "cut", "reset", "stall", "drip", "length",
              "chunk", "endless_field"}


class Fault:
    """What happens to the requests that fit all that is given.

    `origin`: "hub" or "cdn"; `method`; `path`: a regular expression that the
    target is searched for. `skip`: fitting requests that go well first;
    `times`: how often it happens then, None for ever.
    """

    def __init__(self, kind, value=None, at=0, origin=None, method=None,
                 path=None, skip=0, times=1, fields=()):
        if kind not in ANSWER_KINDS | WIRE_KINDS:
            raise ValueError(f"no such fault: {kind}")
        self.kind = kind
        self.value = value
        self.at = at
        self.origin = origin
        self.method = method
        self.path = path
        self.skip = skip
        self.times = times
        self.fields = [tuple(field) for field in fields]

    def fits(self, request):
        return (self.times != 0
                and self.origin in (None, request.origin)
                and self.method in (None, request.method)
                and (self.path is None
                     or re.search(self.path, request.target) is not None))

    def __repr__(self):
        said = {name: value for name, value in vars(self).items() if value}
        return f"Fault({said})"


class Schedule:
    """The faults that are still to happen. Thread-safe."""

    def __init__(self):
        self._faults = []
        self._lock = threading.Lock()

    def add(self, fault):
        with self._lock:
            self._faults.append(fault)

    def clear(self):
        with self._lock:
            self._faults = []

    def take(self, request):
        """The fault of this request, counted; None where it goes well."""
        with self._lock:
            for fault in self._faults:
                if not fault.fits(request):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None


def applied(fault, request, answer, whole):
    """`answer` with a fault of what is said.

    `whole`: makes the answer to the same request without its Range.
    """
    if fault.kind == "status":
        return Answer(fault.value, b"it went wrong",
                      [("Content-Type", "text/plain"), *fault.fields])
    if fault.kind == "redirect":
        return redirect(302, fault.value)
    if fault.kind == "circle":
        return redirect(302, request.target)
    if fault.kind == "portal":
        return Answer(200, b"<html>Please log in to this network</html>",
                      [("Content-Type", "text/html")])
    if fault.kind == "drop_field":
        answer.drop(fault.value)
    elif fault.kind == "set_field":
        for name, value in fault.fields:
            answer.set(name, value)
    elif fault.kind == "lie_size":
        _lie(answer, fault.value)
    elif fault.kind == "tree_names":
        _name_more(answer, fault.value)
    elif fault.kind == "ignore_range":
        return whole()
    elif fault.kind == "wrong_range" and answer.status == 206:
        _shift(answer, whole().body, fault.value)
    elif fault.kind == "corrupt":
        flip(answer, fault.at)
    return answer


def flip(answer, at):
    """Flips a bit of the body, at byte `at` or what is left of it."""
    if answer.body:
        body = bytearray(answer.body)
        body[at % len(body)] ^= 1
        answer.body = bytes(body)


def _lie(answer, off):
    if answer.get("X-Linked-Size"):
        answer.set("X-Linked-Size", int(answer.get("X-Linked-Size")) + off)
    if answer.get("Content-Range"):
        part, size = answer.get("Content-Range").split("/")
        answer.set("Content-Range", f"{part}/{int(size) + off}")
    listing = _listing(answer)
    for entry in listing:
        for sized in (entry, entry.get("lfs", {})):
            if "size" in sized:
                sized["size"] += off
    if listing:
        answer.body = json.dumps(listing).encode()


def _name_more(answer, path):
    listing = _listing(answer)
    if listing:
        listing.append({"type": "file", "path": path, "size": 12,
                        "oid": content.git_sha1(path.encode())})
        answer.body = json.dumps(listing).encode()


def _listing(answer):
    """The entries of a tree page; none where it is another answer."""
    if "json" not in (answer.get("Content-Type") or ""):
        return []
    value = json.loads(answer.body)
    return value if isinstance(value, list) else []


def _shift(answer, whole, early):
    part, size = answer.get("Content-Range").split(" ")[1].split("/")
    begin, last = (int(number) for number in part.split("-"))
    begin = max(begin - early, 0)
    answer.body = whole[begin:last + 1]
    answer.set("Content-Range", f"bytes {begin}-{last}/{size}")
