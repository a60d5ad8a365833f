#include "peft_cc/methods/floats.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

namespace peft {
namespace {

// A tensor of `count` elements that begins `offset` bytes into its memory.
Tensor TensorAt(size_t offset, const std::vector<float>& values) {
  const auto memory = std::make_shared<std::vector<float>>(values.size() + 1);
  char* const begin = reinterpret_cast<char*>(memory->data()) + offset;
  std::memcpy(begin, values.data(), values.size() * sizeof(float));
  return Tensor(DType::kF32, {1, static_cast<int64_t>(values.size())}, begin,
                memory);
}

std::vector<float> ValuesOf(const Floats& floats) {
  return {floats.begin(), floats.end()};
}

TEST(FloatsTest, F32IsNotCopiedAndStaysAlive) {
  Floats floats;
  {
    const Tensor tensor = TensorAt(4, {1, 2, 3});
    floats = Floats::Of(tensor);
    EXPECT_EQ(static_cast<const void*>(floats.data()), tensor.data());
  }
  EXPECT_EQ(ValuesOf(floats), (std::vector<float>{1, 2, 3}));
}

TEST(FloatsTest, UnalignedElementsAreCopied) {
  EXPECT_EQ(ValuesOf(Floats::Of(TensorAt(1, {1, 2, 3}))),
            (std::vector<float>{1, 2, 3}));
}

TEST(FloatsTest, OtherDtypesAreConverted) {
  const Tensor half = *TensorAt(0, {1, -2}).Cast(DType::kF16);
  EXPECT_EQ(ValuesOf(Floats::Of(half)), (std::vector<float>{1, -2}));
}

TEST(FloatsTest, CopiesShareTheElementsOfAVector) {
  const Floats floats = {1, 2};
  const Floats copy = floats;
  EXPECT_EQ(copy.data(), floats.data());
  EXPECT_EQ(copy[1], 2);
}

}  // namespace
}  // namespace peft
