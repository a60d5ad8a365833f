"""Each fault does to an exchange what it is named for."""

import gzip
import http.client
import json
import ssl
import time
import unittest
import urllib.parse
import urllib.request

from testing.fake_hub import content, world
from testing.fake_hub.server import FakeHub

BIG = "/org/big/resolve/main/model.bin"
SMALL = "/org/big/resolve/main/config.json"
TREE = "/api/models/org/big/tree/main?recursive=true"


def context():
    """A client's, with our CA trusted."""
    with FakeHub() as hub:
        return ssl.create_default_context(cafile=hub.ca)


class FaultsTest(unittest.TestCase):

    def setUp(self):
        self.hub = self.enterContext(FakeHub())
        world.populate(self.hub, big=3 << 20)
        self.data = content.seeded_bytes("big", 3 << 20)

    def exchange(self, target, method="GET", **headers):
        """(status, fields, body) of one answer of the Hub or the CDN."""
        url = urllib.parse.urljoin(self.hub.url, target)
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPSConnection(parts.netloc,
                                                 context=context())
        self.addCleanup(connection.close)
        connection.request(method, url.split(parts.netloc, 1)[1],
                           headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def big(self, **headers):
        """The large file, from the CDN."""
        _, fields, _ = self.exchange(BIG, "HEAD")
        return self.exchange(fields["Location"], **headers)

    def test_no_fault(self):
        status, fields, body = self.big()
        self.assertEqual((status, body), (200, self.data))
        self.assertEqual(fields["Content-Length"], str(len(self.data)))

    def test_ranges(self):
        for asked, begin, end in (("bytes=5-9", 5, 10),
                                  ("bytes=3000000-", 3000000, 3145728),
                                  ("bytes=-7", 3145721, 3145728),
                                  ("bytes=9-99999999", 9, 3145728)):
            with self.subTest(asked):
                status, fields, body = self.big(Range=asked)
                self.assertEqual((status, body), (206, self.data[begin:end]))
                self.assertEqual(fields["Content-Range"],
                                 f"bytes {begin}-{end - 1}/3145728")
        self.assertEqual(self.big(Range="bytes=3145728-")[0], 416)

    def test_if_range(self):
        etag = self.big()[1]["ETag"]
        asked = {"Range": "bytes=0-1"}
        self.assertEqual(self.big(**asked, **{"If-Range": etag})[0], 206)
        self.assertEqual(self.big(**asked, **{"If-Range": '"other"'})[0], 200)

    def test_the_cdn_wants_its_url_as_it_is_and_no_token(self):
        location = self.exchange(BIG, "HEAD")[1]["Location"]
        self.assertEqual(
            self.exchange(urllib.parse.unquote(location))[0], 403)
        self.assertEqual(
            self.exchange(location, Authorization="Bearer x")[0], 400)

    def test_status(self):
        self.hub.misbehave("status", 503, origin="cdn", times=2,
                           fields=[("Retry-After", "1")])
        status, fields, _ = self.big()
        self.assertEqual((status, fields["Retry-After"]), (503, "1"))
        self.assertEqual(self.big()[0], 503)
        self.assertEqual(self.big()[0], 200)

    def test_skip_method_and_path(self):
        self.hub.misbehave("status", 500, skip=1, method="GET", path="config")
        self.assertEqual(self.exchange(SMALL, "HEAD")[0], 200)
        self.assertEqual(self.exchange(BIG)[0], 302)
        self.assertEqual(self.exchange(SMALL)[0], 200)
        self.assertEqual(self.exchange(SMALL)[0], 500)

    def test_lie_size(self):
        self.hub.misbehave("lie_size", 5, times=2)
        self.assertEqual(self.exchange(BIG, "HEAD")[1]["X-Linked-Size"],
                         "3145733")
        entries = json.loads(self.exchange(TREE)[2])
        self.assertEqual([entry["size"] for entry in entries], [305, 3145733])

    def test_fields(self):
        self.hub.misbehave("drop_field", "X-Linked-ETag")
        self.hub.misbehave("set_field", fields=[("X-Linked-ETag", "odd")])
        self.assertNotIn("X-Linked-ETag", self.exchange(BIG, "HEAD")[1])
        self.assertEqual(self.exchange(BIG, "HEAD")[1]["X-Linked-ETag"], "odd")

    def test_redirects(self):
        self.hub.misbehave("redirect", "file:///etc/passwd")
        self.hub.misbehave("circle")
        self.assertEqual(self.exchange(BIG, "HEAD")[1]["Location"],
                         "file:///etc/passwd")
        self.assertEqual(self.exchange(BIG, "HEAD")[1]["Location"], BIG)

    def test_portal(self):
        self.hub.misbehave("portal")
        status, _, body = self.exchange(SMALL)
        self.assertEqual((status, body[:6]), (200, b"<html>"))

    def test_tree_names(self):
        self.hub.misbehave("tree_names", "../evil")
        self.assertIn("../evil", [entry["path"] for entry in
                                  json.loads(self.exchange(TREE)[2])])

    def test_ignore_and_wrong_range(self):
        self.hub.misbehave("ignore_range", origin="cdn")
        self.hub.misbehave("wrong_range", 10, origin="cdn")
        self.assertEqual(self.big(Range="bytes=100-199")[::2],
                         (200, self.data))
        status, fields, body = self.big(Range="bytes=100-199")
        self.assertEqual((status, body), (206, self.data[90:200]))
        self.assertEqual(fields["Content-Range"], "bytes 90-199/3145728")

    def test_corrupt(self):
        self.hub.misbehave("corrupt", at=7, origin="cdn")
        body = self.big()[2]
        self.assertEqual(len(body), len(self.data))
        self.assertEqual([i for i in range(20) if body[i] != self.data[i]],
                         [7])

    def test_bad_gzip(self):
        compressed = {"Accept-Encoding": "gzip"}
        self.hub.misbehave("bad_gzip", at=30)
        with self.assertRaises(Exception):
            gzip.decompress(self.exchange(SMALL, **compressed)[2])
        gzip.decompress(self.exchange(SMALL, **compressed)[2])

    def test_close_and_garbage(self):
        self.hub.misbehave("close")
        with self.assertRaises((http.client.RemoteDisconnected, OSError)):
            self.exchange(SMALL)
        self.hub.misbehave("garbage")
        with self.assertRaises(http.client.BadStatusLine):
            self.exchange(SMALL)

    def test_cut(self):
        for kind, at in (("cut", 1000), ("cut", 2_000_000),
                         ("chunk", 1000), ("length", 0)):
            self.hub.misbehave(kind, at=at, value=9, origin="cdn")
            with self.subTest(kind, at=at):
                with self.assertRaises(
                        (http.client.IncompleteRead, ssl.SSLError)) as raised:
                    self.big()
                if kind == "cut":
                    self.assertEqual(len(raised.exception.partial), at)

    def test_reset(self):
        # In the clear: Python's TLS says of a reset that it is an end.
        hub = self.enterContext(FakeHub(tls=False))
        world.populate(hub, big=1000)
        hub.misbehave("reset", at=100)
        with self.assertRaises(ConnectionResetError):
            with urllib.request.urlopen(hub.url + SMALL) as answer:
                answer.read()

    def test_stall(self):
        self.hub.misbehave("stall", 0.5, at=1000, origin="cdn")
        begin = time.monotonic()
        with self.assertRaises((http.client.IncompleteRead, ssl.SSLError)):
            self.big()
        self.assertGreater(time.monotonic() - begin, 0.5)

    def test_drip(self):
        self.hub.misbehave("drip", 100, path="config")
        begin = time.monotonic()
        self.assertEqual(len(self.exchange(SMALL)[2]), 300)
        self.assertGreater(time.monotonic() - begin, 0.05)

    def test_endless_field(self):
        self.hub.misbehave("endless_field", 1 << 20)
        with self.assertRaises(http.client.LineTooLong):
            self.exchange(SMALL)

    def test_control_urls(self):
        order = json.dumps([{"kind": "status", "value": 418,
                             "path": "config"}]).encode()
        url = self.hub.url + "/__control__/"
        urllib.request.urlopen(url + "faults", order, context=context())
        self.assertEqual(self.exchange(SMALL)[0], 418)
        with urllib.request.urlopen(url + "requests",
                                    context=context()) as answer:
            [seen] = json.load(answer)
        self.assertEqual((seen["target"], seen["status"], seen["fault"]),
                         (SMALL, 418, "status"))


class CertificatesTest(unittest.TestCase):

    def test_the_bad_ones_are_refused(self):
        for name, said in (("expired", "expired"),
                           ("wrong_host", "match"),
                           ("unknown_ca", "local issuer")):
            with self.subTest(name), FakeHub(certificate=name) as hub:
                with self.assertRaisesRegex(OSError, said):
                    urllib.request.urlopen(hub.url, context=context())
                self.assertEqual(hub.requests, [])


if __name__ == "__main__":
    unittest.main()
