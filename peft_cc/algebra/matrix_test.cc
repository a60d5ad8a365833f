#include "peft_cc/algebra/matrix.h"

#include <algorithm>
#include <numeric>

#include "gtest/gtest.h"
#include "peft_cc/algebra/f32_tensor.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using Values = std::vector<double>;

// 0, 1, 2 ... in row-major order.
Tensor Ramp(std::vector<int64_t> shape) {
  return *MakeF32Tensor(std::move(shape), [](absl::Span<float> out) {
    std::iota(out.begin(), out.end(), 0.0f);
  });
}

Matrix RampMatrix(int64_t rows, int64_t cols) {
  return *MatrixFromTensor(Ramp({rows, cols}));
}

TEST(MatrixTest, FurtherDimensionsOfATensorBecomeColumns) {
  const Matrix matrix = *MatrixFromTensor(Ramp({2, 3, 1, 2}));
  EXPECT_EQ(matrix.rows, 2);
  EXPECT_EQ(matrix.cols, 6);
  EXPECT_EQ(matrix.row(1)[5], 11);
}

TEST(MatrixTest, SmallFloatsRoundTrip) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    const Tensor tensor = *Ramp({2, 3}).Cast(dtype);
    const Matrix matrix = *MatrixFromTensor(tensor);
    EXPECT_EQ(matrix.values, RampMatrix(2, 3).values);
    const Tensor back = *TensorFromMatrix(matrix, dtype);
    EXPECT_EQ(back.dtype(), dtype);
    EXPECT_EQ(back.ToF32(), tensor.ToF32());
  }
}

TEST(MatrixTest, AVectorIsNoMatrix) {
  EXPECT_EQ(ErrorId(MatrixFromTensor(Ramp({4})).status()), error_id::kArgument);
}

TEST(MatrixTest, PartsAreCopied) {
  const Matrix matrix = RampMatrix(3, 3);
  EXPECT_EQ(FirstCols(matrix, 2).values, (Values{0, 1, 3, 4, 6, 7}));
  EXPECT_EQ(LastCols(matrix, 1).values, (Values{2, 5, 8}));
  EXPECT_EQ(FirstRows(matrix, 1).values, (Values{0, 1, 2}));
  EXPECT_EQ(LastRows(matrix, 2).values, (Values{3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(FirstRows(matrix, 0).cols, 3);
}

TEST(MatrixTest, TransposedSwapsRowsAndColumns) {
  const Matrix transposed = Transposed(RampMatrix(2, 3));
  EXPECT_EQ(transposed.rows, 3);
  EXPECT_EQ(transposed.values, (Values{0, 3, 1, 4, 2, 5}));
}

TEST(MatrixTest, RowsAreAppendedToAnEmptyMatrixToo) {
  Matrix matrix;
  AppendRows(RampMatrix(1, 2), matrix);
  AppendRows(RampMatrix(2, 2), matrix);
  EXPECT_EQ(matrix.rows, 3);
  EXPECT_EQ(matrix.cols, 2);
  EXPECT_EQ(matrix.values, (Values{0, 1, 0, 1, 2, 3}));
}

TEST(MatrixTest, ScalingIsPerColumnOrPerRow) {
  Matrix matrix = RampMatrix(2, 2);
  ScaleCols({2, 3}, matrix);
  EXPECT_EQ(matrix.values, (Values{0, 3, 4, 9}));
  ScaleRows({1, 10}, matrix);
  EXPECT_EQ(matrix.values, (Values{0, 3, 40, 90}));
}

}  // namespace
}  // namespace peft
