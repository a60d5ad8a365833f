#include "kernels/cuda/testing/low_rank_layer.h"

#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"

namespace peft {
namespace kernels {
namespace cuda {

LowRankArgs LowRankLayer::UploadTerms(DeviceCase& machine) {
  LowRankArgs args;
  std::vector<LowRankTerm> table;
  for (const HostTerm& term : terms_) {
    LowRankTerm& entry = table.emplace_back();
    entry.a = machine.Upload(term.a, shift_);
    entry.b = machine.Upload(term.b, shift_);
    if (!term.rank_scale.empty()) {
      entry.rank_scale = machine.Upload(term.rank_scale);
    }
    if (!term.gate.empty()) entry.gate = machine.Upload(term.gate);
    entry.scale = term.scale;
    entry.rank = static_cast<int32_t>(term.a.rows());
    // Groups may share terms: each has columns of its own.
    entry.column = args.columns;
    args.columns += entry.rank;
  }
  for (const RowGroup& group : groups_) {
    int chunks = 0;
    for (int i = 0; i < group.num_terms; ++i) {
      const int32_t rank = table[group.first_term + i].rank;
      chunks += (rank + kTileOutputs - 1) / kTileOutputs;
    }
    args.chunks = std::max(args.chunks, chunks);
  }
  std::vector<RowTile> tiles = MakeTiles(groups_);
  tiles.emplace_back();  // room for more rows, as a captured graph has it
  args.tiles = machine.Upload(tiles);
  args.terms = machine.Upload(table);
  if (!places_.empty()) args.places = machine.Upload(places_);
  args.rows = rows_;
  args.num_tiles = static_cast<int32_t>(tiles.size());
  return args;
}

LowRankLayer::Arguments LowRankLayer::Upload(int64_t gap, DeviceCase& machine) {
  x_.emplace_back(types_.x, rows_, in_, in_ + gap, random_);
  y_.emplace_back(types_.x, rows_, out_, out_ + 5, random_);
  Arguments args;
  args.low_rank = UploadTerms(machine);
  args.input.x = machine.Upload(x_[0], shift_);
  args.input.stride = x_[0].stride();
  args.input.size = in_;
  args.output.y = machine.Upload(y_[0], DTypeSize(types_.x));
  args.output.stride = y_[0].stride();
  args.output.size = out_;
  if (!weight_.empty()) {
    args.output.weight = machine.Upload(weight_[0], shift_);
    args.output.bias = machine.Upload(bias_);
    args.output.out_scale = machine.Upload(out_scale_);
  }
  return args;
}

void LowRankLayer::CheckShrinkAndExpand(DeviceCase& machine) {
  Arguments args = Upload(3, machine);
  args.low_rank.splits = splits_;
  args.low_rank.t =
      machine.Allocate(splits_ * rows_ * args.low_rank.columns * sizeof(float));
  ASSERT_TRUE(machine.kernels()
                  .Shrink(types_, {args.low_rank, args.input}, machine.stream())
                  .ok());
  ASSERT_TRUE(
      machine.kernels()
          .Expand(types_, {args.low_rank, args.output}, machine.stream())
          .ok());
  CheckY(args.output, machine);
}

int32_t LowRankLayer::MostUnits() const {
  int64_t most = 0;
  for (const RowGroup& group : groups_) {
    int64_t units = 0;
    for (int i = 0; i < group.num_terms; ++i) {
      const int64_t rank = terms_[group.first_term + i].a.rows();
      units += (rank + kUnitRanks - 1) / kUnitRanks;
    }
    most = std::max(most, units);
  }
  return static_cast<int32_t>(most);
}

void LowRankLayer::CheckFused(DeviceCase& machine) {
  Arguments args = Upload(8, machine);
  auto plan = machine.kernels().PlanFused(
      types_, {rows_, in_, out_, args.low_rank.num_tiles, MostUnits()});
  ASSERT_TRUE(plan.has_value());
  // More than a layer of this size would have.
  plan->splits = splits_;
  args.low_rank.t = machine.Allocate(plan->t_floats() * sizeof(float));
  const DevicePtr counts = machine.Upload(std::vector<uint32_t>{0, 0});
  ASSERT_TRUE(machine.kernels()
                  .Fused(types_.x, *plan,
                         {args.low_rank, args.input, args.output, counts,
                          counts + sizeof(uint32_t)},
                         machine.stream())
                  .ok());
  EXPECT_EQ(machine.Download(counts, 8), std::vector<char>(8));
  CheckY(args.output, machine);
}

void LowRankLayer::CheckY(const OutputArgs& output, DeviceCase& machine) {
  HostMatrix result = y_[0];
  machine.Download(output.y, result);
  Compare(result);
}

float LowRankLayer::T(const HostTerm& term, int64_t row, int64_t j) const {
  double sum = 0;
  for (int64_t k = 0; k < in_; ++k) {
    sum += double{x_[0].At(Place(row), k)} * term.a.At(j, k);
  }
  if (!term.rank_scale.empty()) sum *= term.rank_scale[j];
  if (!term.gate.empty()) sum *= term.gate[row];
  return static_cast<float>(sum);
}

double LowRankLayer::Expected(const RowGroup& group, int64_t row,
                              int64_t output, double& size) const {
  double sum = 0;
  const auto add = [&](double summand) {
    sum += summand;
    size += std::abs(summand);
  };
  if (weight_.empty()) add(y_[0].At(Place(row), output));
  for (int64_t k = 0; !weight_.empty() && k < in_; ++k) {
    add(double{x_[0].At(Place(row), k)} * weight_[0].At(output, k));
  }
  for (int i = 0; i < group.num_terms; ++i) {
    const HostTerm& term = terms_[group.first_term + i];
    for (int64_t j = 0; j < term.a.rows(); ++j) {
      add(double{term.scale} * T(term, row, j) * term.b.At(output, j));
    }
  }
  if (!out_scale_.empty()) sum *= out_scale_[output];
  if (!bias_.empty()) sum += bias_[output];
  return sum;
}

void LowRankLayer::Compare(const HostMatrix& y) const {
  const double rounding = types_.x == DType::kF32   ? 0
                          : types_.x == DType::kF16 ? 0x1p-11
                                                    : 0x1p-8;
  // Of T, to which the tensor cores give 16 bits at least.
  const double error = types_.w == DType::kF32 ? 1e-6 : 0x1p-16;
  int64_t row = 0;
  for (const RowGroup& group : groups_) {
    for (const int64_t end = row + group.rows; row < end; ++row) {
      for (int64_t output = 0; output < out_; ++output) {
        double size = 0;
        const double expected = Expected(group, row, output, size);
        ASSERT_NEAR(y.At(Place(row), output), expected,
                    rounding * std::abs(expected) + 4 * error * (size + 1))
            << "row " << row << ", output " << output;
      }
      EXPECT_TRUE(std::isnan(y.At(Place(row), y.stride() - 1)));
    }
  }
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
