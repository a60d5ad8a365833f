#include "peft_cc/tensors/byte_reader.h"

#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace {

const std::vector<uint8_t> kBytes = {1, 2, 3, 4, 5, 0xff, 0xfe, 8};

TEST(ByteReader, ReadsLittleEndian) {
  ByteReader reader(kBytes);
  uint32_t a = 0;
  uint8_t b = 0;
  int16_t c = 0;
  ASSERT_TRUE(reader.Read(&a, &b, &c));
  EXPECT_EQ(a, 0x04030201u);
  EXPECT_EQ(b, 5);
  EXPECT_EQ(c, static_cast<int16_t>(0xfeff));
  EXPECT_EQ(reader.position(), 7u);
  EXPECT_EQ(reader.remaining(), 1u);
}

TEST(ByteReader, FailedReadMovesNothing) {
  ByteReader reader(kBytes, 6);
  uint32_t number = 0;
  uint8_t byte = 0;
  EXPECT_FALSE(reader.Read(&number));
  EXPECT_FALSE(reader.Read(&byte, &number));
  EXPECT_EQ(reader.position(), 6u);
  absl::Span<const uint8_t> bytes;
  EXPECT_FALSE(reader.ReadBytes(3, &bytes));
  EXPECT_FALSE(reader.ReadBytes(UINT64_MAX, &bytes));
  EXPECT_TRUE(reader.ReadBytes(2, &bytes));
  EXPECT_EQ(bytes[1], 8);
}

TEST(ByteReader, StartBehindTheEndIsTheEnd) {
  ByteReader reader(kBytes, UINT64_MAX);
  uint8_t byte = 0;
  EXPECT_FALSE(reader.Read(&byte));
  EXPECT_EQ(reader.remaining(), 0u);
}

}  // namespace
}  // namespace peft
