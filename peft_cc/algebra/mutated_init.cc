#include "peft_cc/algebra/mutated_init.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/algebra/matrix.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

absl::Status CheckShapes(const LoraFactors& trained,
                         const LoraFactors& initial) {
  const LoraFactors* const all[] = {&trained, &initial};
  for (const LoraFactors* factors : all) {
    if (factors->a.rank() == 2 && factors->b.rank() == 2 &&
        factors->a.dim(0) == factors->b.dim(1) &&
        factors->a.dim(1) == trained.a.dim(1) &&
        factors->b.dim(0) == trained.b.dim(0)) {
      continue;
    }
    return ArgumentError(absl::StrCat(
        "factors of shapes ", ShapeToString(factors->a.shape()), " and ",
        ShapeToString(factors->b.shape()), " do not fit to the adapter's, ",
        ShapeToString(trained.a.shape()), " and ",
        ShapeToString(trained.b.shape())));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LoraFactors> SubtractInitialFactors(const LoraFactors& trained,
                                                   const LoraFactors& initial) {
  PEFT_RETURN_IF_ERROR(CheckShapes(trained, initial));
  PEFT_ASSIGN_OR_RETURN(Matrix a, MatrixFromTensor(trained.a));
  PEFT_ASSIGN_OR_RETURN(const Matrix initial_a, MatrixFromTensor(initial.a));
  PEFT_ASSIGN_OR_RETURN(const Matrix b, MatrixFromTensor(trained.b));
  PEFT_ASSIGN_OR_RETURN(Matrix initial_b, MatrixFromTensor(initial.b));
  for (double& value : initial_b.values) value = -value;
  Matrix bt = Transposed(b);
  AppendRows(initial_a, a);
  AppendRows(Transposed(initial_b), bt);
  LoraFactors result;
  PEFT_ASSIGN_OR_RETURN(result.a, TensorFromMatrix(a, DType::kF32));
  PEFT_ASSIGN_OR_RETURN(result.b,
                        TensorFromMatrix(Transposed(bt), DType::kF32));
  result.b_bias = trained.b_bias;
  return result;
}

ConvertedConfig ConvertConfig(int64_t r, double lora_alpha, bool use_rslora) {
  return {2 * r, lora_alpha * (use_rslora ? std::sqrt(2.0) : 2.0)};
}

}  // namespace peft
