#include <cmath>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "benchmarks/cuda/layer_inputs.h"
#include "benchmarks/cuda/measurements.h"
#include "benchmarks/cuda/ways.h"
#include "peft_cc/base/error.h"

namespace peft {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

absl::StatusOr<WayTimes> TimeLayer(const CudaBench& bench, int64_t size,
                                   int64_t rank, int64_t rows) {
  LayerShape shape;
  shape.rows = rows;
  shape.in = size;
  shape.outs = {size};
  shape.rank = rank;
  PEFT_ASSIGN_OR_RETURN(
      const auto inputs,
      LayerInputs::Create(bench, shape, /*training=*/true, /*seed=*/rows));
  std::vector<std::unique_ptr<Side>> sides;
  std::vector<Side*> turns;
  for (int way = 0; way < kAllWays; ++way) {
    PEFT_ASSIGN_OR_RETURN(auto side,
                          MakeChecked(bench, *inputs, static_cast<Way>(way)));
    turns.push_back(side.get());
    sides.push_back(std::move(side));
  }
  PEFT_ASSIGN_OR_RETURN(auto seconds, TimeSides(bench, turns));
  return WayTimes(std::move(seconds));
}

void StartTable(Report& report) {
  constexpr Unit kTime = Unit::kMicroseconds;
  report.StartTable(
      "One layer of d x d in BF16 with one LoRA, microseconds. Ours is the "
      "faster of the two; training is forward and backward.",
      {{"d"},
       {"rank"},
       {"rows"},
       {"base", kTime},
       {"libtorch's base", kTime},
       {"cuBLASLt's launches", kTime},
       {"own kernels", kTime},
       {"over base", Unit::kPercent},
       {"PEFT", kTime},
       {"PEFT / ours", Unit::kRatio},
       {"training", kTime},
       {"PEFT's training", kTime},
       {"PEFT / ours in training", Unit::kRatio}});
}

std::vector<double> RowOf(int64_t size, int64_t rank, int64_t rows,
                          const WayTimes& times) {
  return {static_cast<double>(size),
          static_cast<double>(rank),
          static_cast<double>(rows),
          times.microseconds(Way::kBase),
          times.microseconds(Way::kPeerBase),
          times.microseconds(Way::kLt),
          times.microseconds(Way::kOwn),
          times.over_base(),
          times.microseconds(Way::kPeer),
          times.speedup(),
          times.microseconds(Way::kLtTraining),
          times.microseconds(Way::kPeerTraining),
          times.training_speedup()};
}

// What the bounds are about, for one size.
struct Measured {
  double over_base = kNan;
  double speedup = kNan;
  double training_speedup = kNan;  // the smallest

  void Add(int64_t rows, const SingleLayers& cases, const WayTimes& times) {
    if (rows == 1) {
      over_base = times.over_base();
      speedup = times.speedup();
    }
    if (rows >= cases.training_rows) {
      training_speedup = std::fmin(training_speedup, times.training_speedup());
    }
  }
};

void AddBounds(const SingleLayers::Size& size, const SingleLayers& cases,
               const Measured& measured, Report& report) {
  const std::string what =
      absl::StrCat("d = ", size.size, ", rank ", cases.rank);
  report.AddBound({absl::StrCat(what, ", one row, over the base"),
                   Unit::kPercent, size.limit, false, measured.over_base});
  report.AddBound({absl::StrCat(what, ", one row, PEFT / ours"), Unit::kRatio,
                   1.5, true, measured.speedup});
  report.AddBound({absl::StrCat(what, ", training with ", cases.training_rows,
                                " rows or more, smallest PEFT / ours"),
                   Unit::kRatio, 1.27, true, measured.training_speedup});
}

}  // namespace

absl::Status MeasureSingleLayers(const CudaBench& bench,
                                 const SingleLayers& cases, Report& report) {
  StartTable(report);
  std::vector<Measured> measured(cases.sizes.size());
  for (size_t i = 0; i < cases.sizes.size(); ++i) {
    const int64_t size = cases.sizes[i].size;
    for (int64_t rank : cases.ranks) {
      for (int64_t rows : cases.rows) {
        PEFT_ASSIGN_OR_RETURN(const WayTimes times,
                              TimeLayer(bench, size, rank, rows));
        report.AddRow(RowOf(size, rank, rows, times));
        if (rank == cases.rank) measured[i].Add(rows, cases, times);
      }
    }
  }
  for (size_t i = 0; i < cases.sizes.size(); ++i) {
    AddBounds(cases.sizes[i], cases, measured[i], report);
  }
  return absl::OkStatus();
}

}  // namespace peft
