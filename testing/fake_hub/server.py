"""The fake Hub's two origins on loopback, over TLS or in the clear.

    with FakeHub() as hub:
        hub.add(content.Repository("org/name")).commit({...})
        hub.misbehave("cut", at=1000, origin="cdn")
        ... HF_ENDPOINT=hub.url, SSL_CERT_FILE=hub.ca ...
        hub.requests

or from any language through the control URL, see control.py.
"""

import os
import socket
import socketserver
import ssl
import sys
import threading

from testing.fake_hub import control, faults, wire
from testing.fake_hub.messages import Request, encoded
from testing.fake_hub.protocol import Hub

_TESTDATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "testdata")
_IDLE_S = 60


class FakeHub(Hub):
    """A Hub that listens while it is entered. Thread-safe.

    Args:
      tls: https, or else http.
      certificate: which of testdata/ the Hub shows: server, expired,
        wrong_host or unknown_ca.
      cdn_certificate: the same for the CDN.
      ports: of the two origins, 0 for free ones.
    """

    def __init__(self, tls=True, certificate="server",
                 cdn_certificate="server", ports=(0, 0)):
        super().__init__()
        self.ca = os.path.join(_TESTDATA, "ca.pem")
        self.requests = []
        self.schedule = faults.Schedule()
        self.failed_handshakes = 0
        self.connections = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._servers = []
        for origin, host, shown, port in (
                ("hub", "localhost", certificate, ports[0]),
                ("cdn", "127.0.0.1", cdn_certificate, ports[1])):
            context = _context(shown) if tls else None
            server = _Server(self, origin, context, port)
            self._servers.append(server)
            scheme = "https" if tls else "http"
            self.urls[origin] = f"{scheme}://{host}:{server.server_address[1]}"
        self.url = self.urls["hub"]

    def __enter__(self):
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,),
                             daemon=True).start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def misbehave(self, kind, value=None, **where):
        """Orders a fault; see faults.Fault for the arguments."""
        self.schedule.add(faults.Fault(kind, value, **where))

    def forget(self):
        """No request was seen, and no fault is to come."""
        self.schedule.clear()
        with self._lock:
            self.requests = []

    def seen(self, origin=None, method=None, path=""):
        """The requests that were answered and fit, in order."""
        with self._lock:
            return [request for request in self.requests
                    if origin in (None, request.origin)
                    and method in (None, request.method)
                    and path in request.target]

    # -- for the connections

    def respond(self, request):
        """(answer, the fault of how it travels or None); notes the request."""
        if request.path.startswith(control.PREFIX):
            return control.answer(self, request), None
        fault = self.schedule.take(request)
        request.fault = fault.kind if fault else None
        with self._lock:
            answer = self.answer(request)
            if fault and fault.kind in faults.ANSWER_KINDS:
                answer = faults.applied(fault, request, answer,
                                        lambda: self._whole(request))
            answer = encoded(request, answer)
            if fault and fault.kind == "bad_gzip":
                faults.flip(answer, fault.at)
            request.status = answer.status
            self.requests.append(request)
        on_the_wire = fault and fault.kind in faults.WIRE_KINDS
        return answer, fault if on_the_wire else None

    def _whole(self, request):
        headers = {name: value for name, value in request.headers.items()
                   if name != "range"}
        return self.answer(Request(request.origin, request.method,
                                   request.target, headers, request.body))

    def count(self, handshake_failed):
        """Counts a connection."""
        with self._lock:
            self.connections += 1
            self.failed_handshakes += handshake_failed

    def pause(self, seconds):
        """Waits; raises wire.Broken when the server stops."""
        if self._stopping.wait(seconds):
            raise wire.Broken()


def _context(name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(_TESTDATA, name + ".pem"))
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, hub, origin, context, port):
        super().__init__(("127.0.0.1", port), _Connection)
        self.hub = hub
        self.origin = origin
        self.context = context

    def handle_error(self, request, client_address):
        """Clients that go away are what the tests are about; bugs are not."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Connection(socketserver.BaseRequestHandler):
    """Requests of one connection, one after the other."""

    def handle(self):
        hub = self.server.hub
        self.request.settimeout(_IDLE_S)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # What is sent is nearly what has arrived.
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
        connection = self.request
        try:
            if self.server.context:
                connection = self.server.context.wrap_socket(
                    connection, server_side=True)
        except OSError:
            hub.count(handshake_failed=True)
            return
        hub.count(handshake_failed=False)
        with connection, connection.makefile("rb") as stream:
            try:
                while self._exchange(connection, stream):
                    pass
            except wire.Broken as broken:
                if broken.reset:
                    wire.end_by_reset(connection)

    def _exchange(self, connection, stream):
        """Answers one request; False when the client wants no more."""
        request = read_request(stream, self.server.origin)
        if request is None:
            return False
        answer, fault = self.server.hub.respond(request)

        def write(data):
            connection.sendall(data)
            request.sent += len(data)

        wire.send(write, request.method, answer, fault, self.server.hub.pause)
        return request.headers.get("connection", "").lower() != "close"


def read_request(stream, origin):
    """The next request, or None at the end of the connection."""
    line = stream.readline(65536).decode("latin-1").split()
    if len(line) != 3:
        return None
    headers = {}
    while True:
        field = stream.readline(65536).decode("latin-1").strip()
        if not field:
            break
        name, _, value = field.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))
    return Request(origin, line[0], line[1], headers, body)
