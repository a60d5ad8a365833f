#include "hub/gzip.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "boost/beast/zlib/deflate_stream.hpp"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

namespace zlib = boost::beast::zlib;

// gzip.compress(b"hello, hello, hello\n", mtime=0) of Python.
constexpr absl::string_view kHello(
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\xd7\x51\xc8"
    "\x40\xa2\xb8\x00\xe7\x42\x6e\x52\x14\x00\x00\x00",
    30);

absl::Span<const uint8_t> Bytes(absl::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Puts `data` in parts of `size` bytes. Empty where the decoder objects.
std::string Decode(absl::string_view data, size_t size = 1 << 20) {
  std::string text;
  const auto sink = [&](absl::Span<const uint8_t> part) {
    EXPECT_LE(part.size(), 65536u);
    text.append(part.begin(), part.end());
    return absl::OkStatus();
  };
  GzipDecoder decoder;
  for (; !data.empty(); data.remove_prefix(std::min(size, data.size()))) {
    const absl::Status status = decoder.Put(Bytes(data.substr(0, size)), sink);
    if (!status.ok()) {
      EXPECT_EQ(ErrorId(status), error_id::kHubConnect);
      return "";
    }
  }
  return decoder.Finish().ok() ? text : "";
}

// The bits of the polynomial one by one, unlike the decoder's table.
uint32_t Crc(absl::string_view text) {
  uint32_t crc = 0xffffffff;
  for (const char c : text) {
    crc ^= static_cast<uint8_t>(c);
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1) * 0xedb88320;
  }
  return ~crc;
}

std::string Little(uint32_t value) {
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes.push_back(value >> (8 * i) & 0xff);
  return bytes;
}

std::string Deflate(absl::string_view text, int level,
                    zlib::Strategy strategy) {
  zlib::deflate_stream stream;
  stream.reset(level, 15, 8, strategy);
  std::string out(text.size() * 2 + 1000, '\0');
  zlib::z_params params;
  params.next_in = text.data();
  params.avail_in = text.size();
  params.next_out = &out[0];
  params.avail_out = out.size();
  boost::beast::error_code error;
  stream.write(params, zlib::Flush::finish, error);
  EXPECT_EQ(error, zlib::error::end_of_stream);
  out.resize(params.total_out);
  return out;
}

std::string Gzip(absl::string_view text, int level = 6,
                 zlib::Strategy strategy = zlib::Strategy::normal,
                 char flags = 0, absl::string_view optional = "") {
  return absl::StrCat(absl::string_view("\x1f\x8b\x08", 3), std::string{flags},
                      std::string(6, '\0'), optional,
                      Deflate(text, level, strategy), Little(Crc(text)),
                      Little(static_cast<uint32_t>(text.size())));
}

// Text with repetitions near and far, and noise.
std::string RandomText(std::mt19937* random) {
  std::string text;
  const size_t size = (*random)() % 200000;
  while (text.size() < size) {
    if (text.empty() || (*random)() % 3 == 0) {
      for (int i = (*random)() % 50; i >= 0; --i) text.push_back((*random)());
    } else {
      const size_t begin = (*random)() % text.size();
      text.append(text.substr(begin, (*random)() % 300));
    }
  }
  return text;
}

TEST(GzipDecoderTest, DecodesWhatPythonWrote) {
  EXPECT_EQ(Decode(kHello), "hello, hello, hello\n");
}

TEST(GzipDecoderTest, DecodesByteByByte) {
  EXPECT_EQ(Decode(kHello, 1), "hello, hello, hello\n");
}

TEST(GzipDecoderTest, DecodesRandomTextsInRandomParts) {
  std::mt19937 random(1);
  const zlib::Strategy strategies[] = {
      zlib::Strategy::normal, zlib::Strategy::huffman, zlib::Strategy::fixed};
  for (int i = 0; i < 60; ++i) {
    const std::string text = RandomText(&random);
    const std::string data = Gzip(text, i % 10, strategies[i % 3]);
    const size_t size = 1 + random() % (i % 2 == 0 ? 20 : 40000);
    // Not EXPECT_EQ, which would print it.
    EXPECT_TRUE(Decode(data, size) == text) << "text " << i << ", by " << size;
  }
}

TEST(GzipDecoderTest, SkipsNamesCommentsAndExtraFields) {
  const auto normal = zlib::Strategy::normal;
  const absl::string_view extra("\x03\x00xyz", 5);
  const absl::string_view none("\0\0", 2);
  const absl::string_view name("name\0", 5);
  const absl::string_view crc("\1\2", 2);
  EXPECT_EQ(Decode(Gzip("a", 6, normal, 4, extra), 1), "a");
  EXPECT_EQ(Decode(Gzip("a", 6, normal, 4, none), 1), "a");
  EXPECT_EQ(Decode(Gzip("a", 6, normal, 8, name), 1), "a");
  EXPECT_EQ(Decode(Gzip("a", 6, normal, 16, name), 1), "a");
  EXPECT_EQ(Decode(Gzip("a", 6, normal, 2, crc), 1), "a");
  EXPECT_EQ(
      Decode(Gzip("a", 6, normal, 31, absl::StrCat(extra, name, name, crc)), 3),
      "a");
  EXPECT_EQ(Decode(Gzip("a", 6, normal, 32)), "") << "a reserved flag";
}

TEST(GzipDecoderTest, JoinsMembers) {
  EXPECT_EQ(Decode(absl::StrCat(Gzip("a"), Gzip(""), Gzip("b")), 5), "ab");
}

TEST(GzipDecoderTest, RefusesWhatEndsEarly) {
  const std::string data = absl::StrCat(Gzip("some text"), kHello);
  for (size_t size = 0; size < data.size(); ++size) {
    const bool is_whole_member = size == data.size() - kHello.size();
    EXPECT_EQ(Decode(data.substr(0, size)), is_whole_member ? "some text" : "")
        << size;
  }
}

TEST(GzipDecoderTest, RefusesAnyChangedByteOfDataAndTrailer) {
  for (size_t i = 10; i < kHello.size(); ++i) {
    std::string data(kHello);
    data[i] ^= 0x10;
    EXPECT_EQ(Decode(data), "") << i;
  }
}

TEST(GzipDecoderTest, RefusesWhatFollowsAMember) {
  EXPECT_EQ(Decode(absl::StrCat(kHello, "x")), "");
  EXPECT_EQ(Decode(absl::StrCat(kHello, std::string(1, '\0'))), "");
}

TEST(GzipDecoderTest, ReturnsTheSinksErrorAsItIs) {
  GzipDecoder decoder;
  const absl::Status status =
      decoder.Put(Bytes(kHello), [](absl::Span<const uint8_t>) {
        return absl::ResourceExhaustedError("full");
      });
  EXPECT_EQ(status, absl::ResourceExhaustedError("full"));
}

}  // namespace
}  // namespace hub
}  // namespace peft
