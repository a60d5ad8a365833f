#include "hub/response_reader.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

// gzip.compress(b"hello, hello, hello\n", mtime=0) of Python.
constexpr absl::string_view kHello(
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\xd7\x51\xc8"
    "\x40\xa2\xb8\x00\xe7\x42\x6e\x52\x14\x00\x00\x00",
    30);

struct Outcome {
  absl::Status status;
  HttpResponse response;
  std::string body;
  int responses = 0;  // calls of on_response
  bool done = false;
  bool may_keep = false;
  bool callers = false;
};

struct Callbacks {
  absl::Status on_response;
  absl::Status sink;
};

// Reads `bytes` in parts of `size`, and then the end of the connection.
Outcome Read(absl::string_view bytes, size_t size = 1 << 20,
             const ResponseReader::Options& options = {},
             const Callbacks& callbacks = {}) {
  Outcome outcome;
  const auto on_response = [&](const HttpResponse& response) {
    ++outcome.responses;
    outcome.response = response;
    return callbacks.on_response;
  };
  const auto sink = [&](absl::Span<const uint8_t> part) {
    EXPECT_GT(outcome.responses, 0);
    outcome.body.append(part.begin(), part.end());
    return callbacks.sink;
  };
  ResponseReader reader(options, on_response, sink);
  while (outcome.status.ok() && !reader.is_done() && !bytes.empty()) {
    const size_t count = std::min({size, bytes.size(), reader.space().size()});
    EXPECT_GT(count, 0u);
    std::memcpy(reader.space().data(), bytes.data(), count);
    bytes.remove_prefix(count);
    outcome.status = reader.Commit(count);
  }
  if (outcome.status.ok() && !reader.is_done()) {
    outcome.status = reader.CommitEnd();
  }
  outcome.done = reader.is_done();
  outcome.may_keep = reader.may_keep_connection() && bytes.empty();
  outcome.callers = reader.is_callers_error();
  return outcome;
}

// However it is split.
void ExpectBody(absl::string_view bytes, absl::string_view body,
                bool may_keep = true) {
  for (const size_t size : {1, 2, 3, 7, 1 << 20}) {
    const Outcome outcome = Read(bytes, size);
    ASSERT_TRUE(outcome.status.ok()) << outcome.status << " by " << size;
    EXPECT_TRUE(outcome.done);
    EXPECT_EQ(outcome.body, body) << size;
    EXPECT_EQ(outcome.responses, 1);
    EXPECT_EQ(outcome.may_keep, may_keep) << size;
  }
}

void ExpectBroken(absl::string_view bytes, size_t size = 1 << 20) {
  const Outcome outcome = Read(bytes, size);
  EXPECT_EQ(outcome.status.code(), absl::StatusCode::kUnavailable) << bytes;
  EXPECT_EQ(ErrorId(outcome.status), error_id::kHubConnect) << outcome.status;
  EXPECT_FALSE(outcome.callers);
}

TEST(ResponseReaderTest, ReadsStatusAndFieldsInOrder) {
  const Outcome outcome = Read(
      "HTTP/1.1 206 Partial Content\r\nETag:  \"x\" \r\nA: 1\r\na: 2\r\n"
      "Content-Length: 0\r\n\r\n");
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.response.status, 206);
  ASSERT_EQ(outcome.response.fields.size(), 4u);
  EXPECT_EQ(FindField(outcome.response.fields, "etag"), "\"x\"");
  EXPECT_EQ(FindField(outcome.response.fields, "A"), "1");
  EXPECT_EQ(outcome.response.fields[2].second, "2");
}

TEST(ResponseReaderTest, ReadsABodyOfKnownLength) {
  ExpectBody("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello");
}

TEST(ResponseReaderTest, ReadsABodyThatTheEndOfTheConnectionEnds) {
  ExpectBody("HTTP/1.1 200 OK\r\n\r\nhello", "hello", false);
  ExpectBody("HTTP/1.0 200 OK\r\n\r\n", "", false);
}

TEST(ResponseReaderTest, ReadsChunksAndDropsWhatFollowsThem) {
  const std::string head =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  ExpectBody(head + "5\r\nhello\r\n0\r\n\r\n", "hello");
  ExpectBody(head + "1;x=\"y\"\r\nh\r\nA\r\nello, worl\r\n00\r\nX: y\r\n\r\n",
             "hello, worl");
  ExpectBody(head + "0\r\n\r\n", "");
  const Outcome outcome = Read(head + "0\r\nETag: late\r\n\r\n");
  EXPECT_EQ(FindField(outcome.response.fields, "ETag"), "");
}

TEST(ResponseReaderTest, DecodesGzipOfKnownLengthAndInChunks) {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Encoding: GZIP\r\n";
  ExpectBody(
      absl::StrCat(head, "Content-Length: ", kHello.size(), "\r\n\r\n", kHello),
      "hello, hello, hello\n");
  ExpectBody(absl::StrCat(head, "Transfer-Encoding: chunked\r\n\r\n3\r\n",
                          kHello.substr(0, 3), "\r\n1b\r\n", kHello.substr(3),
                          "\r\n0\r\n\r\n"),
             "hello, hello, hello\n");
  ExpectBody(absl::StrCat(head, "Content-Length: 0\r\n\r\n"), "");
}

TEST(ResponseReaderTest, RefusesGzipThatIsCutWithinAWholeMessage) {
  ExpectBroken(absl::StrCat(
      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n",
      kHello.substr(0, 20)));
}

TEST(ResponseReaderTest, RefusesEncodingsItCannotDecode) {
  ExpectBroken(
      "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx");
  ExpectBroken("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n");
  ExpectBroken("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n");
}

TEST(ResponseReaderTest, ExpectsNoBodyWhereThereCanBeNone) {
  ExpectBody("HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\n", "");
  ExpectBody("HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n", "");
  ResponseReader::Options head;
  head.has_body = false;
  for (const absl::string_view answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n"}) {
    const Outcome outcome = Read(answer, 1, head);
    EXPECT_TRUE(outcome.status.ok()) << outcome.status;
    EXPECT_TRUE(outcome.done && outcome.may_keep);
    EXPECT_EQ(outcome.body, "");
  }
}

TEST(ResponseReaderTest, PassesOverInterimAnswers) {
  const std::string last = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
  const std::string interim = "HTTP/1.1 103 Early\r\nLink: a\r\n\r\n";
  ExpectBody(interim + "HTTP/1.1 100 Continue\r\n\r\n" + last, "x");
  std::string many;
  for (int i = 0; i < 9; ++i) many += interim;
  ExpectBroken(many + last);
  ExpectBroken("HTTP/1.1 101 Switching\r\n\r\n");
  ExpectBroken(interim);
}

TEST(ResponseReaderTest, RefusesWhatIsNotHttp) {
  for (const absl::string_view bytes :
       {"",
        "x",
        "\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 000 OK\r\n\r\n",
        "HTTP/1.1 2OO OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nA: b\n\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\x15\x03\x01\x00\x02\x02\x16",
        "<html>no</html>\r\n\r\n",
        "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "fffffffffffffffff\r\nx"}) {
    ExpectBroken(bytes);
    ExpectBroken(bytes, 1);
  }
}

TEST(ResponseReaderTest, SaysThatAnAnswerWasCutWhereverItIs) {
  const std::string whole =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
      "\r\n";
  for (size_t size = 0; size < whole.size(); ++size) {
    ExpectBroken(whole.substr(0, size), 5);
  }
  const Outcome outcome =
      Read("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
  EXPECT_EQ(outcome.body, "abc") << "what came is handed on";
  EXPECT_FALSE(outcome.status.ok());
  EXPECT_TRUE(absl::StrContains(outcome.status.message(), "in the middle"));
}

TEST(ResponseReaderTest, BoundsTheHeaderAndTheLinesBeforeChunks) {
  const std::string filler(70000, 'a');
  ExpectBroken("HTTP/1.1 200 OK\r\nX: " + filler + "\r\n\r\n");
  ExpectBroken("HTTP/1.1 200 " + filler);
  std::string fields = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 20000; ++i) fields += "A: b\r\n";
  ExpectBroken(fields + "\r\n", 1000);
  ExpectBroken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
                   filler + filler,
               1000);
  ExpectBroken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " +
                   filler + filler,
               1000);
}

TEST(ResponseReaderTest, TheBoundOfTheHeaderIsExactHoweverItIsSplit) {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
  ResponseReader::Options options;
  for (const size_t size : {1, 2, 3, 7, 1 << 20}) {
    options.max_header_bytes = static_cast<uint32_t>(head.size());
    EXPECT_EQ(Read(head + "x", size, options).body, "x") << size;
    --options.max_header_bytes;
    const Outcome outcome = Read(head + "x", size, options);
    EXPECT_EQ(ErrorId(outcome.status), error_id::kHubConnect) << size;
    EXPECT_EQ(outcome.responses, 0) << size;
  }
}

TEST(ResponseReaderTest, ReadsABodyLargerThanItsBuffer) {
  std::string body(300000, 'x');
  body[200000] = 'y';
  const std::string bytes = absl::StrCat(
      "HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
  EXPECT_TRUE(Read(bytes).body == body);
  EXPECT_TRUE(Read(bytes, 4096).body == body);
}

TEST(ResponseReaderTest, ReturnsTheErrorsOfTheCallbacksAsTheyAre) {
  const std::string bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  Callbacks callbacks;
  callbacks.on_response = absl::NotFoundError("no such file");
  Outcome outcome = Read(bytes, 1, {}, callbacks);
  EXPECT_EQ(outcome.status, callbacks.on_response);
  EXPECT_TRUE(outcome.callers);
  EXPECT_EQ(outcome.body, "");
  callbacks.on_response = absl::OkStatus();
  callbacks.sink = absl::ResourceExhaustedError("disk full");
  outcome = Read(bytes, 1, {}, callbacks);
  EXPECT_EQ(outcome.status, callbacks.sink);
  EXPECT_TRUE(outcome.callers);
  EXPECT_EQ(outcome.body, "h");
}

TEST(ResponseReaderTest, KeepsAConnectionOnlyIfTheAnswerAllowsIt) {
  ExpectBody(
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", "x",
      false);
  ExpectBody("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "x", false);
  const Outcome outcome =
      Read("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK");
  EXPECT_TRUE(outcome.status.ok());
  EXPECT_FALSE(outcome.may_keep) << "something came that nobody asked for";
}

}  // namespace
}  // namespace hub
}  // namespace peft
