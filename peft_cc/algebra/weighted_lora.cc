#include "peft_cc/algebra/weighted_lora.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/algebra/f32_tensor.h"
#include "peft_cc/algebra/linear_algebra.h"
#include "peft_cc/algebra/low_rank_fit.h"
#include "peft_cc/algebra/matrix.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

MergeOptions GetMergeOptions(const CombinationOptions& options) {
  return {GetMergeOperator(options.type), options.density,
          options.majority_sign_method};
}

absl::Status CheckSource(const CombinationSource& source) {
  if (source.a.rank() < 2 || source.b.rank() < 2) {
    return ArgumentError(absl::StrCat(
        "factors of shapes ", ShapeToString(source.a.shape()), " and ",
        ShapeToString(source.b.shape()), " are no matrices"));
  }
  if (source.a.num_elements() == 0 || source.b.num_elements() == 0) {
    return ArgumentError("factors without elements cannot be combined");
  }
  if (source.a.dim(0) % source.b.dim(1) != 0) {
    return ArgumentError(absl::StrCat(
        "factors of shapes ", ShapeToString(source.a.shape()), " and ",
        ShapeToString(source.b.shape()), " do not meet in one rank"));
  }
  if (std::isfinite(source.weight) && std::isfinite(source.scale)) {
    return absl::OkStatus();
  }
  return ArgumentError(absl::StrCat("weight ", source.weight, " and scale ",
                                    source.scale, " must be finite"));
}

absl::Status ShapesDifferError(absl::Span<const int64_t> expected,
                               absl::Span<const int64_t> found) {
  return ArgumentError(
      absl::StrCat("cannot combine tensors of shapes ", ShapeToString(expected),
                   " and ", ShapeToString(found)),
      {"", ShapeToString(expected), ShapeToString(found)});
}

absl::Status CheckSameShape(const Tensor& first, const Tensor& other) {
  if (first.shape() == other.shape()) return absl::OkStatus();
  return ShapesDifferError(first.shape(), other.shape());
}

// For types that make one matrix of the product B A.
absl::Status CheckProduct(const CombinationSource& first,
                          const CombinationSource& source) {
  if (source.b.dim(1) != source.a.dim(0)) {
    return ArgumentError(absl::StrCat(
        "factors of shapes ", ShapeToString(source.a.shape()), " and ",
        ShapeToString(source.b.shape()),
        " have no product: a grouped convolution can be combined on its "
        "factors only, as by \"linear\""));
  }
  if (source.a.shape().subspan(1) != first.a.shape().subspan(1)) {
    return ShapesDifferError(first.a.shape(), source.a.shape());
  }
  if (source.b.dim(0) != first.b.dim(0)) {
    return ShapesDifferError(first.b.shape(), source.b.shape());
  }
  return absl::OkStatus();
}

absl::Status CheckSources(CombinationTarget target,
                          absl::Span<const CombinationSource> sources) {
  if (sources.empty()) return ArgumentError("there are no adapters to combine");
  const CombinationSource& first = sources[0];
  for (const CombinationSource& source : sources) {
    PEFT_RETURN_IF_ERROR(CheckSource(source));
    if (target == CombinationTarget::kFactors) {
      PEFT_RETURN_IF_ERROR(CheckSameShape(first.a, source.a));
      PEFT_RETURN_IF_ERROR(CheckSameShape(first.b, source.b));
    } else {
      PEFT_RETURN_IF_ERROR(CheckProduct(first, source));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<float>> ToElements(const Tensor& tensor) {
  PEFT_ASSIGN_OR_RETURN(const Tensor f32, tensor.Cast(DType::kF32));
  return f32.ToF32();
}

using MergeInputs = std::vector<std::vector<float>>;

std::vector<float> ToF32(absl::Span<const double> weights) {
  return {weights.begin(), weights.end()};
}

absl::StatusOr<Matrix> MergeToMatrix(const CombinationOptions& options,
                                     MergeInputs tensors,
                                     absl::Span<const float> weights,
                                     int64_t rows, TorchGenerator& generator) {
  PEFT_ASSIGN_OR_RETURN(const std::vector<float> merged,
                        MergeElements(GetMergeOptions(options),
                                      std::move(tensors), weights, generator));
  const int64_t cols = rows == 0 ? 0 : merged.size() / rows;
  return Matrix{rows, cols, {merged.begin(), merged.end()}};
}

absl::StatusOr<MatrixFactors> CombineFactors(
    const CombinationOptions& options,
    absl::Span<const CombinationSource> sources, TorchGenerator& generator) {
  MergeInputs all_a, all_b;
  std::vector<float> weights_a, weights_b;
  for (const CombinationSource& source : sources) {
    const double c = source.weight * source.scale;
    // The sign is on one side only: on both it would cancel.
    weights_b.push_back(static_cast<float>(std::sqrt(std::abs(c))));
    weights_a.push_back(c >= 0 ? weights_b.back() : -weights_b.back());
    PEFT_ASSIGN_OR_RETURN(all_a.emplace_back(), ToElements(source.a));
    PEFT_ASSIGN_OR_RETURN(all_b.emplace_back(), ToElements(source.b));
  }
  MatrixFactors result;
  PEFT_ASSIGN_OR_RETURN(result.a,
                        MergeToMatrix(options, std::move(all_a), weights_a,
                                      sources[0].a.dim(0), generator));
  PEFT_ASSIGN_OR_RETURN(result.b,
                        MergeToMatrix(options, std::move(all_b), weights_b,
                                      sources[0].b.dim(0), generator));
  return result;
}

absl::StatusOr<MatrixFactors> Concatenate(
    absl::Span<const CombinationSource> sources) {
  MatrixFactors result;
  Matrix bt;
  for (const CombinationSource& source : sources) {
    PEFT_ASSIGN_OR_RETURN(Matrix a, MatrixFromTensor(source.a));
    PEFT_ASSIGN_OR_RETURN(const Matrix b, MatrixFromTensor(source.b));
    for (double& value : a.values) {
      // Two products of f32, as PEFT has them.
      value = static_cast<float>(value) * static_cast<float>(source.weight) *
              static_cast<float>(source.scale);
    }
    AppendRows(a, result.a);
    AppendRows(Transposed(b), bt);
  }
  result.b = Transposed(bt);
  return result;
}

// scale B A as PEFT's get_delta_weight makes it, in the base weight's layout.
absl::StatusOr<std::vector<float>> DeltaElements(
    const CombinationSource& source, bool is_transposed) {
  PEFT_ASSIGN_OR_RETURN(const Matrix a, MatrixFromTensor(source.a));
  PEFT_ASSIGN_OR_RETURN(const Matrix b, MatrixFromTensor(source.b));
  Matrix product = Product(b, a);
  if (is_transposed) product = Transposed(product);
  std::vector<float> delta(product.values.begin(), product.values.end());
  for (float& value : delta) value *= static_cast<float>(source.scale);
  return delta;
}

absl::StatusOr<MatrixFactors> CombineMergeInputs(
    const CombinationOptions& options, MergeInputs deltas,
    absl::Span<const float> weights, int64_t rows, TorchGenerator& generator) {
  PEFT_ASSIGN_OR_RETURN(Matrix delta, MergeToMatrix(options, std::move(deltas),
                                                    weights, rows, generator));
  if (options.is_transposed) delta = Transposed(delta);
  return FitLowRank(delta, options.rank, options.svd_clamp);
}

absl::StatusOr<MatrixFactors> CombineProducts(
    const CombinationOptions& options,
    absl::Span<const CombinationSource> sources, TorchGenerator& generator) {
  MergeInputs deltas;
  std::vector<float> weights;
  for (const CombinationSource& source : sources) {
    PEFT_ASSIGN_OR_RETURN(deltas.emplace_back(),
                          DeltaElements(source, options.is_transposed));
    weights.push_back(static_cast<float>(source.weight));
  }
  int64_t rows = sources[0].b.dim(0);
  if (options.is_transposed && rows > 0) {
    rows = static_cast<int64_t>(deltas[0].size()) / rows;
  }
  return CombineMergeInputs(options, std::move(deltas), weights, rows,
                            generator);
}

// A as (rank, in), with zero rows at the end of each of `groups` blocks.
Matrix WithRows(const Matrix& matrix, int64_t rank, int64_t groups) {
  Matrix result = ZeroMatrix(rank, matrix.cols);
  const int64_t rows = matrix.rows / groups;
  for (int64_t i = 0; i < matrix.rows; ++i) {
    std::copy_n(matrix.row(i), matrix.cols,
                result.row(i / rows * (rank / groups) + i % rows));
  }
  return result;
}

// B with zero columns at its end.
Matrix WithCols(const Matrix& matrix, int64_t cols) {
  Matrix result = ZeroMatrix(matrix.rows, cols);
  for (int64_t i = 0; i < matrix.rows; ++i) {
    std::copy_n(matrix.row(i), matrix.cols, result.row(i));
  }
  return result;
}

// In each of `groups`, B's columns meet a block of A's rows.
absl::Status PadRank(int64_t rank, int64_t groups, MatrixFactors& factors) {
  if (factors.a.rows > rank || rank % groups != 0) {
    return ArgumentError(
        absl::StrCat("the combined layer needs rank ", factors.a.rows,
                     groups > 1 ? absl::StrCat(" and a multiple of its ",
                                               groups, " groups")
                                : "",
                     ", but the new adapter has ", rank),
        {"r", absl::StrCat(factors.a.rows), absl::StrCat(rank)});
  }
  if (factors.a.rows == rank) return absl::OkStatus();
  factors.a = WithRows(factors.a, rank, groups);
  factors.b = WithCols(factors.b, rank / groups);
  return absl::OkStatus();
}

// `like`'s shape with another size of dimension `dim`.
absl::StatusOr<Tensor> ToTensor(const Matrix& matrix, const Tensor& like,
                                int dim, int64_t size) {
  std::vector<int64_t> shape(like.shape().begin(), like.shape().end());
  shape[dim] = size;
  return MakeF32Tensor(std::move(shape), [&](absl::Span<float> out) {
    std::copy(matrix.values.begin(), matrix.values.end(), out.begin());
  });
}

// In the shapes of `like`, but for the rank.
absl::StatusOr<LoraFactors> ToFactors(const MatrixFactors& matrices,
                                      const CombinationSource& like) {
  LoraFactors factors;
  PEFT_ASSIGN_OR_RETURN(factors.a,
                        ToTensor(matrices.a, like.a, 0, matrices.a.rows));
  const int64_t rank = like.b.dim(1) * matrices.a.rows / like.a.dim(0);
  PEFT_ASSIGN_OR_RETURN(factors.b, ToTensor(matrices.b, like.b, 1, rank));
  return factors;
}

}  // namespace

absl::StatusOr<LoraFactors> CombineLora(
    const CombinationOptions& options,
    absl::Span<const CombinationSource> sources, TorchGenerator& generator) {
  const CombinationTarget target = GetCombinationTarget(options.type);
  PEFT_RETURN_IF_ERROR(CheckSources(target, sources));
  MatrixFactors factors;
  if (target == CombinationTarget::kFactors) {
    PEFT_ASSIGN_OR_RETURN(factors, CombineFactors(options, sources, generator));
  } else if (target == CombinationTarget::kConcatenation) {
    PEFT_ASSIGN_OR_RETURN(factors, Concatenate(sources));
  } else {
    PEFT_ASSIGN_OR_RETURN(factors,
                          CombineProducts(options, sources, generator));
  }
  const CombinationSource& first = sources[0];
  PEFT_RETURN_IF_ERROR(
      PadRank(options.rank, first.a.dim(0) / first.b.dim(1), factors));
  return ToFactors(factors, first);
}

absl::StatusOr<LoraFactors> CombineDeltas(const CombinationOptions& options,
                                          absl::Span<const Tensor> deltas,
                                          absl::Span<const double> weights,
                                          TorchGenerator& generator) {
  if (deltas.empty() || deltas[0].rank() != 2) {
    return ArgumentError("there must be changes of weights, all matrices");
  }
  MergeInputs inputs;
  for (const Tensor& delta : deltas) {
    PEFT_RETURN_IF_ERROR(CheckSameShape(deltas[0], delta));
    PEFT_ASSIGN_OR_RETURN(inputs.emplace_back(), ToElements(delta));
  }
  PEFT_ASSIGN_OR_RETURN(
      MatrixFactors factors,
      CombineMergeInputs(options, std::move(inputs), ToF32(weights),
                         deltas[0].dim(0), generator));
  PEFT_RETURN_IF_ERROR(PadRank(options.rank, /*groups=*/1, factors));
  LoraFactors result;
  PEFT_ASSIGN_OR_RETURN(result.a, TensorFromMatrix(factors.a, DType::kF32));
  PEFT_ASSIGN_OR_RETURN(result.b, TensorFromMatrix(factors.b, DType::kF32));
  return result;
}

absl::StatusOr<Tensor> CombineIa3(absl::Span<const Tensor> sources,
                                  absl::Span<const double> weights) {
  if (sources.empty()) return ArgumentError("there are no adapters to combine");
  MergeInputs inputs;
  for (const Tensor& source : sources) {
    PEFT_RETURN_IF_ERROR(CheckSameShape(sources[0], source));
    PEFT_ASSIGN_OR_RETURN(inputs.emplace_back(), ToElements(source));
  }
  TorchGenerator unused(0);
  PEFT_ASSIGN_OR_RETURN(
      const std::vector<float> sum,
      MergeElements({}, std::move(inputs), ToF32(weights), unused));
  return MakeF32Tensor({sources[0].shape().begin(), sources[0].shape().end()},
                       [&](absl::Span<float> out) {
                         std::copy(sum.begin(), sum.end(), out.begin());
                       });
}

}  // namespace peft
