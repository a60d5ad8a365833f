"""Requests to the Hub by the program's own network code, through the C ABI."""

import ctypes as C
import gzip
import http.client
import os
import ssl
import time
import unittest
import urllib.parse
from concurrent import futures

from testing.hub_case import LIBRARY, READER, HubCase

TRANSPORT_OK, TRANSPORT_CONNECT, TRANSPORT_TLS = 0, 1, 3


class HubTransportTest(HubCase):

    def transport(self, request, exchange):
        """A peft_transport_fn by Python's http.client."""
        self.asked.append(request.method + b" " + request.url)
        url = urllib.parse.urlsplit(request.url.decode())
        connection = http.client.HTTPSConnection(
            url.netloc, timeout=request.timeout_ms / 1000,
            context=ssl.create_default_context(cafile=self.hub.ca))
        try:
            connection.request(
                request.method.decode(),
                url.path + ("?" + url.query if url.query else ""),
                headers={request.field_names[i].decode():
                         request.field_values[i].decode()
                         for i in range(request.num_fields)})
            return self.answer(connection.getresponse(), exchange)
        except ssl.SSLError:
            return TRANSPORT_TLS
        except (OSError, http.client.HTTPException):
            return TRANSPORT_CONNECT
        finally:
            connection.close()

    def answer(self, response, exchange):
        fields = [(name.encode(), value.encode())
                  for name, value in response.getheaders()
                  if name.lower() != "content-encoding"]
        names, values = ((C.c_char_p * len(fields))(*column)
                         for column in zip(*fields))
        exchange = C.c_void_p(exchange)
        end = LIBRARY.lib.peft_exchange_respond(
            exchange, response.status, names, values,
            C.c_size_t(len(fields)))
        body = response
        if response.getheader("Content-Encoding") == "gzip":
            body = gzip.GzipFile(fileobj=response)
        while not end and (part := body.read(10_000)):
            end = LIBRARY.lib.peft_exchange_write(exchange, part,
                                                  C.c_size_t(len(part)))
        return TRANSPORT_OK

    def with_transport(self, transport=None):
        """Options that have this transport, where ours would go astray."""
        self.asked = []
        os.environ["SSL_CERT_FILE"] = os.devnull
        return {"transport": transport or self.transport}

    def test_the_programs_transport_fetches(self):
        options = self.with_transport()
        model = self.open("org/base", **options)
        model.load_adapter("org/private", "a", token=READER, **options)
        self.assert_runs(model, "german")
        self.assertEqual(len(self.asked), len(self.hub.requests))
        self.assertTrue(self.hub.seen("cdn", "GET"))

    def test_faults_are_made_good_over_the_programs_transport(self):
        self.hub.misbehave("cut", value=500, at=0, origin="cdn")
        model = self.open("org/base", **self.with_transport())
        self.assert_runs(model, None)

    def test_what_a_transport_may_do_wrong(self):
        def says(value):
            return lambda request, exchange: value

        def writes_first(request, exchange):
            LIBRARY.lib.peft_exchange_write(C.c_void_p(exchange), b"x",
                                            C.c_size_t(1))
            return TRANSPORT_OK

        def status_of(status, count):
            def answer(request, exchange):
                LIBRARY.lib.peft_exchange_respond(C.c_void_p(exchange), status,
                                                  None, None, C.c_size_t(count))
                return TRANSPORT_OK
            return answer

        def check(case):
            error_id, transport = case
            self.assert_fails(error_id, self.open, "org/base",
                              **self.with_transport(transport))

        # At once: some are tried again and again, with pauses.
        with futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(check, (
                ("HUB_CONNECT", says(TRANSPORT_OK)),
                ("HUB_CONNECT", says(TRANSPORT_CONNECT)),
                ("HUB_CONNECT", says(77)), ("HUB_TIMEOUT", says(2)),
                ("HUB_TLS", says(TRANSPORT_TLS)),
                ("ARGUMENT", writes_first),
                ("ARGUMENT", status_of(7, 0)),
                ("ARGUMENT", status_of(200, 1)))))
        self.assert_fails("ARGUMENT", self.open, "org/base",
                          proxies=["all=http://127.0.0.1:1"],
                          **self.with_transport())

    def test_an_exchange_ends_with_its_call(self):
        kept = []

        def keep(request, exchange):
            kept.append(exchange)
            return self.transport(request, exchange)

        self.open("org/base", **self.with_transport(keep))
        late = C.c_void_p(kept[0])
        lib = LIBRARY.lib
        self.assertEqual(lib.peft_exchange_is_cancelled(late), 1)
        self.assertEqual(lib.peft_exchange_write(late, b"x", C.c_size_t(1)), 1)
        self.assertEqual(
            lib.peft_exchange_respond(late, 200, None, None, C.c_size_t(0)), 1)

    def test_a_program_is_cancelled_in_its_transport(self):
        start = time.monotonic()

        def waits(request, exchange):
            while not LIBRARY.lib.peft_exchange_is_cancelled(
                    C.c_void_p(exchange)):
                time.sleep(0.05)
            return TRANSPORT_OK

        self.assert_fails(
            "CANCELLED", self.open, "org/base",
            on_download=lambda *_: time.monotonic() - start > 0.5,
            **self.with_transport(waits))


if __name__ == "__main__":
    unittest.main()
