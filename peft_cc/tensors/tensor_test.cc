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

// The (2, 3) matrix of 1 to 6, with -1 where no element is.
class LinesTest : public testing::TestWithParam<Tensor::Lines> {
 protected:
  LinesTest() {
    const std::vector<float> rows = {1, 2, 3, -1, -1, 4, 5, 6, -1, -1};
    const std::vector<float> columns = {1, 4, -1, 2, 5, -1, 3, 6, -1};
    const bool by_rows = GetParam() == Tensor::Lines::kRows;
    memory_ = by_rows ? rows : columns;
    tensor_ = Tensor::InLines(DType::kF32, {2, 3}, memory_.data(), nullptr,
                              GetParam(), by_rows ? 5 : 3);
  }

  const std::vector<float> elements_ = {1, 2, 3, 4, 5, 6};
  std::vector<float> memory_;
  Tensor tensor_;
};

TEST_P(LinesTest, ElementsComeInRowMajorOrder) {
  EXPECT_EQ(tensor_.ToF32(), elements_);
  std::vector<float> some(3);
  ASSERT_TRUE(tensor_.CopyF32(2, 3, some.data()));
  EXPECT_EQ(some, (std::vector<float>{3, 4, 5}));
  std::vector<float> copied(6);
  tensor_.CopyTo(copied.data());
  EXPECT_EQ(copied, elements_);
}

TEST_P(LinesTest, ContiguousCopies) {
  EXPECT_FALSE(tensor_.is_contiguous());
  const Tensor copy = *tensor_.Contiguous();
  EXPECT_TRUE(copy.is_contiguous());
  EXPECT_EQ(copy.shape(), tensor_.shape());
  EXPECT_EQ(copy.ToF32(), elements_);
  EXPECT_EQ(copy.Contiguous()->data(), copy.data());
}

TEST_P(LinesTest, CastsAreContiguous) {
  EXPECT_TRUE(tensor_.Cast(DType::kF32)->is_contiguous());
  EXPECT_EQ(tensor_.Cast(DType::kF32)->ToF32(), elements_);
  EXPECT_EQ(tensor_.Cast(DType::kBF16)->ToF32(), elements_);
}

TEST_P(LinesTest, StoredIsAMatrixByRows) {
  const bool by_rows = GetParam() == Tensor::Lines::kRows;
  const kernels::MatrixView matrix = tensor_.Stored().AsMatrix();
  EXPECT_EQ(matrix.data, memory_.data());
  EXPECT_EQ(matrix.rows, by_rows ? 2 : 3);
  EXPECT_EQ(matrix.cols, by_rows ? 3 : 2);
  EXPECT_EQ(matrix.stride, by_rows ? 5 : 3);
}

INSTANTIATE_TEST_SUITE_P(Orders, LinesTest,
                         testing::Values(Tensor::Lines::kRows,
                                         Tensor::Lines::kColumns));

TEST(Tensor, RowsWithoutGapsAreContiguous) {
  const float memory[4] = {};
  EXPECT_TRUE(Tensor::InLines(DType::kF32, {2, 2}, memory, nullptr,
                              Tensor::Lines::kRows, 2)
                  .is_contiguous());
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
