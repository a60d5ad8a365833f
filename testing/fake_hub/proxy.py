"""A proxy on loopback that tunnels with CONNECT, and notes where to.

    with Proxy() as proxy:
        ... HTTPS_PROXY=proxy.url ...
        proxy.targets
"""

import select
import socket
import socketserver
import threading


class Proxy(socketserver.ThreadingTCPServer):
    """Listens while it is entered. Thread-safe."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.targets = []

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.05,),
                         daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class _Tunnel(socketserver.StreamRequestHandler):

    def handle(self):
        method, target, _ = self.rfile.readline().decode().split()
        while self.rfile.readline().strip():
            pass
        self.server.targets.append(f"{method} {target}")
        host, _, port = target.rpartition(":")
        try:
            with socket.create_connection((host, int(port))) as other:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                _exchange(self.connection, other)
        except OSError:
            pass  # either end went away


def _exchange(one, other):
    """Passes bytes on in both directions until one end closes."""
    while True:
        for source in select.select([one, other], [], [])[0]:
            data = source.recv(1 << 16)
            if not data:
                return
            (other if source is one else one).sendall(data)
