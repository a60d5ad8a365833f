"""A request as it came and an answer as it is to go out."""

import gzip
import json
import re
import urllib.parse


class Request:
    """One request; `origin` is "hub" or "cdn", header names are lower case."""

    def __init__(self, origin, method, target, headers, body=b""):
        self.origin = origin
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.path, _, self.query = target.partition("?")
        self.status = None  # of the answer, once there is one
        self.fault = None  # the kind of the fault that befell it
        self.sent = 0  # bytes of the answer that went out so far

    def segments(self):
        """The path's parts, each decoded by itself."""
        parts = self.path.split("/")[1:]
        return [urllib.parse.unquote(part) for part in parts]

    def parameter(self, name, default=None):
        """The last value of `name` in the query."""
        values = urllib.parse.parse_qs(self.query, keep_blank_values=True)
        return values.get(name, [default])[-1]

    def token(self):
        """The token that the request carries, or None."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" and token else None

    def accepts_gzip(self):
        return "gzip" in self.headers.get("accept-encoding", "")

    def record(self):
        """What tests may ask of it, as JSON can carry it."""
        return {"origin": self.origin, "method": self.method,
                "target": self.target, "headers": self.headers,
                "status": self.status, "fault": self.fault,
                "sent": self.sent}

    def __repr__(self):
        return f"<{self.origin} {self.method} {self.target} {self.status}>"


class Answer:
    """Status, fields in order, and a body.

    The length is said by Content-Length, or left to chunks where `chunked`.
    `compressible`: goes as gzip to those who take it.
    """

    def __init__(self, status, body=b"", fields=(), compressible=False):
        self.status = status
        self.body = body
        self.fields = list(fields)
        self.compressible = compressible
        self.chunked = False

    def get(self, name):
        """The first field `name`, or None."""
        for field, value in self.fields:
            if field.lower() == name.lower():
                return value
        return None

    def drop(self, name):
        self.fields = [field for field in self.fields
                       if field[0].lower() != name.lower()]

    def set(self, name, value):
        self.drop(name)
        self.fields.append((name, str(value)))


def as_json(value, fields=(), status=200):
    """An answer of the Hub's API."""
    return Answer(status, json.dumps(value).encode(),
                  [("Content-Type", "application/json; charset=utf-8"),
                   *fields], compressible=True)


def redirect(status, location, fields=()):
    body = f"Redirecting to {location}".encode()
    return Answer(status, body, [("Location", location),
                                 ("Content-Type", "text/plain"), *fields])


def error(status, code, message, fields=()):
    """What the Hub says where it refuses; `code` may be None."""
    named = [("X-Error-Code", code)] if code else []
    return as_json({"error": message},
                   [*named, ("X-Error-Message", message), *fields], status)


def encoded(request, answer):
    """The answer as the Hub sends small text: gzip, of unknown length."""
    if not answer.compressible or not request.accepts_gzip():
        return answer
    answer.body = gzip.compress(answer.body, mtime=0)
    answer.chunked = True
    answer.set("Content-Encoding", "gzip")
    answer.set("Vary", "Accept-Encoding")
    if answer.get("ETag"):
        answer.set("ETag", "W/" + answer.get("ETag"))
    return answer


def ranged(request, answer):
    """The part of a 200 answer that Range asks for, as a 206 or 416."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    condition = request.headers.get("if-range")
    if (not match or not any(match.groups())
            or condition and condition != answer.get("ETag")):
        return answer
    size = len(answer.body)
    first, last = match.groups()
    if not first:
        begin, end = max(size - int(last), 0), size
    else:
        begin = int(first)
        end = min(int(last) + 1, size) if last else size
    if begin >= size or begin >= end:
        return Answer(416, b"", [("Content-Range", f"bytes */{size}")])
    answer.status = 206
    answer.body = answer.body[begin:end]
    answer.set("Content-Range", f"bytes {begin}-{end - 1}/{size}")
    return answer
