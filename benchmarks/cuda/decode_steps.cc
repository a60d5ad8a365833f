#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "benchmarks/cuda/layer_inputs.h"
#include "benchmarks/cuda/measurements.h"
#include "benchmarks/cuda/ways.h"
#include "peft_cc/base/error.h"

namespace peft {

namespace {

// The shapes of one layer: q, k and v; o; gate and up; down.
std::vector<LayerShape> ShapesOf(const DecodeSteps& cases, int64_t rows,
                                 int64_t adapters) {
  const int64_t hidden = cases.hidden;
  const int64_t intermediate = cases.intermediate;
  std::vector<LayerShape> shapes(4);
  for (LayerShape& shape : shapes) {
    shape.rows = rows;
    shape.in = hidden;
    shape.rank = cases.rank;
    shape.adapters = adapters;
  }
  shapes[0].outs = {hidden, hidden, hidden};
  shapes[1].outs = {hidden};
  shapes[2].outs = {intermediate, intermediate};
  shapes[3].in = intermediate;
  shapes[3].outs = {hidden};
  return shapes;
}

// All that a shape keeps in device memory, nearly.
int64_t BytesOf(const LayerShape& shape) {
  int64_t numbers = shape.adapters * shape.ranks() * shape.in;
  for (int64_t out : shape.outs) {
    numbers += out * (shape.in + shape.adapters * shape.rank);
  }
  return 2 * numbers;
}

// Layers with weights of their own: as many as three quarters of the free
// memory hold. The others use theirs again, which no L2 cache still has.
absl::StatusOr<int> DistinctLayers(const CudaBench& bench, int layers,
                                   const std::vector<LayerShape>& shapes) {
  const kernels::cuda::Driver& driver = bench.device.driver();
  size_t free = 0;
  size_t total = 0;
  PEFT_RETURN_IF_ERROR(driver.Check(driver->cuMemGetInfo_v2(&free, &total),
                                    "asking for free memory"));
  int64_t bytes = 0;
  for (const LayerShape& shape : shapes) bytes += BytesOf(shape);
  const auto fit = static_cast<int64_t>(free / 4 * 3) / bytes;
  return static_cast<int>(std::clamp<int64_t>(fit, 1, layers));
}

// Sides that run one after the other; their numbers are compared before.
class StepSide : public Side {
 public:
  StepSide(std::vector<std::unique_ptr<Side>> sides, int64_t runs)
      : sides_(std::move(sides)), runs_(runs) {}

  absl::Status Run() override {
    for (int64_t i = 0; i < runs_; ++i) {
      PEFT_RETURN_IF_ERROR(sides_[i % sides_.size()]->Run());
    }
    return absl::OkStatus();
  }
  kernels::cuda::StreamHandle stream() const override {
    return sides_[0]->stream();
  }
  absl::StatusOr<float> At(Computed what, int output, int64_t row,
                           int64_t col) override {
    return sides_[0]->At(what, output, row, col);
  }

 private:
  const std::vector<std::unique_ptr<Side>> sides_;
  const int64_t runs_;
};

using Inputs = std::vector<std::unique_ptr<LayerInputs>>;

// Null where the way is not to be had.
absl::StatusOr<std::unique_ptr<Side>> MakeStep(const CudaBench& bench,
                                               const Inputs& inputs,
                                               int64_t runs, Way way) {
  std::vector<std::unique_ptr<Side>> sides;
  for (const auto& one : inputs) {
    PEFT_ASSIGN_OR_RETURN(auto side, MakeChecked(bench, *one, way));
    if (side == nullptr) return nullptr;
    sides.push_back(std::move(side));
  }
  return std::make_unique<StepSide>(std::move(sides), runs);
}

// Of one step, and the layers that had weights of their own.
struct StepTimes {
  WayTimes times;
  int distinct_layers = 0;
};

absl::StatusOr<StepTimes> TimeStep(const CudaBench& bench,
                                   const DecodeSteps& cases, int64_t rows,
                                   int64_t adapters) {
  const std::vector<LayerShape> shapes = ShapesOf(cases, rows, adapters);
  PEFT_ASSIGN_OR_RETURN(const int distinct,
                        DistinctLayers(bench, cases.layers, shapes));
  Inputs inputs;
  for (int i = 0; i < distinct; ++i) {
    for (const LayerShape& shape : shapes) {
      PEFT_ASSIGN_OR_RETURN(
          auto one,
          LayerInputs::Create(bench, shape, /*training=*/false,
                              100 * static_cast<int64_t>(inputs.size())));
      inputs.push_back(std::move(one));
    }
  }
  const auto runs = static_cast<int64_t>(cases.layers * shapes.size());
  std::vector<std::unique_ptr<Side>> sides;
  std::vector<Side*> turns;
  for (int way = 0; way < kForwardWays; ++way) {
    PEFT_ASSIGN_OR_RETURN(auto side,
                          MakeStep(bench, inputs, runs, static_cast<Way>(way)));
    turns.push_back(side.get());
    sides.push_back(std::move(side));
  }
  PEFT_ASSIGN_OR_RETURN(auto seconds, TimeSides(bench, turns));
  return StepTimes{WayTimes(std::move(seconds)), distinct};
}

void StartTable(const DecodeSteps& cases, Report& report) {
  constexpr Unit kTime = Unit::kMicroseconds;
  report.StartTable(
      absl::StrCat("All linears of one step of a model with ", cases.layers,
                   " layers (", cases.hidden, " x ", cases.intermediate,
                   "), one graph, microseconds; q, k and v together, gate and "
                   "up too. Rank ",
                   cases.rank, "."),
      {{"rows"},
       {"adapters"},
       {"layers with weights of their own"},
       {"base", kTime},
       {"libtorch's base", kTime},
       {"cuBLASLt's launches", kTime},
       {"own kernels", kTime},
       {"over base", Unit::kPercent},
       {"PEFT", kTime},
       {"PEFT / ours", Unit::kRatio}});
}

// Measures one and returns the percentage over the base.
absl::StatusOr<double> AddStep(const CudaBench& bench, const DecodeSteps& cases,
                               int64_t rows, int64_t adapters, Report& report) {
  PEFT_ASSIGN_OR_RETURN(const StepTimes step,
                        TimeStep(bench, cases, rows, adapters));
  const WayTimes& times = step.times;
  report.AddRow(
      {static_cast<double>(rows), static_cast<double>(adapters),
       static_cast<double>(step.distinct_layers),
       times.microseconds(Way::kBase), times.microseconds(Way::kPeerBase),
       times.microseconds(Way::kLt), times.microseconds(Way::kOwn),
       times.over_base(), times.microseconds(Way::kPeer), times.speedup()});
  return times.over_base();
}

}  // namespace

absl::Status MeasureDecodeSteps(const CudaBench& bench,
                                const DecodeSteps& cases, Report& report) {
  StartTable(cases, report);
  double one_row = std::nan("");
  for (int64_t rows : cases.rows) {
    PEFT_ASSIGN_OR_RETURN(const double over_base,
                          AddStep(bench, cases, rows, 1, report));
    if (rows == 1) one_row = over_base;
  }
  PEFT_ASSIGN_OR_RETURN(const double many, AddStep(bench, cases, cases.batch,
                                                   cases.batch, report));
  report.AddBound({absl::StrCat("one step, one row, one adapter of rank ",
                                cases.rank, ", over the base"),
                   Unit::kPercent, 5, false, one_row});
  report.AddBound({absl::StrCat("one step, ", cases.batch, " rows of ",
                                cases.batch, " adapters, over the base"),
                   Unit::kPercent, 10, false, many});
  return absl::OkStatus();
}

}  // namespace peft
