// Who the transport trusts, and how TLS may end.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "hub/https_transport.h"
#include "hub/testing/test_certificates.h"
#include "hub/testing/test_client.h"
#include "hub/testing/test_server.h"
#include "openssl/ssl.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

constexpr char kNames[] = "DNS:localhost,IP:127.0.0.1";

std::string WriteFile(const std::string& name, const std::string& text) {
  const std::string path = absl::StrCat(testing::TempDir(), "/", name);
  std::ofstream(path) << text;
  return path;
}

HttpsOptions Trusting(const TestAuthority& authority) {
  HttpsOptions options;
  options.ca_file = WriteFile("ca.pem", authority.Pem());
  return options;
}

void Answer(TestPeer& peer) {
  while (!peer.ReadRequest().empty()) {
    if (!peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
      return;
  }
}

// Fails with HUB_TLS for a server with `context`, and sends it nothing.
void ExpectRefused(SSL_CTX* context, const HttpsOptions& options,
                   const std::string& reason) {
  std::atomic<bool> got_request{false};
  TestServer server(
      [&](TestPeer& peer) { got_request = !peer.ReadRequest().empty(); },
      context);
  {
    const auto transport = MakeTransport(options);
    const Fetched fetched = Fetch(transport.get(), server.Url("/"));
    EXPECT_EQ(fetched.status.code(), absl::StatusCode::kUnauthenticated);
    EXPECT_EQ(ErrorId(fetched.status), error_id::kHubTls) << fetched.status;
    EXPECT_TRUE(absl::StrContains(fetched.status.message(), reason))
        << fetched.status;
  }
  EXPECT_FALSE(got_request);
}

TEST(HttpsTlsTest, FetchesFromAServerThatItTrusts) {
  const TestAuthority authority;
  const auto context = authority.MakeServer(kNames);
  TestServer server(Answer, context.get());
  const auto transport = MakeTransport(Trusting(authority));
  for (const std::string host : {"127.0.0.1", "localhost", "LocalHost"}) {
    const Fetched fetched = Fetch(transport.get(), server.Url("/", host));
    EXPECT_TRUE(fetched.status.ok()) << fetched.status;
    EXPECT_EQ(fetched.body, "hello");
  }
  EXPECT_EQ(server.connections(), 2) << "one for the address, one for the name";
}

TEST(HttpsTlsTest, TrustsTheFilesOfAFolder) {
  const TestAuthority authority;
  const TestAuthority other;
  HttpsOptions options;
  const std::string folder = absl::StrCat(testing::TempDir(), "/folder");
  std::filesystem::create_directories(folder);
  options.ca_dir = "/nowhere:" + folder;
  WriteFile("folder/a.pem", other.Pem());
  const std::string broken =
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  WriteFile("folder/b.pem", "# two\n" + broken + authority.Pem());
  WriteFile("folder/README", "no certificate");
  const auto context = authority.MakeServer(kNames);
  TestServer server(Answer, context.get());
  const auto transport = MakeTransport(options);
  const Fetched fetched = Fetch(transport.get(), server.Url("/"));
  EXPECT_TRUE(fetched.status.ok()) << fetched.status;
}

TEST(HttpsTlsTest, RefusesAnUnknownAuthority) {
  const TestAuthority authority;
  const TestAuthority other;
  ExpectRefused(other.MakeServer(kNames).get(), Trusting(authority),
                "SSL_CERT_FILE");
}

TEST(HttpsTlsTest, TrustsNobodyThatTheSystemDoesNotUnlessTold) {
  const TestAuthority authority;
  ExpectRefused(authority.MakeServer(kNames).get(), {}, "SSL_CERT_FILE");
}

TEST(HttpsTlsTest, RefusesAnExpiredCertificate) {
  const TestAuthority authority;
  ExpectRefused(authority.MakeServer(kNames, -7200, -3600).get(),
                Trusting(authority), "certificate has expired");
}

TEST(HttpsTlsTest, RefusesACertificateOfTheFuture) {
  const TestAuthority authority;
  ExpectRefused(authority.MakeServer(kNames, 3600, 7200).get(),
                Trusting(authority), "not yet valid");
}

TEST(HttpsTlsTest, RefusesAnotherHostsCertificate) {
  const TestAuthority authority;
  ExpectRefused(authority.MakeServer("DNS:localhost,IP:127.0.0.2").get(),
                Trusting(authority), "IP address mismatch");
  // An address is no name.
  ExpectRefused(authority.MakeServer("DNS:127.0.0.1").get(),
                Trusting(authority), "IP address mismatch");
}

TEST(HttpsTlsTest, RefusesAnotherNamesCertificate) {
  const TestAuthority authority;
  const auto context =
      authority.MakeServer("DNS:example.org,DNS:*.localhost,IP:127.0.0.1");
  TestServer server(Answer, context.get());
  const auto transport = MakeTransport(Trusting(authority));
  const Fetched fetched = Fetch(transport.get(), server.Url("/", "localhost"));
  EXPECT_EQ(ErrorId(fetched.status), error_id::kHubTls);
  EXPECT_TRUE(absl::StrContains(fetched.status.message(), "Hostname mismatch"))
      << fetched.status;
}

TEST(HttpsTlsTest, RefusesTls11) {
  const TestAuthority authority;
  const auto context = authority.MakeServer(kNames);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(context.get(), TLS1_1_VERSION);
  ExpectRefused(context.get(), Trusting(authority), "handshake");
}

TEST(HttpsTlsTest, SpeaksTls12) {
  const TestAuthority authority;
  const auto context = authority.MakeServer(kNames);
  SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  TestServer server(Answer, context.get());
  const auto transport = MakeTransport(Trusting(authority));
  const Fetched fetched = Fetch(transport.get(), server.Url("/"));
  EXPECT_EQ(fetched.body, "hello") << fetched.status;
}

TEST(HttpsTlsTest, SaysWhichCertificatesItCannotFind) {
  const TestAuthority authority;
  HttpsOptions options;
  options.ca_file = "/nowhere/ca.pem";
  ExpectRefused(authority.MakeServer(kNames).get(), options, "/nowhere/ca.pem");
  options.ca_file = WriteFile("bad.pem", "no certificate");
  ExpectRefused(authority.MakeServer(kNames).get(), options, "bad.pem");
  options.ca_file = "";
  options.ca_dir = "/nowhere";
  ExpectRefused(authority.MakeServer(kNames).get(), options, "/nowhere");
}

TEST(HttpsTlsTest, APortThatSpeaksNoTlsIsATlsError) {
  const TestAuthority authority;
  TestServer server([](TestPeer& peer) {
    peer.Write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    peer.WaitForEnd();
  });
  const auto transport = MakeTransport(Trusting(authority));
  const Fetched fetched = Fetch(
      transport.get(), absl::StrCat("https://127.0.0.1:", server.port(), "/"));
  EXPECT_EQ(ErrorId(fetched.status), error_id::kHubTls) << fetched.status;
  EXPECT_TRUE(absl::StrContains(fetched.status.message(), "handshake"));
}

TEST(HttpsTlsTest, AConnectionCutInTheHandshakeIsAConnectionError) {
  const TestAuthority authority;
  TestServer server([](TestPeer&) {});
  const auto transport = MakeTransport(Trusting(authority));
  const Fetched fetched = Fetch(
      transport.get(), absl::StrCat("https://127.0.0.1:", server.port(), "/"));
  EXPECT_EQ(ErrorId(fetched.status), error_id::kHubConnect) << fetched.status;
}

TEST(HttpsTlsTest, TheHandshakeEndsInTimeAndWhenCancelled) {
  const TestAuthority authority;
  TestServer server([](TestPeer& peer) { peer.WaitForEnd(); });
  const auto transport = MakeTransport(Trusting(authority));
  HttpRequest request;
  request.url = absl::StrCat("https://127.0.0.1:", server.port(), "/");
  request.timeout_ms = 200;
  EXPECT_EQ(ErrorId(Fetch(transport.get(), request).status),
            error_id::kHubTimeout);
  request.timeout_ms = 60000;
  int asked = 0;
  const Fetched fetched =
      Fetch(transport.get(), request, [&] { return ++asked > 5; });
  EXPECT_EQ(ErrorId(fetched.status), error_id::kCancelled);
}

// Without a length only the end of TLS tells that all of the body came.
TEST(HttpsTlsTest, ABodyWithoutLengthEndsOnlyWithTls) {
  const TestAuthority authority;
  const auto context = authority.MakeServer(kNames);
  std::atomic<bool> end_tls{true};
  TestServer server(
      [&](TestPeer& peer) {
        peer.ReadRequest();
        peer.Write("HTTP/1.1 200 OK\r\n\r\nhello");
        if (end_tls) peer.EndTls();
      },
      context.get());
  const auto transport = MakeTransport(Trusting(authority));
  Fetched fetched = Fetch(transport.get(), server.Url("/"));
  EXPECT_TRUE(fetched.status.ok()) << fetched.status;
  EXPECT_EQ(fetched.body, "hello");
  end_tls = false;
  fetched = Fetch(transport.get(), server.Url("/"));
  EXPECT_EQ(ErrorId(fetched.status), error_id::kHubConnect);
}

TEST(HttpsTlsTest, AKeptConnectionThatClosesIsReplaced) {
  const TestAuthority authority;
  const auto context = authority.MakeServer(kNames);
  TestServer server(
      [](TestPeer& peer) {
        peer.ReadRequest();
        peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        peer.ReadRequest();
        peer.EndTls();
      },
      context.get());
  const auto transport = MakeTransport(Trusting(authority));
  for (int i = 0; i < 3; ++i) {
    const Fetched fetched = Fetch(transport.get(), server.Url("/"));
    EXPECT_EQ(fetched.body, "hello") << fetched.status;
  }
  EXPECT_EQ(server.connections(), 3);
}

TEST(HttpsTlsTest, ReadsLargeBodiesInPartsOfBoundedSize) {
  const TestAuthority authority;
  const auto context = authority.MakeServer(kNames);
  std::string body(5000000, 'x');
  for (size_t i = 0; i < body.size(); i += 997) body[i] = 'a' + i % 26;
  TestServer server(
      [&](TestPeer& peer) {
        peer.ReadRequest();
        peer.Write(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ",
                                body.size(), "\r\n\r\n", body));
        peer.WaitForEnd();
      },
      context.get());
  const auto transport = MakeTransport(Trusting(authority));
  HttpRequest request;
  request.url = server.Url("/");
  std::string got;
  const auto response = transport->Exchange(
      request, [](const HttpResponse&) { return absl::OkStatus(); },
      [&](absl::Span<const uint8_t> part) {
        EXPECT_LE(part.size(), 256u << 10);
        got.append(part.begin(), part.end());
        return absl::OkStatus();
      },
      [] { return false; });
  EXPECT_TRUE(response.ok()) << response.status();
  EXPECT_TRUE(got == body);
}

TEST(HttpsTlsTest, ServesFourThreadsAtOnce) {
  const TestAuthority authority;
  const auto context = authority.MakeServer(kNames);
  TestServer server(Answer, context.get());
  const auto transport = MakeTransport(Trusting(authority));
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 10; ++j) {
        if (Fetch(transport.get(), server.Url("/")).body == "hello") ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 40);
  EXPECT_LE(server.connections(), 4);
}

}  // namespace
}  // namespace hub
}  // namespace peft
