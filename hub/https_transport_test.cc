#include "hub/https_transport.h"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "hub/testing/test_client.h"
#include "hub/testing/test_server.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Within a wait that would else not end, on a machine that is busy with more.
constexpr milliseconds kSoon{30000};

std::string Answer(absl::string_view body, absl::string_view fields = "") {
  return absl::StrCat("HTTP/1.1 200 OK\r\n", fields,
                      "Content-Length: ", body.size(), "\r\n\r\n", body);
}

// Answers every request with the request itself.
void Echo(TestPeer& peer) {
  for (;;) {
    const std::string request = peer.ReadRequest();
    if (request.empty() || !peer.Write(Answer(request))) return;
  }
}

HttpRequest Request(const std::string& url, int timeout_ms = 30000) {
  HttpRequest request;
  request.url = url;
  request.timeout_ms = timeout_ms;
  return request;
}

milliseconds Since(steady_clock::time_point begin) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
}

TEST(HttpsTransportTest, SendsTheRequestAndReturnsTheAnswer) {
  TestServer server(Echo);
  const auto transport = MakeTransport();
  HttpRequest request = Request(server.Url("/a/b?c=d"));
  request.fields = {{"User-Agent", "x"}, {"Range", "bytes=1-2"}};
  const Fetched fetched = Fetch(transport.get(), request);
  ASSERT_TRUE(fetched.status.ok()) << fetched.status;
  EXPECT_EQ(fetched.response.status, 200);
  EXPECT_EQ(
      fetched.body,
      absl::StrCat("GET /a/b?c=d HTTP/1.1\r\nHost: 127.0.0.1:", server.port(),
                   "\r\nUser-Agent: x\r\nRange: bytes=1-2\r\n\r\n"));
}

TEST(HttpsTransportTest, ReturnsRedirectsAndErrorsAsTheyAre) {
  TestServer server([](TestPeer& peer) {
    peer.ReadRequest();
    peer.Write(
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\n"
        "Content-Length: 2\r\n\r\nno");
    peer.ReadRequest();
    peer.Write("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
  });
  const auto transport = MakeTransport();
  Fetched fetched = Fetch(transport.get(), server.Url("/"));
  EXPECT_EQ(fetched.response.status, 302);
  EXPECT_EQ(FindField(fetched.response.fields, "location"),
            "http://127.0.0.1:1/x");
  fetched = Fetch(transport.get(), server.Url("/"));
  EXPECT_EQ(fetched.response.status, 503);
  EXPECT_EQ(fetched.body, "busy");
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpsTransportTest, AHeadRequestHasNoBody) {
  TestServer server([](TestPeer& peer) {
    EXPECT_TRUE(absl::StartsWith(peer.ReadRequest(), "HEAD / "));
    peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    Echo(peer);
  });
  const auto transport = MakeTransport();
  HttpRequest request = Request(server.Url("/"));
  request.method = "HEAD";
  const Fetched fetched = Fetch(transport.get(), request);
  ASSERT_TRUE(fetched.status.ok()) << fetched.status;
  EXPECT_EQ(FindField(fetched.response.fields, "Content-Length"), "5");
  EXPECT_EQ(fetched.body, "");
  EXPECT_TRUE(Fetch(transport.get(), server.Url("/")).status.ok());
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpsTransportTest, UsesAConnectionAgain) {
  TestServer server(Echo);
  const auto transport = MakeTransport();
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(Fetch(transport.get(), server.Url("/")).status.ok());
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpsTransportTest, KeepsNoMoreConnectionsThanItMay) {
  TestServer server(Echo);
  HttpsOptions options;
  options.max_idle_connections = 0;
  const auto transport = MakeTransport(options);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(Fetch(transport.get(), server.Url("/")).status.ok());
  }
  EXPECT_EQ(server.connections(), 3);
}

TEST(HttpsTransportTest, RepeatsOnANewConnectionWhatAKeptOneDoesNotAnswer) {
  // Closes only when the second request came, so that nothing warns of it.
  TestServer server([](TestPeer& peer) {
    peer.ReadRequest();
    peer.Write(Answer("x"));
    peer.ReadRequest();
  });
  const auto transport = MakeTransport();
  for (int i = 0; i < 4; ++i) {
    const Fetched fetched = Fetch(transport.get(), server.Url("/"));
    EXPECT_TRUE(fetched.status.ok()) << fetched.status;
    EXPECT_EQ(fetched.body, "x");
  }
  EXPECT_EQ(server.connections(), 4);
}

TEST(HttpsTransportTest, RepeatsNothingOnANewConnection) {
  TestServer server([](TestPeer& peer) { peer.ReadRequest(); });
  const auto transport = MakeTransport();
  const Fetched fetched = Fetch(transport.get(), server.Url("/"));
  EXPECT_EQ(ErrorId(fetched.status), error_id::kHubConnect);
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpsTransportTest, RepeatsNothingWhenPartOfAnAnswerCame) {
  TestServer server([](TestPeer& peer) {
    peer.ReadRequest();
    peer.Write(Answer("x"));
    peer.ReadRequest();
    peer.Write("HTTP/1.1 ");
  });
  const auto transport = MakeTransport();
  EXPECT_TRUE(Fetch(transport.get(), server.Url("/")).status.ok());
  const Fetched fetched = Fetch(transport.get(), server.Url("/"));
  EXPECT_EQ(ErrorId(fetched.status), error_id::kHubConnect);
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpsTransportTest, DropsAKeptConnectionThatTheServerClosed) {
  TestServer server([](TestPeer& peer) {
    peer.ReadRequest();
    peer.Write(Answer("x"));
  });
  const auto transport = MakeTransport();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(Fetch(transport.get(), server.Url("/")).status.ok());
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(server.connections(), 3);
}

TEST(HttpsTransportTest, AConnectionCutAnywhereIsAnError) {
  const std::string answer = Answer("hello");
  std::atomic<size_t> size{0};
  std::atomic<bool> reset{false};
  TestServer server([&](TestPeer& peer) {
    peer.ReadRequest();
    peer.Write(absl::string_view(answer).substr(0, size));
    if (reset) peer.Reset();
  });
  const auto transport = MakeTransport();
  for (size = 0; size < answer.size(); size = size + 3) {
    reset = size % 2 == 1;
    const Fetched fetched = Fetch(transport.get(), server.Url("/"));
    EXPECT_EQ(fetched.status.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(ErrorId(fetched.status), error_id::kHubConnect);
  }
}

TEST(HttpsTransportTest, WaitsNoLongerThanItMayForTheHeader) {
  TestServer server([](TestPeer& peer) {
    peer.ReadRequest();
    // A byte now and then is no progress.
    for (const char c : Answer("x")) {
      if (!peer.Write(std::string(1, c))) return;
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  const auto transport = MakeTransport();
  const auto begin = steady_clock::now();
  const Fetched fetched = Fetch(transport.get(), Request(server.Url("/"), 200));
  EXPECT_EQ(fetched.status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ErrorId(fetched.status), error_id::kHubTimeout);
  EXPECT_GE(Since(begin), milliseconds(200));
  EXPECT_LT(Since(begin), kSoon);
}

TEST(HttpsTransportTest, WaitsNoLongerThanItMayForMoreOfTheBody) {
  TestServer server([](TestPeer& peer) {
    peer.ReadRequest();
    peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    peer.WaitForEnd();
  });
  const auto transport = MakeTransport();
  const Fetched fetched = Fetch(transport.get(), Request(server.Url("/"), 200));
  EXPECT_EQ(ErrorId(fetched.status), error_id::kHubTimeout);
  EXPECT_EQ(fetched.body, "hello");
}

TEST(HttpsTransportTest, ABodyMayTakeLongerThanEachOfItsParts) {
  TestServer server([](TestPeer& peer) {
    peer.ReadRequest();
    peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n");
    for (int i = 0; i < 8; ++i) {
      std::this_thread::sleep_for(milliseconds(500));
      peer.Write("x");
    }
  });
  const auto transport = MakeTransport();
  const Fetched fetched =
      Fetch(transport.get(), Request(server.Url("/"), 3500));
  EXPECT_TRUE(fetched.status.ok()) << fetched.status;
  EXPECT_EQ(fetched.body, "xxxxxxxx");
}

TEST(HttpsTransportTest, GivesUpABodyThatDrips) {
  TestServer server([](TestPeer& peer) {
    peer.ReadRequest();
    peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n");
    while (peer.Write("x")) std::this_thread::sleep_for(milliseconds(10));
  });
  HttpsOptions options;
  options.min_bytes_per_second = 10000;
  options.min_speed_window_ms = 300;
  const auto transport = MakeTransport(options);
  const Fetched fetched = Fetch(transport.get(), server.Url("/"));
  EXPECT_EQ(fetched.status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ErrorId(fetched.status), error_id::kHubTimeout);
  EXPECT_TRUE(absl::StrContains(fetched.status.message(), "bytes a second"));
}

TEST(HttpsTransportTest, EndsSoonAfterItIsCancelledWhileNothingArrives) {
  TestServer server([](TestPeer& peer) {
    peer.ReadRequest();
    peer.WaitForEnd();
  });
  const auto transport = MakeTransport();
  const auto begin = steady_clock::now();
  int asked = 0;
  const Fetched fetched =
      Fetch(transport.get(), Request(server.Url("/"), 60000),
            [&] { return ++asked >= 10; });
  EXPECT_EQ(fetched.status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(ErrorId(fetched.status), error_id::kCancelled);
  EXPECT_LT(Since(begin), kSoon);
}

TEST(HttpsTransportTest, SendsNothingWhenItIsCancelledBefore) {
  TestServer server(Echo);
  const auto transport = MakeTransport();
  const Fetched fetched =
      Fetch(transport.get(), Request(server.Url("/")), [] { return true; });
  EXPECT_EQ(ErrorId(fetched.status), error_id::kCancelled);
  EXPECT_EQ(fetched.body, "");
}

TEST(HttpsTransportTest, ReturnsTheErrorsOfTheCallbacksAsTheyAre) {
  TestServer server(Echo);
  const auto transport = MakeTransport();
  const auto run = [&](const absl::Status& on_response,
                       const absl::Status& sink) {
    return transport
        ->Exchange(
            Request(server.Url("/")),
            [&](const HttpResponse&) { return on_response; },
            [&](absl::Span<const uint8_t>) { return sink; },
            [] { return false; })
        .status();
  };
  const absl::Status error = absl::DataLossError("mine");
  EXPECT_EQ(run(error, absl::OkStatus()), error);
  EXPECT_EQ(run(absl::OkStatus(), error), error);
  EXPECT_TRUE(run(absl::OkStatus(), absl::OkStatus()).ok());
  EXPECT_EQ(server.connections(), 3) << "none may be used again after an error";
}

TEST(HttpsTransportTest, SaysWhatItCannotConnectTo) {
  uint16_t port = 0;
  { port = TestServer(Echo).port(); }
  const auto transport = MakeTransport();
  const Fetched fetched =
      Fetch(transport.get(),
            absl::StrCat("http://127.0.0.1:", port, "/file?signature=secret"));
  EXPECT_EQ(ErrorId(fetched.status), error_id::kHubConnect);
  EXPECT_TRUE(
      absl::StrContains(fetched.status.message(),
                        absl::StrCat("GET http://127.0.0.1:", port, "/file: ")))
      << fetched.status;
  EXPECT_FALSE(absl::StrContains(fetched.status.message(), "secret"));
}

TEST(HttpsTransportTest, RefusesRequestsThatWouldBeOthers) {
  TestServer server(Echo);
  const auto transport = MakeTransport();
  const std::vector<std::pair<std::string, std::string>> fields = {
      {"Authorization", "Bearer secret\r\nX: y"},
      {"X\r\nY", "secret"},
      {"", "secret"},
      {"X:", "secret"},
      {"host", "secret"},
      {"Content-Length", "5"},
      {"Transfer-Encoding", "chunked"},
  };
  for (const auto& field : fields) {
    HttpRequest request = Request(server.Url("/"));
    request.fields = {field};
    const Fetched fetched = Fetch(transport.get(), request);
    EXPECT_EQ(ErrorId(fetched.status), error_id::kArgument) << field.first;
    EXPECT_FALSE(absl::StrContains(fetched.status.message(), "secret"));
  }
  HttpRequest request = Request(server.Url("/"));
  request.method = "GET / HTTP/1.1\r\n";
  EXPECT_EQ(ErrorId(Fetch(transport.get(), request).status),
            error_id::kArgument);
  EXPECT_EQ(ErrorId(Fetch(transport.get(), Request("/relative")).status),
            error_id::kHubUrl);
  EXPECT_EQ(ErrorId(Fetch(transport.get(), Request("http://a/", 0)).status),
            error_id::kArgument);
  EXPECT_EQ(server.connections(), 0);
}

TEST(HttpsTransportTest, ServesFourThreadsAtOnce) {
  TestServer server(Echo);
  HttpsOptions options;
  options.max_idle_connections = 2;
  const auto transport = MakeTransport(options);
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 50; ++j) {
        const std::string target = absl::StrCat("/", i, "/", j);
        const Fetched fetched = Fetch(transport.get(), server.Url(target));
        if (absl::StrContains(fetched.body, target + " ")) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 200);
}

}  // namespace
}  // namespace hub
}  // namespace peft
