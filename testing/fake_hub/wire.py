"""Answers as bytes on a connection, whole or broken on order."""

import http.client
import socket
import struct

_PART = 1 << 20  # bytes that go into one chunk, and into one write


class Broken(Exception):
    """The connection is to end now; `reset` where it is to end by RST."""

    def __init__(self, reset=False):
        super().__init__()
        self.reset = reset


def end_by_reset(connection):
    """Lets the next close of `connection` send RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))


def _head(answer, length):
    reason = http.client.responses.get(answer.status, "Unknown")
    lines = [f"HTTP/1.1 {answer.status} {reason}"]
    lines += [f"{name}: {value}" for name, value in answer.fields]
    if answer.chunked:
        lines.append("Transfer-Encoding: chunked")
    else:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _send_body(write, answer, end):
    """Sends the body up to byte `end`, None for all of it and its end."""
    body = memoryview(answer.body)
    stop = len(body) if end is None else min(end, len(body))
    for begin in range(0, stop, _PART):
        part = body[begin:min(begin + _PART, stop)]
        if not answer.chunked:
            write(part)
            continue
        # What is cut is cut within a chunk that promises more.
        cut = end is not None and begin + len(part) == stop
        write(b"%x\r\n" % (len(part) + (1 if cut else 0)) + part
              + (b"" if cut else b"\r\n"))
    if answer.chunked and end is None:
        write(b"0\r\n\r\n")


def send(write, method, answer, fault, pause):
    """Writes `answer` to the question that `method` put.

    Args:
      write: takes bytes and sends them all.
      method: of the request; HEAD sends no body.
      answer: what to say.
      fault: of the wire kinds, or None.
      pause: takes seconds and waits; it raises Broken when the server stops.

    Raises:
      Broken: the connection must not be used again.
    """
    kind = fault.kind if fault else None
    if kind == "close":
        raise Broken()
    if kind == "garbage":
        write(b"220 this is no web server\r\n" * 4)
        raise Broken()
    if kind == "endless_field":
        _send_endless_field(write, answer, fault.value)
    if kind == "chunk":
        answer.chunked = True
    length = len(answer.body) + (fault.value if kind == "length" else 0)
    write(_head(answer, length))
    if method == "HEAD":
        return
    if kind in ("cut", "chunk", "reset", "stall"):
        _send_body(write, answer, fault.at)
        if kind == "stall":
            pause(fault.value)
        elif kind == "reset":
            pause(0.05)  # Or what was sent before is lost with the rest.
        raise Broken(kind == "reset")
    if kind == "drip":
        for begin in range(0, len(answer.body), fault.value):
            write(answer.body[begin:begin + fault.value])
            pause(0.02)
        return
    _send_body(write, answer, None)
    if kind == "length":
        raise Broken()


def _send_endless_field(write, answer, size):
    write(f"HTTP/1.1 {answer.status} OK\r\nX-Endless: ".encode())
    for _ in range(0, size, _PART):
        write(b"x" * min(size, _PART))
    raise Broken()
