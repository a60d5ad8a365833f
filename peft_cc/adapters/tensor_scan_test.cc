#include "peft_cc/adapters/tensor_scan.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"

namespace peft {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kLargest = 65504;  // of F16; finite in every dtype

TEST(HasNonFiniteTest, FindsOneAtEveryPosition) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (int64_t size = 1; size < 12; ++size) {
      for (int64_t i = 0; i < size; ++i) {
        std::vector<float> values(size, -kLargest);
        EXPECT_FALSE(HasNonFinite(MakeTensor({size}, values, dtype)));
        values[i] = i % 2 == 0 ? kNan : -kInf;
        EXPECT_TRUE(HasNonFinite(MakeTensor({size}, values, dtype)))
            << DTypeName(dtype) << " " << i << " of " << size;
      }
    }
  }
}

TEST(HasNonFiniteTest, IgnoresOtherDTypes) {
  EXPECT_FALSE(HasNonFinite(MakeTensor({3}, {}, DType::kI64)));
  EXPECT_FALSE(HasNonFinite(MakeTensor({0})));
}

TEST(HasNonFiniteTest, LooksAtEveryLineAndNotBetween) {
  const float memory[] = {1, 2, kNan, 3, 4, kNan};
  EXPECT_FALSE(HasNonFinite(Tensor::InLines(DType::kF32, {2, 2}, memory,
                                            nullptr, Tensor::Lines::kRows, 3)));
  EXPECT_TRUE(HasNonFinite(Tensor::InLines(DType::kF32, {2, 2}, memory + 1,
                                           nullptr, Tensor::Lines::kRows, 3)));
}

TEST(EqualValuesTest, ComparesElementsOfLines) {
  const float memory[] = {1, 2, 9, 3, 4, 9};
  const Tensor lines = Tensor::InLines(DType::kF32, {2, 2}, memory, nullptr,
                                       Tensor::Lines::kColumns, 3);
  EXPECT_TRUE(EqualValues(lines, MakeTensor({2, 2}, {1, 3, 2, 4})));
  EXPECT_FALSE(EqualValues(lines, MakeTensor({2, 2}, {1, 2, 9, 3})));
}

TEST(EqualValuesTest, ComparesAcrossDTypes) {
  const Tensor a = MakeTensor({2000}, {1, 2, -0.5f});
  const Tensor b = MakeTensor({2000}, {1, 2, -0.5f}, DType::kBF16);
  EXPECT_TRUE(EqualValues(a, b));
  std::vector<float> values(2000);
  values[0] = 1, values[1] = 2, values[2] = -0.5f, values[1999] = 1;
  EXPECT_FALSE(EqualValues(a, MakeTensor({2000}, values)));
  EXPECT_FALSE(EqualValues(b, MakeTensor({2000}, values)));
}

TEST(EqualValuesTest, ComparesShapes) {
  EXPECT_FALSE(EqualValues(MakeTensor({2, 3}), MakeTensor({3, 2})));
  EXPECT_TRUE(EqualValues(MakeTensor({0, 3}), MakeTensor({0, 3})));
}

TEST(EqualValuesTest, NanEqualsOnlyItsOwnBytes) {
  EXPECT_TRUE(EqualValues(MakeTensor({1}, {kNan}), MakeTensor({1}, {kNan})));
  EXPECT_FALSE(EqualValues(MakeTensor({1}, {kNan}),
                           MakeTensor({1}, {kNan}, DType::kBF16)));
}

TEST(CopyTensorTest, HasItsOwnMemory) {
  const Tensor tensor = MakeTensor({2, 2}, {1, 2, 3, 4});
  const Tensor copy = *CopyTensor(tensor);
  EXPECT_NE(copy.data(), tensor.data());
  EXPECT_EQ(copy.ToF32(), tensor.ToF32());
  EXPECT_EQ(copy.shape(), tensor.shape());
}

}  // namespace
}  // namespace peft
