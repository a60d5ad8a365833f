// Looking names up, connecting, and how long either is waited for.
#include <netinet/in.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "hub/name_lookup.h"
#include "hub/speed_limit.h"
#include "hub/tcp_stream.h"
#include "hub/testing/test_server.h"
#include "hub/wait.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Within a wait that would else not end, on a machine that is busy with more.
constexpr milliseconds kSoon{30000};

bool Never() { return false; }

// A resolver that answers when it is told to, and the test's wait for it.
class SlowResolver {
 public:
  Resolver function() {
    return
        [state = state_](const std::string&, uint16_t, std::vector<Address>*) {
          std::unique_lock<std::mutex> lock(state->mutex);
          state->changed.wait(lock, [&] { return state->may_answer; });
          state->has_answered = true;
          state->changed.notify_all();
          return EAI_NONAME;
        };
  }

  void LetItAnswer() {
    std::unique_lock<std::mutex> lock(state_->mutex);
    state_->may_answer = true;
    state_->changed.notify_all();
    state_->changed.wait(lock, [&] { return state_->has_answered; });
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    bool may_answer = false;
    bool has_answered = false;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

TEST(LookUpTest, ReturnsWhatTheResolverFinds) {
  const Wait wait(Never, kSoon.count());
  const auto addresses = LookUp(
      "a.test", 80, wait,
      [](const std::string& host, uint16_t port, std::vector<Address>* found) {
        found->resize(host == "a.test" && port == 80 ? 2 : 0);
        return 0;
      });
  ASSERT_TRUE(addresses.ok()) << addresses.status();
  EXPECT_EQ(addresses->size(), 2u);
}

TEST(LookUpTest, SaysWhichNameItDoesNotFind) {
  const Wait wait(Never, kSoon.count());
  const auto addresses =
      LookUp("a.test", 80, wait,
             [](const std::string&, uint16_t, std::vector<Address>*) {
               return EAI_NONAME;
             });
  EXPECT_EQ(addresses.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ErrorId(addresses.status()), error_id::kHubConnect);
  EXPECT_TRUE(absl::StrContains(addresses.status().message(), "\"a.test\""));
}

TEST(LookUpTest, LeavesAResolverThatHangsBehindWhenItIsCancelled) {
  SlowResolver resolver;
  const auto begin = steady_clock::now();
  int asked = 0;
  const auto cancel = [&] { return ++asked >= 5; };
  const Wait wait(cancel, 60000);
  const auto addresses = LookUp("a.test", 80, wait, resolver.function());
  EXPECT_EQ(ErrorId(addresses.status()), error_id::kCancelled);
  EXPECT_LT(steady_clock::now() - begin, kSoon);
  resolver.LetItAnswer();
}

TEST(LookUpTest, LeavesAResolverThatHangsBehindInTime) {
  SlowResolver resolver;
  Wait wait(Never, 100);
  wait.Begin("looking it up");
  const auto addresses = LookUp("a.test", 80, wait, resolver.function());
  EXPECT_EQ(ErrorId(addresses.status()), error_id::kHubTimeout);
  EXPECT_TRUE(absl::StrContains(addresses.status().message(),
                                "looking it up took longer than 0.1 s"))
      << addresses.status();
  resolver.LetItAnswer();
}

TEST(LookUpTest, ReadsAddressesItself) {
  const Wait wait(Never, kSoon.count());
  const auto v4 = LookUp("127.0.0.1", 80, wait);
  ASSERT_TRUE(v4.ok()) << v4.status();
  EXPECT_EQ(v4->front().storage.ss_family, AF_INET);
  const auto v6 = LookUp("::1", 80, wait);
  ASSERT_TRUE(v6.ok()) << v6.status();
  EXPECT_EQ(v6->front().storage.ss_family, AF_INET6);
}

TEST(ConnectTcpTest, TriesTheNextAddressWhereOneRefuses) {
  const Wait wait(Never, kSoon.count());
  uint16_t closed = 0;
  {
    closed = TestServer([](TestPeer&) {}).port();
  }
  TestServer server([](TestPeer& peer) { peer.Write("x"); });
  const std::vector<Address> addresses = {
      LookUp("127.0.0.1", closed, wait)->front(),
      LookUp("127.0.0.1", server.port(), wait)->front()};
  const auto stream = ConnectTcp(addresses, wait);
  ASSERT_TRUE(stream.ok()) << stream.status();
  std::vector<uint8_t> bytes(10);
  const auto size = (*stream)->Read(absl::MakeSpan(bytes), wait);
  ASSERT_TRUE(size.ok()) << size.status();
  EXPECT_EQ(*size, 1u);
}

TEST(ConnectTcpTest, SaysWhyTheLastAddressFailed) {
  const Wait wait(Never, kSoon.count());
  uint16_t closed = 0;
  {
    closed = TestServer([](TestPeer&) {}).port();
  }
  const auto stream = ConnectTcp(*LookUp("127.0.0.1", closed, wait), wait);
  EXPECT_EQ(ErrorId(stream.status()), error_id::kHubConnect);
  EXPECT_TRUE(absl::StrContains(stream.status().message(), "refused"));
}

TEST(ByteStreamTest, IsQuietUntilSomethingComes) {
  const Wait wait(Never, kSoon.count());
  TestServer server([](TestPeer& peer) {
    peer.ReadRequest();
    peer.Write("x");
    peer.WaitForEnd();
  });
  const auto stream =
      ConnectTcp(*LookUp("127.0.0.1", server.port(), wait), wait);
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_TRUE((*stream)->IsQuiet());
  const std::vector<uint8_t> request = {'\r', '\n', '\r', '\n'};
  ASSERT_TRUE((*stream)->Write(request, wait).ok());
  const auto begin = steady_clock::now();
  while ((*stream)->IsQuiet()) {
    ASSERT_LT(steady_clock::now() - begin, kSoon);
  }
}

TEST(SpeedLimitTest, LooksAtTheAverageOverAWindow) {
  SpeedLimit limit(1000, milliseconds(100));
  EXPECT_TRUE(limit.Add(1, milliseconds(60)).ok()) << "not a window yet";
  EXPECT_TRUE(limit.Add(119, milliseconds(60)).ok());
  EXPECT_TRUE(limit.Add(1, milliseconds(60)).ok()) << "another window";
  const absl::Status status = limit.Add(100, milliseconds(60));
  EXPECT_EQ(ErrorId(status), error_id::kHubTimeout);
}

TEST(SpeedLimitTest, ZeroIsNoLimit) {
  SpeedLimit limit(0, milliseconds(1));
  EXPECT_TRUE(limit.Add(0, std::chrono::hours(1)).ok());
}

}  // namespace
}  // namespace hub
}  // namespace peft
