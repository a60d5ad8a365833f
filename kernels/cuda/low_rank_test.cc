// Shrink, expand and fused, against sums in f64.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/adapter_kernels.h"
#include "kernels/cuda/kernel_args.h"
#include "kernels/cuda/testing/device_case.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

// What a term is made of, on the host.
struct HostTerm {
  HostMatrix a;
  HostMatrix b;
  float scale;
  std::vector<float> rank_scale;  // may be empty
  std::vector<float> gate;        // of each row; may be empty
};

// A layer with terms for several groups of rows.
class Layer {
 public:
  Layer(KernelTypes types, int64_t in, int64_t out, Random& random)
      : types_(types), in_(in), out_(out), random_(random) {}

  void AddTerm(int64_t rank, float scale) {
    terms_.push_back({HostMatrix(types_.w, rank, in_, random_),
                      HostMatrix(types_.w, out_, rank, random_),
                      scale,
                      {},
                      {}});
  }
  HostTerm& last_term() { return terms_.back(); }
  void AddGroup(int64_t rows, int first_term, int num_terms) {
    groups_.push_back({rows, first_term, num_terms});
    rows_ += rows;
  }
  void ShuffleRows() {
    for (int64_t row = 0; row < rows_; ++row) {
      places_.push_back(static_cast<int32_t>((row * 7 + 3) % rows_));
    }
  }
  void AddWeight() {
    weight_.emplace_back(types_.x, out_, in_, random_);
    for (int64_t i = 0; i < out_; ++i) {
      bias_.push_back(0.5f * static_cast<float>(i % 5));
      out_scale_.push_back(1.0f + 0.25f * static_cast<float>(i % 3));
    }
  }
  bool has_weight() const { return !weight_.empty(); }
  void set_splits(int splits) { splits_ = splits; }
  void set_shift(size_t shift) { shift_ = shift; }

  // Runs it and compares all of y.
  void Check(bool fused, DeviceCase& machine);

 private:
  LowRankArgs Upload(DeviceCase& machine);
  int64_t Place(int64_t row) const {
    return places_.empty() ? row : places_[row];
  }
  // What y has to be, in the place of grouped row `row`, and how large its
  // summands are.
  double Expected(const RowGroup& group, int64_t row, int64_t output,
                  double& size) const;
  void Compare(const HostMatrix& y) const;
  float T(const HostTerm& term, int64_t row, int64_t j) const;

  const KernelTypes types_;
  const int64_t in_;
  const int64_t out_;
  Random& random_;
  int64_t rows_ = 0;
  int splits_ = 1;
  size_t shift_ = 0;
  std::vector<HostTerm> terms_;
  std::vector<RowGroup> groups_;
  std::vector<int32_t> places_;
  std::vector<HostMatrix> weight_;  // none or one
  std::vector<float> bias_;
  std::vector<float> out_scale_;
  std::vector<HostMatrix> x_;
  std::vector<HostMatrix> y_;  // before
};

LowRankArgs Layer::Upload(DeviceCase& machine) {
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
  }
  LowRankArgs args;
  for (const RowGroup& group : groups_) {
    int columns = 0;
    int chunks = 0;
    for (int i = 0; i < group.num_terms; ++i) {
      LowRankTerm& term = table[group.first_term + i];
      term.column = columns;
      columns += term.rank;
      chunks += (term.rank + kTileOutputs - 1) / kTileOutputs;
    }
    args.columns = std::max(args.columns, columns);
    args.chunks = std::max(args.chunks, chunks);
  }
  std::vector<RowTile> tiles = MakeTiles(groups_);
  tiles.emplace_back();  // room for more rows, as a captured graph has it
  args.tiles = machine.Upload(tiles);
  args.terms = machine.Upload(table);
  if (!places_.empty()) args.places = machine.Upload(places_);
  args.rows = rows_;
  args.num_tiles = static_cast<int32_t>(tiles.size());
  args.splits = splits_;
  args.t = machine.Allocate(splits_ * rows_ * args.columns * sizeof(float));
  return args;
}

void Layer::Check(bool fused, DeviceCase& machine) {
  const int size = DTypeSize(types_.x);
  x_.emplace_back(types_.x, rows_, in_, in_ + 3, random_);
  y_.emplace_back(types_.x, rows_, out_, out_ + 5, random_);
  const LowRankArgs low_rank = Upload(machine);
  InputArgs input;
  input.x = machine.Upload(x_[0], shift_);
  input.stride = x_[0].stride();
  input.size = in_;
  OutputArgs output;
  output.y = machine.Upload(y_[0], size);
  output.stride = y_[0].stride();
  output.size = out_;
  if (!weight_.empty()) {
    output.weight = machine.Upload(weight_[0], shift_);
    output.bias = machine.Upload(bias_);
    output.out_scale = machine.Upload(out_scale_);
  }
  if (fused) {
    const DevicePtr counts = machine.Upload(std::vector<uint32_t>{0, 0});
    const FusedArgs args = {low_rank, input, output, counts, counts + 4};
    ASSERT_TRUE(machine.kernels().Fused(types_, args, machine.stream()).ok());
    EXPECT_EQ(machine.Download(counts, 8), std::vector<char>(8));
  } else {
    ASSERT_TRUE(machine.kernels()
                    .Shrink(types_, {low_rank, input}, machine.stream())
                    .ok());
    ASSERT_TRUE(machine.kernels()
                    .Expand(types_, {low_rank, output}, machine.stream())
                    .ok());
  }
  HostMatrix result = y_[0];
  machine.Download(output.y, result);
  Compare(result);
}

float Layer::T(const HostTerm& term, int64_t row, int64_t j) const {
  double sum = 0;
  for (int64_t k = 0; k < in_; ++k) {
    sum += double{x_[0].At(Place(row), k)} * term.a.At(j, k);
  }
  if (!term.rank_scale.empty()) sum *= term.rank_scale[j];
  if (!term.gate.empty()) sum *= term.gate[row];
  return static_cast<float>(sum);
}

double Layer::Expected(const RowGroup& group, int64_t row, int64_t output,
                       double& size) const {
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

void Layer::Compare(const HostMatrix& y) const {
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

class LowRankTest
    : public testing::TestWithParam<std::tuple<Machine, DType, DType>> {
 protected:
  LowRankTest() : machine_(std::get<0>(GetParam())) {}

  void SetUp() override {
    if (!machine_.missing().empty()) {
      GTEST_SKIP() << "no GPU: " << machine_.missing();
    }
  }

  static KernelTypes Types() {
    return {std::get<1>(GetParam()), std::get<2>(GetParam())};
  }

  DeviceCase machine_;
  // Each case draws its own.
  Random random_{static_cast<unsigned>(
      static_cast<int>(std::get<0>(GetParam())) * 10000 +
      static_cast<int>(Types().x) * 100 + static_cast<int>(Types().w))};
};

std::string CaseName(
    const testing::TestParamInfo<std::tuple<Machine, DType, DType>>& info) {
  const auto [machine, x, w] = info.param;
  return MachineName({machine, 0}) + "_" + std::string(DTypeName(x)) + "_" +
         std::string(DTypeName(w));
}

INSTANTIATE_TEST_SUITE_P(
    Machines, LowRankTest,
    testing::Combine(testing::Values(Machine::kForwards, Machine::kBackwards,
                                     Machine::kGpu),
                     testing::Values(DType::kF32, DType::kF16, DType::kBF16),
                     testing::Values(DType::kF32, DType::kF16, DType::kBF16)),
    CaseName);

TEST_P(LowRankTest, GroupsOfEachSizeWithRanksOfTheirOwn) {
  Layer layer(Types(), 96, 40, random_);
  layer.AddTerm(16, 2.0f);
  layer.AddTerm(1, -0.5f);
  layer.AddTerm(8, 1.5f);
  layer.AddGroup(17, 0, 1);
  layer.AddGroup(1, 1, 1);
  layer.AddGroup(3, 2, 1);
  layer.Check(/*fused=*/false, machine_);
}

TEST_P(LowRankTest, OddSizesAtOddAddresses) {
  Layer layer(Types(), 75, 13, random_);
  layer.AddTerm(5, 1.0f);
  layer.AddTerm(0, 1.0f);
  layer.AddGroup(2, 0, 1);
  layer.AddGroup(2, 1, 1);
  layer.set_splits(2);
  layer.set_shift(DTypeSize(DType::kF32));
  layer.Check(/*fused=*/false, machine_);
}

TEST_P(LowRankTest, SeveralTermsWithGatesAndFactorsOfRanks) {
  Layer layer(Types(), 64, 24, random_);
  layer.AddTerm(20, 0.75f);
  layer.last_term().rank_scale = std::vector<float>(20, 1.25f);
  layer.AddTerm(9, -1.0f);
  layer.last_term().gate = {1, 0, 0.5f, 1, 1};
  layer.AddGroup(3, 0, 2);
  layer.AddGroup(2, 0, 0);
  layer.Check(/*fused=*/false, machine_);
}

TEST_P(LowRankTest, RowsThatLieElsewhere) {
  Layer layer(Types(), 64, 16, random_);
  layer.AddTerm(4, 1.0f);
  layer.AddTerm(4, 1.0f);
  layer.AddGroup(5, 0, 1);
  layer.AddGroup(6, 1, 1);
  layer.ShuffleRows();
  layer.Check(/*fused=*/false, machine_);
}

TEST_P(LowRankTest, LayersDrawnAtRandom) {
  const auto draw = [&](int from, int to) {
    return std::uniform_int_distribution<int>(from, to)(random_);
  };
  for (int i = 0; i < 2; ++i) {
    Layer layer(Types(), draw(1, 130), draw(1, 50), random_);
    const int terms = draw(1, 4);
    for (int j = 0; j < terms; ++j)
      layer.AddTerm(draw(0, 35), 0.25f * draw(-4, 4));
    for (int groups = draw(1, 3); groups > 0; --groups) {
      const int first = draw(0, terms - 1);
      layer.AddGroup(draw(0, 18), first, draw(0, terms - first));
    }
    layer.AddGroup(1, 0, 1);
    layer.set_splits(draw(1, 3));
    if (draw(0, 1) == 1) layer.AddWeight();
    layer.Check(/*fused=*/layer.has_weight() || draw(0, 1) == 1, machine_);
    if (HasFatalFailure()) FAIL() << "layer " << i;
  }
}

TEST_P(LowRankTest, FusedAddsToWhatIsThere) {
  Layer layer(Types(), 96, 40, random_);
  layer.AddTerm(12, 2.0f);
  layer.AddTerm(3, 1.0f);
  layer.AddGroup(2, 0, 1);
  layer.AddGroup(3, 1, 1);
  layer.set_splits(2);
  layer.Check(/*fused=*/true, machine_);
}

TEST_P(LowRankTest, FusedWithItsBaseProduct) {
  Layer layer(Types(), 160, 44, random_);
  layer.AddTerm(24, 0.5f);
  layer.AddGroup(4, 0, 1);
  layer.AddGroup(1, 0, 0);
  layer.AddWeight();
  layer.ShuffleRows();
  layer.Check(/*fused=*/true, machine_);
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
