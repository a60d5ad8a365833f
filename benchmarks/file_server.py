"""A Hub of one file, as fast as the machine: its bytes go out by sendfile."""

import mmap
import multiprocessing
import os
import socket
import socketserver
import ssl
import time

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_PART = 1 << 20  # what goes into one call where sendfile is of no use


def _serve(pipe, path, sha256, certificate, limit):
    """Serves the file at `path` until the process is ended."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    size = os.path.getsize(path)
    file = open(path, "rb")
    mapped = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))

    class Connection(socketserver.BaseRequestHandler):
        """Answers HEAD and GET, of whatever file, until the client ends."""

        def handle(self):
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = self.request
            if context:
                connection = context.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while self.answer(connection, stream):
                    pass

        def answer(self, connection, stream):
            line = stream.readline().split()
            begin, end = 0, size
            for field in iter(stream.readline, b"\r\n"):
                if not field:
                    return False
                if field.lower().startswith(b"range: bytes="):
                    first, _, last = field.split(b"=")[1].strip().partition(
                        b"-")
                    begin, end = int(first), int(last or size - 1) + 1
            status = "200 OK" if end - begin == size else "206 Partial Content"
            connection.sendall((
                f"HTTP/1.1 {status}\r\nContent-Length: {end - begin}\r\n"
                f"Content-Range: bytes {begin}-{end - 1}/{size}\r\n"
                f"X-Repo-Commit: {COMMIT}\r\nAccept-Ranges: bytes\r\n"
                f'ETag: "{sha256}"\r\n\r\n').encode())
            if line[0] == b"HEAD":
                return True
            if not context and not limit:
                connection.sendfile(file, begin, end - begin)
                return True
            start = time.monotonic()
            for place in range(begin, end, _PART):
                connection.sendall(mapped[place:min(place + _PART, end)])
                if limit:
                    due = start + (place + _PART - begin) / limit
                    time.sleep(max(due - time.monotonic(), 0))
            return True

    class Server(socketserver.ThreadingTCPServer):
        """On a free port of loopback."""

        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request, client_address):
            """Clients may go away."""

    server = Server(("127.0.0.1", 0), Connection)
    pipe.send(server.server_address[1])
    server.serve_forever()


class FileServer:
    """Serves `path` from a process of its own, while it is entered.

    `certificate`: a PEM file for localhost, with its key; None: plain HTTP.
    `limit`: bytes a second of each connection; None for as many as go.
    """

    def __init__(self, path, sha256, certificate=None, limit=None):
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, path, sha256, certificate, limit),
            daemon=True)
        self._process.start()
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://localhost:{ours.recv()}"
        self.file_url = f"{self.url}/org/big/resolve/main/model.bin"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.join()
