"""Runs the fake Hub until it is interrupted; prints the environment for it."""

import argparse
import time

from testing.fake_hub import world
from testing.fake_hub.server import FakeHub


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http", action="store_true", help="without TLS")
    parser.add_argument("--certificate", default="server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cdn-port", type=int, default=0)
    parser.add_argument("--big", type=int, default=24 << 20,
                        help="bytes of org/big's model.bin")
    options = parser.parse_args()
    with FakeHub(tls=not options.http, certificate=options.certificate,
                 ports=(options.port, options.cdn_port)) as hub:
        world.populate(hub, options.big)
        print(f"export HF_ENDPOINT={hub.url} SSL_CERT_FILE={hub.ca} "
              f"HF_HUB_DISABLE_XET=1 HF_HUB_DISABLE_TELEMETRY=1", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
