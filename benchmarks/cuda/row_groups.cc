#include <memory>

#include "absl/strings/str_cat.h"
#include "benchmarks/cuda/grouped_side.h"
#include "benchmarks/cuda/layer_inputs.h"
#include "benchmarks/cuda/measurements.h"
#include "benchmarks/cuda/ways.h"
#include "peft_cc/base/error.h"

namespace peft {

namespace {

void StartTable(const RowGroups& cases, Report& report) {
  constexpr Unit kTime = Unit::kMicroseconds;
  report.StartTable(
      absl::StrCat("One layer of ", cases.size, " x ", cases.size,
                   " in BF16 for rows of ", cases.adapters,
                   " adapters of rank ", cases.rank, ", microseconds."),
      {{"rows of each"},
       {"base", kTime},
       {"own kernels", kTime},
       {"cuBLASLt's groups", kTime},
       {"their launches"},
       {"own kernels / groups", Unit::kRatio}});
}

absl::Status AddRow(const CudaBench& bench, const RowGroups& cases,
                    int64_t rows, Report& report) {
  LayerShape shape;
  shape.rows = rows * cases.adapters;
  shape.in = cases.size;
  shape.outs = {cases.size};
  shape.rank = cases.rank;
  shape.adapters = cases.adapters;
  PEFT_ASSIGN_OR_RETURN(
      const auto inputs,
      LayerInputs::Create(bench, shape, /*training=*/false, /*seed=*/rows));
  PEFT_ASSIGN_OR_RETURN(const auto base,
                        MakeChecked(bench, *inputs, Way::kBase));
  PEFT_ASSIGN_OR_RETURN(const auto own, MakeChecked(bench, *inputs, Way::kOwn));
  PEFT_ASSIGN_OR_RETURN(const auto groups, GroupedSide::Create(bench, *inputs));
  PEFT_RETURN_IF_ERROR(
      CheckSide(*inputs, Work::kForward, "kernels/cuda/lt of groups", *groups));
  PEFT_ASSIGN_OR_RETURN(
      const auto seconds,
      TimeSides(bench, {base.get(), own.get(), groups.get()}));
  report.AddRow({static_cast<double>(rows), 1e6 * seconds[0], 1e6 * seconds[1],
                 1e6 * seconds[2], static_cast<double>(groups->num_launches()),
                 seconds[1] / seconds[2]});
  return absl::OkStatus();
}

}  // namespace

absl::Status MeasureRowGroups(const CudaBench& bench, const RowGroups& cases,
                              Report& report) {
  StartTable(cases, report);
  for (int64_t rows : cases.rows) {
    PEFT_RETURN_IF_ERROR(AddRow(bench, cases, rows, report));
  }
  return absl::OkStatus();
}

}  // namespace peft
