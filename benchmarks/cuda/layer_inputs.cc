#include "benchmarks/cuda/layer_inputs.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {

namespace {

// Twice what PEFT's own roundings to BF16 can add up to; an adapter that is
// missing, or another one's, is ten times that.
constexpr double kTolerance = 1.0 / 32;

// The sum of products, with the sizes of its terms.
class Sum {
 public:
  void Add(double term) {
    value_ += term;
    squares_ += term * term;
  }
  Expected result() const { return {value_, std::sqrt(squares_)}; }

 private:
  double value_ = 0;
  double squares_ = 0;
};

// Adds the products of two rows.
void AddDot(const KnownMatrix& left, int64_t left_row, const KnownMatrix& right,
            int64_t right_row, Sum& sum) {
  const float* const l = left.row(left_row);
  const float* const r = right.row(right_row);
  const double factor = double{left.factor} * right.factor;
  for (int64_t i = 0; i < left.device.cols; ++i) {
    sum.Add(factor * l[i] * r[i]);
  }
}

// Some of 0 to size - 1: the first, the last, and `count` between them.
std::set<int64_t> Sample(int64_t size, int64_t count) {
  std::set<int64_t> result = {0, size - 1};
  for (int64_t i = 0; i < count; ++i) {
    result.insert((2 * i + 1) * size / (2 * count));
  }
  return result;
}

absl::Status CheckNumber(const Expected& expected, float found,
                         absl::string_view name, absl::string_view what,
                         int64_t row, int64_t col) {
  const double size = std::max(std::abs(expected.value), expected.size);
  if (std::abs(found - expected.value) <= kTolerance * size) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      absl::StrCat(name, " computes ", what, "[", row, ", ", col, "] = ", found,
                   ", expected ", expected.value, ": nothing is timed"));
}

absl::Status CheckOutput(const LayerInputs& inputs, Work work,
                         absl::string_view name, int output, Side& side) {
  const LayerShape& shape = inputs.shape();
  // One row of each adapter at least.
  for (int64_t row : Sample(shape.rows, std::max<int64_t>(2, shape.adapters))) {
    for (int64_t col : Sample(shape.outs[output], 2)) {
      PEFT_ASSIGN_OR_RETURN(const float found,
                            side.At(Computed::kY, output, row, col));
      PEFT_RETURN_IF_ERROR(CheckNumber(inputs.ExpectedY(work, output, row, col),
                                       found, name, absl::StrCat("y", output),
                                       row, col));
    }
  }
  return absl::OkStatus();
}

// Few: each is a sum over all rows, or all outputs.
absl::Status CheckGradient(const LayerInputs& inputs, absl::string_view name,
                           absl::string_view what, Computed computed,
                           int64_t rows, int64_t cols, Side& side) {
  const int64_t places[][2] = {{0, cols - 1}, {rows - 1, cols / 2}};
  for (const auto& place : places) {
    PEFT_ASSIGN_OR_RETURN(const float found,
                          side.At(computed, 0, place[0], place[1]));
    PEFT_RETURN_IF_ERROR(
        CheckNumber(inputs.ExpectedGradient(computed, place[0], place[1]),
                    found, name, what, place[0], place[1]));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<LayerInputs>> LayerInputs::Create(
    const CudaBench& bench, const LayerShape& shape, bool training,
    int64_t seed) {
  auto inputs = absl::WrapUnique(new LayerInputs);
  const auto known = [&](int64_t rows, int64_t cols, int64_t terms) {
    // Odd steps: no two matrices begin at the same place.
    return inputs->memory_.Known(bench, rows, cols, terms, seed += 13);
  };
  inputs->shape_ = shape;
  PEFT_ASSIGN_OR_RETURN(inputs->x_, known(shape.rows, shape.in, 1));
  PEFT_ASSIGN_OR_RETURN(
      inputs->a_, known(shape.adapters * shape.ranks(), shape.in, shape.in));
  for (int64_t out : shape.outs) {
    PEFT_ASSIGN_OR_RETURN(const auto weight, known(out, shape.in, shape.in));
    inputs->weights_.push_back(weight);
  }
  for (int64_t adapter = 0; adapter < shape.adapters; ++adapter) {
    for (int64_t out : shape.outs) {
      PEFT_ASSIGN_OR_RETURN(const auto b, known(out, shape.rank, shape.rank));
      inputs->b_.push_back(b);
    }
  }
  if (training) {
    PEFT_ASSIGN_OR_RETURN(inputs->dy_, known(shape.rows, shape.outs[0], 1));
  }
  // Sides may read them on streams of their own.
  PEFT_RETURN_IF_ERROR(Synchronize(bench));
  return inputs;
}

double LayerInputs::T(int64_t row, int64_t adapter, int output,
                      int64_t rank) const {
  Sum sum;
  AddDot(x_, row, a_, FirstRank(adapter, output) + rank, sum);
  return sum.result().value;
}

double LayerInputs::Dt(int64_t row, int64_t rank) const {
  const float* const dy = dy_.row(row);
  double sum = 0;
  for (int64_t i = 0; i < dy_.device.cols; ++i) {
    sum += dy[i] * b_[0].at(i, rank);
  }
  return kScale * dy_.factor * sum;
}

Expected LayerInputs::ExpectedY(Work work, int output, int64_t row,
                                int64_t col) const {
  Sum sum;
  AddDot(x_, row, weights_[output], col, sum);
  if (work == Work::kBase) return sum.result();
  const int64_t adapter = shape_.AdapterOf(row);
  for (int64_t rank = 0; rank < shape_.rank; ++rank) {
    sum.Add(kScale * T(row, adapter, output, rank) *
            b(adapter, output).at(col, rank));
  }
  return sum.result();
}

Expected LayerInputs::ExpectedGradient(Computed what, int64_t row,
                                       int64_t col) const {
  Sum sum;
  if (what == Computed::kDx) {
    for (int64_t i = 0; i < dy_.device.cols; ++i) {
      sum.Add(dy_.at(row, i) * weights_[0].at(i, col));
    }
    for (int64_t rank = 0; rank < shape_.rank; ++rank) {
      sum.Add(Dt(row, rank) * a_.at(rank, col));
    }
    return sum.result();
  }
  for (int64_t i = 0; i < shape_.rows; ++i) {
    sum.Add(what == Computed::kDa ? Dt(i, row) * x_.at(i, col)
                                  : kScale * dy_.at(i, row) * T(i, 0, 0, col));
  }
  return sum.result();
}

absl::Status CheckSide(const LayerInputs& inputs, Work work,
                       absl::string_view name, Side& side) {
  PEFT_RETURN_IF_ERROR(side.Run());
  const LayerShape& shape = inputs.shape();
  for (int output = 0; output < shape.num_outputs(); ++output) {
    PEFT_RETURN_IF_ERROR(CheckOutput(inputs, work, name, output, side));
  }
  if (work != Work::kTraining) return absl::OkStatus();
  PEFT_RETURN_IF_ERROR(CheckGradient(inputs, name, "dA", Computed::kDa,
                                     shape.rank, shape.in, side));
  PEFT_RETURN_IF_ERROR(CheckGradient(inputs, name, "dB", Computed::kDb,
                                     shape.outs[0], shape.rank, side));
  return CheckGradient(inputs, name, "dx", Computed::kDx, shape.rows, shape.in,
                       side);
}

}  // namespace peft
