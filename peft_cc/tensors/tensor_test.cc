#include "peft_cc/tensors/tensor.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

Tensor Ramp(std::vector<int64_t> shape) {
  void* data = nullptr;
  Tensor tensor = *Tensor::Allocate(DType::kF32, std::move(shape), &data);
  for (int64_t i = 0; i < tensor.num_elements(); ++i) {
    static_cast<float*>(data)[i] = static_cast<float>(i) / 4;
  }
  return tensor;
}

TEST(Tensor, AllocateIsZeroedAndAligned) {
  void* data = nullptr;
  const auto tensor = Tensor::Allocate(DType::kF16, {3, 5}, &data);
  ASSERT_TRUE(tensor.ok());
  EXPECT_EQ(tensor->data(), data);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 64, 0u);
  EXPECT_EQ(tensor->size_bytes(), 30);
  EXPECT_EQ(tensor->num_elements(), 15);
  for (float value : tensor->ToF32()) EXPECT_EQ(value, 0.0f);
}

TEST(Tensor, AllocateRefusesWhatCannotBe) {
  void* data = nullptr;
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{-1}, {kMax, kMax}, {kMax}, {kMax / 4}}) {
    const auto tensor = Tensor::Allocate(DType::kF32, shape, &data);
    EXPECT_EQ(tensor.status().code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(ErrorId(tensor.status()), "OUT_OF_MEMORY");
  }
}

TEST(Tensor, ScalarHasOneElement) {
  const Tensor scalar = Ramp({});
  EXPECT_EQ(scalar.rank(), 0);
  EXPECT_EQ(scalar.num_elements(), 1);
  EXPECT_EQ(scalar.size_bytes(), 4);
}

TEST(Tensor, DefaultIsEmpty) {
  const Tensor tensor;
  EXPECT_EQ(tensor.num_elements(), 0);
  EXPECT_EQ(tensor.size_bytes(), 0);
  EXPECT_TRUE(tensor.ToF32().empty());
}

TEST(Tensor, KeepsItsOwnerAlive) {
  auto memory = std::make_shared<std::vector<float>>(4, 2.5f);
  const std::weak_ptr<std::vector<float>> watch = memory;
  {
    const Tensor tensor(DType::kF32, {4}, memory->data(), memory);
    memory.reset();
    const Tensor copy = tensor;
    EXPECT_EQ(copy.ToF32()[3], 2.5f);
  }
  EXPECT_TRUE(watch.expired());
}

TEST(Tensor, CastRoundsEachElement) {
  // More than one chunk, and a rest.
  const Tensor tensor = Ramp({5, 2001});
  const auto half = tensor.Cast(DType::kBF16);
  ASSERT_TRUE(half.ok());
  EXPECT_EQ(half->dtype(), DType::kBF16);
  EXPECT_EQ(half->shape(), tensor.shape());
  const std::vector<float> values = half->ToF32();
  for (int64_t i = 0; i < tensor.num_elements(); ++i) {
    const float exact = static_cast<float>(i) / 4;
    ASSERT_EQ(values[i], BF16ToF32(F32ToBF16(exact))) << i;
  }
  EXPECT_EQ(half->Cast(DType::kF32)->ToF32(), values);
}

TEST(Tensor, CastToTheSameDTypeSharesMemory) {
  const Tensor tensor = Ramp({2});
  EXPECT_EQ(tensor.Cast(DType::kF32)->data(), tensor.data());
}

TEST(Tensor, CastRefusesOtherDTypes) {
  const Tensor tensor = Ramp({2});
  EXPECT_EQ(ErrorId(tensor.Cast(DType::kI64).status()), "TENSOR_DTYPE");
  const Tensor complex(DType::kC64, {0}, nullptr, nullptr);
  EXPECT_EQ(ErrorId(complex.Cast(DType::kF32).status()), "TENSOR_DTYPE");
}

TEST(CheckedNumElements, KnowsOverflow) {
  EXPECT_EQ(CheckedNumElements({}), 1);
  EXPECT_EQ(CheckedNumElements({2, 3}), 6);
  EXPECT_EQ(CheckedNumElements({2, 0, 3}), 0);
  EXPECT_EQ(CheckedNumElements({kMax}), kMax);
  EXPECT_EQ(CheckedNumElements({-1}), std::nullopt);
  EXPECT_EQ(CheckedNumElements({kMax, 2}), std::nullopt);
  EXPECT_EQ(CheckedNumElements({0, kMax, 2}), std::nullopt);
}

TEST(CheckedSizeBytes, KnowsPartsOfBytes) {
  EXPECT_EQ(CheckedSizeBytes(DType::kF4, {4}), 2);
  EXPECT_EQ(CheckedSizeBytes(DType::kF4, {3}), std::nullopt);
  EXPECT_EQ(CheckedSizeBytes(DType::kF6E2M3, {4}), 3);
  EXPECT_EQ(CheckedSizeBytes(DType::kF64, {kMax / 32}), std::nullopt);
}

TEST(ShapeToString, LooksLikePython) {
  EXPECT_EQ(ShapeToString({}), "[]");
  EXPECT_EQ(ShapeToString({8, 128}), "[8, 128]");
}

}  // namespace
}  // namespace peft
