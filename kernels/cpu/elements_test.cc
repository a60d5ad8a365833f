// Conversions of every variant against those of peft_cc/base/dtype.h.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cpu/dispatch.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {
namespace cpu {
namespace {

// Every upper half with lower halves on both sides of what rounds.
std::vector<float> ManyFloats() {
  std::vector<float> values;
  for (uint32_t top = 0; top < 0x10000; ++top) {
    for (const uint32_t low : {0x0u, 0x1u, 0xfffu, 0x1000u, 0x1001u, 0x7fffu,
                               0x8000u, 0x8001u, 0xffffu}) {
      const uint32_t bits = top << 16 | low;
      float value;
      std::memcpy(&value, &bits, sizeof(value));
      values.push_back(value);
    }
  }
  return values;
}

void ExpectEqual(const KernelTable& table, Elem elem, DType dtype) {
  const std::vector<float> values = ManyFloats();
  std::vector<uint16_t> expected(values.size());
  std::vector<uint16_t> actual(values.size());
  ConvertFromF32(values.data(), values.size(), dtype, expected.data());
  table.from_f32(elem, values.data(), values.size(), actual.data());
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) {
      const float back =
          dtype == DType::kF16 ? F16ToF32(actual[i]) : BF16ToF32(actual[i]);
      ASSERT_TRUE(std::isnan(back)) << table.name << " " << i;
    } else {
      ASSERT_EQ(actual[i], expected[i]) << table.name << " of " << values[i];
    }
  }
}

TEST(ElementsTest, RoundsToBF16AndF16) {
  for (const KernelTable* table : AvailableKernels()) {
    ExpectEqual(*table, kElemBF16, DType::kBF16);
    ExpectEqual(*table, kElemF16, DType::kF16);
  }
}

TEST(ElementsTest, WritesNoMoreThanAsked) {
  const std::vector<float> ones(40, 1.0f);
  for (const KernelTable* table : AvailableKernels()) {
    for (int64_t count = 0; count < 40; ++count) {
      std::vector<uint16_t> halves(41, 7);
      table->from_f32(kElemBF16, ones.data(), count, halves.data());
      EXPECT_EQ(halves[count], 7);
      std::vector<float> floats(41, 7);
      table->from_f32(kElemF32, ones.data(), count, floats.data());
      EXPECT_EQ(floats[count], 7);
    }
  }
}

}  // namespace
}  // namespace cpu
}  // namespace kernels
}  // namespace peft
