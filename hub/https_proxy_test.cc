// The transport behind proxies.
#include <fstream>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
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

// "user:p@ss/word" in base64.
constexpr char kAuthorization[] =
    "Proxy-Authorization: Basic dXNlcjpwQHNzL3dvcmQ=\r\n";

class HttpsProxyTest : public testing::Test {
 protected:
  HttpsProxyTest() : context_(authority_.MakeServer("IP:127.0.0.1")) {
    options_.ca_file = absl::StrCat(testing::TempDir(), "/ca.pem");
    std::ofstream(options_.ca_file) << authority_.Pem();
  }

  static void Answer(TestPeer& peer) {
    while (!peer.ReadRequest().empty()) {
      peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    }
  }

  // Makes a tunnel to `port`.
  void Tunnel(TestPeer& peer, uint16_t port) {
    Note(peer.ReadRequest());
    peer.Write("HTTP/1.1 200 Connection established\r\n\r\n");
    peer.Relay(port);
  }

  void Note(const std::string& request) {
    const std::lock_guard<std::mutex> lock(mutex_);
    seen_ += request;
  }

  std::string seen() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return seen_;
  }

  Fetched Get(const std::string& url) {
    return Fetch(MakeTransport(options_).get(), url);
  }

  TestAuthority authority_;
  bssl::UniquePtr<SSL_CTX> context_;
  HttpsOptions options_;

 private:
  std::mutex mutex_;
  std::string seen_;
};

TEST_F(HttpsProxyTest, AsksForATunnelWithCredentials) {
  TestServer server(Answer, context_.get());
  TestServer proxy([&](TestPeer& peer) { Tunnel(peer, server.port()); });
  options_.proxies.https =
      absl::StrCat("http://user:p%40ss/word@127.0.0.1:", proxy.port());
  const auto transport = MakeTransport(options_);
  for (int i = 0; i < 2; ++i) {
    const Fetched fetched = Fetch(transport.get(), server.Url("/x"));
    EXPECT_EQ(fetched.body, "hello") << fetched.status;
  }
  EXPECT_EQ(proxy.connections(), 1) << "the tunnel is used again";
  const std::string host = absl::StrCat("127.0.0.1:", server.port());
  EXPECT_EQ(seen(), absl::StrCat("CONNECT ", host, " HTTP/1.1\r\nHost: ", host,
                                 "\r\n", kAuthorization, "\r\n"));
}

TEST_F(HttpsProxyTest, ReachesAProxyOverTls) {
  TestServer server(Answer, context_.get());
  TestServer proxy([&](TestPeer& peer) { Tunnel(peer, server.port()); },
                   context_.get());
  options_.proxies.https = proxy.Url("");
  const Fetched fetched = Get(server.Url("/"));
  EXPECT_EQ(fetched.body, "hello") << fetched.status;
  EXPECT_TRUE(absl::StartsWith(seen(), "CONNECT "));
}

TEST_F(HttpsProxyTest, VerifiesAProxyOverTlsBeforeItTellsThePassword) {
  const TestAuthority other;
  const auto context = other.MakeServer("IP:127.0.0.1");
  TestServer proxy([&](TestPeer& peer) { Note(peer.ReadRequest()); },
                   context.get());
  options_.proxies.https =
      absl::StrCat("https://user:secret@127.0.0.1:", proxy.port());
  EXPECT_EQ(ErrorId(Get("https://a.test/").status), error_id::kHubTls);
  EXPECT_EQ(seen(), "");
}

TEST_F(HttpsProxyTest, TellsAProxyTheWholeUrlWithoutTls) {
  TestServer proxy([&](TestPeer& peer) {
    Note(peer.ReadRequest());
    peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  });
  options_.proxies.http =
      absl::StrCat("user:p%40ss/word@127.0.0.1:", proxy.port());
  const Fetched fetched = Get("http://example.org/a?b");
  EXPECT_EQ(fetched.body, "hello") << fetched.status;
  EXPECT_EQ(seen(), absl::StrCat("GET http://example.org/a?b HTTP/1.1\r\n"
                                 "Host: example.org\r\n",
                                 kAuthorization, "\r\n"));
}

TEST_F(HttpsProxyTest, SaysThatAProxyRefusesAndKeepsItsPassword) {
  TestServer proxy([](TestPeer& peer) {
    peer.ReadRequest();
    peer.Write("HTTP/1.1 407 Authenticate\r\nContent-Length: 0\r\n\r\n");
  });
  const std::string address =
      absl::StrCat("http://user:secret@127.0.0.1:", proxy.port());
  options_.proxies.http = address;
  options_.proxies.https = address;
  for (const std::string url : {"http://a.test/", "https://a.test/"}) {
    const Fetched fetched = Get(url);
    EXPECT_EQ(fetched.status.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(ErrorId(fetched.status), error_id::kHubProxy) << fetched.status;
    EXPECT_TRUE(absl::StrContains(fetched.status.message(), "407"));
    EXPECT_FALSE(absl::StrContains(fetched.status.message(), "secret"));
  }
}

TEST_F(HttpsProxyTest, AProxyThatIsNotThereIsItsError) {
  uint16_t port = 0;
  { port = TestServer(Answer).port(); }
  options_.proxies.http = absl::StrCat("http://127.0.0.1:", port);
  options_.proxies.https = options_.proxies.http;
  EXPECT_EQ(ErrorId(Get("http://a.test/").status), error_id::kHubProxy);
  EXPECT_EQ(ErrorId(Get("https://a.test/").status), error_id::kHubProxy);
}

TEST_F(HttpsProxyTest, AProxyThatHangsUpOrTalksNonsenseIsItsError) {
  for (const std::string answer : {"", "HTTP/1.1 200", "SSH-2.0-x\r\n"}) {
    TestServer proxy([&](TestPeer& peer) {
      peer.ReadRequest();
      peer.Write(answer);
    });
    options_.proxies.https = proxy.Url("");
    EXPECT_EQ(ErrorId(Get("https://a.test/").status), error_id::kHubProxy)
        << answer;
  }
}

TEST_F(HttpsProxyTest, AProxyThatStallsIsGivenUpInTime) {
  TestServer proxy([](TestPeer& peer) { peer.WaitForEnd(); });
  options_.proxies.https = proxy.Url("");
  HttpRequest request;
  request.url = "https://a.test/";
  request.timeout_ms = 200;
  const auto transport = MakeTransport(options_);
  EXPECT_EQ(ErrorId(Fetch(transport.get(), request).status),
            error_id::kHubTimeout);
}

// A man in the middle cannot pass for the server.
TEST_F(HttpsProxyTest, VerifiesTheServerBehindTheTunnel) {
  const TestAuthority other;
  const auto context = other.MakeServer("IP:127.0.0.1");
  TestServer server([&](TestPeer& peer) { Note(peer.ReadRequest()); },
                    context.get());
  TestServer proxy([&](TestPeer& peer) {
    peer.ReadRequest();
    peer.Write("HTTP/1.1 200 OK\r\n\r\n");
    peer.Relay(server.port());
  });
  options_.proxies.https = proxy.Url("");
  EXPECT_EQ(ErrorId(Get(server.Url("/")).status), error_id::kHubTls);
  EXPECT_EQ(seen(), "");
}

TEST_F(HttpsProxyTest, GoesDirectlyToWhatNoProxyNames) {
  TestServer server(Answer, context_.get());
  TestServer proxy([](TestPeer&) {});
  options_.proxies.https = proxy.Url("");
  options_.proxies.no_proxy = "example.org, 127.0.0.0/8";
  EXPECT_EQ(Get(server.Url("/")).body, "hello");
  EXPECT_EQ(proxy.connections(), 0);
}

}  // namespace
}  // namespace hub
}  // namespace peft
