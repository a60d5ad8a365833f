#include "peft_cc/models/block_weights.h"

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/thread_pool.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

Tensor Zeros(DType dtype, std::vector<int64_t> shape) {
  void* data = nullptr;
  return Tensor::Allocate(dtype, std::move(shape), &data).value();
}

// (rows, 64), rising.
Tensor Weight(int rows = 2) {
  void* data = nullptr;
  Tensor weight = Tensor::Allocate(DType::kF32, {rows, 64}, &data).value();
  for (int i = 0; i < 64 * rows; ++i) {
    static_cast<float*>(data)[i] = 0.01f * static_cast<float>(i - 50);
  }
  return weight;
}

absl::StatusOr<Tensor> Quantise(const Tensor& weight, WeightFormat format) {
  CodeMemory memory =
      CodeMemory::Create(CodeMemory::SizeOf(weight, format)).value();
  return QuantizeWeight("w", weight, format, kernels::InlineThreadPool(),
                        memory);
}

TEST(BlockWeightsTest, WhatIsStoredIsTheWeightAgain) {
  for (const WeightFormat format : {WeightFormat::kQ8, WeightFormat::kQ4}) {
    const Tensor weight = Quantise(Weight(), format).value();
    TensorMap tensors;
    tensors["x"] = StoredCodes(weight);
    tensors["x.scales"] = StoredScales(weight);
    tensors["other"] = Weight();
    ASSERT_TRUE(AssembleBlocks(tensors).ok());
    EXPECT_EQ(tensors.size(), 2u);
    const Tensor& again = tensors.at("x");
    EXPECT_EQ(again.dtype(), weight.dtype());
    EXPECT_EQ(again.shape(), weight.shape());
    EXPECT_EQ(again.data(), weight.data());
    EXPECT_EQ(again.ToF32(), weight.ToF32());
  }
}

TEST(BlockWeightsTest, WholeGroupsOfRowsAreInterleaved) {
  const Tensor weight = Quantise(Weight(32), WeightFormat::kQ4).value();
  EXPECT_TRUE(weight.codes()->interleaved);
  TensorMap tensors;
  tensors["x"] = StoredCodes(weight);
  tensors["x.scales"] = StoredScales(weight);
  ASSERT_TRUE(AssembleBlocks(tensors).ok());
  EXPECT_EQ(tensors.at("x").ToF32(), weight.ToF32());
  EXPECT_TRUE(tensors.at("x").codes()->interleaved);
}

TEST(BlockWeightsTest, ScalesMayLieAtAnOddAddress) {
  const Tensor weight = Quantise(Weight(), WeightFormat::kQ8).value();
  const Tensor scales = StoredScales(weight);
  std::vector<char> bytes(scales.size_bytes() + 1);
  std::memcpy(bytes.data() + 1, scales.data(), scales.size_bytes());
  TensorMap tensors;
  tensors["x"] = StoredCodes(weight);
  tensors["x.scales"] = Tensor(DType::kBF16, {2, 2}, bytes.data() + 1, nullptr);
  ASSERT_TRUE(AssembleBlocks(tensors).ok());
  EXPECT_EQ(tensors.at("x").ToF32(), weight.ToF32());
}

TEST(BlockWeightsTest, NumbersThatHaveNoCodeAreNamed) {
  Tensor weight = Weight();
  const float infinity = std::numeric_limits<float>::infinity();
  std::memcpy(const_cast<void*>(weight.data()), &infinity, sizeof(infinity));
  const absl::Status status = Quantise(weight, WeightFormat::kQ4).status();
  EXPECT_EQ(ErrorId(status), error_id::kModelWeights);
}

TEST(BlockWeightsTest, TensorsThatDoNotFitAreNamed) {
  struct Case {
    Tensor codes;
    Tensor scales;
  };
  const Case kCases[] = {
      {Zeros(DType::kI8, {2, 64}), Zeros(DType::kBF16, {2, 3})},
      {Zeros(DType::kI8, {2, 64}), Zeros(DType::kBF16, {3, 2})},
      {Zeros(DType::kI8, {2, 64}), Zeros(DType::kBF16, {4})},
      {Zeros(DType::kI8, {2, 64}), Zeros(DType::kF32, {2, 2})},
      {Zeros(DType::kI8, {2, 65}), Zeros(DType::kBF16, {2, 2})},
      {Zeros(DType::kU8, {2, 64}), Zeros(DType::kBF16, {2, 2})},
      {Zeros(DType::kF32, {2, 64}), Zeros(DType::kBF16, {2, 2})},
      {Zeros(DType::kI8, {128}), Zeros(DType::kBF16, {2, 2})},
  };
  for (const Case& test : kCases) {
    TensorMap tensors = {{"x", test.codes}, {"x.scales", test.scales}};
    EXPECT_EQ(ErrorId(AssembleBlocks(tensors)), error_id::kModelWeights)
        << ShapeToString(test.codes.shape());
  }
}

}  // namespace
}  // namespace peft
