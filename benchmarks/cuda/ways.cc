#include "benchmarks/cuda/ways.h"

#include <cmath>

#include "benchmarks/cuda/lt_side.h"
#include "benchmarks/cuda/own_side.h"
#include "peft_cc/base/error.h"

namespace peft {

namespace {

Work WorkOf(Way way) {
  if (way == Way::kBase || way == Way::kPeerBase) return Work::kBase;
  return static_cast<int>(way) < kForwardWays ? Work::kForward
                                              : Work::kTraining;
}

bool IsPeers(Way way) {
  return way == Way::kPeerBase || way == Way::kPeer ||
         way == Way::kPeerTraining;
}

absl::StatusOr<std::unique_ptr<Side>> Make(const CudaBench& bench,
                                           const LayerInputs& inputs, Way way) {
  if (way == Way::kOwn) return OwnSide::Create(bench, inputs);
  const Work work = WorkOf(way);
  if (work != Work::kBase && inputs.shape().adapters > 1) return nullptr;
  if (!IsPeers(way)) return LtSide::Create(bench, inputs, work);
  if (bench.peer == nullptr) return nullptr;
  return bench.peer(inputs, work);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Side>> MakeChecked(const CudaBench& bench,
                                                  const LayerInputs& inputs,
                                                  Way way) {
  static constexpr const char* kNames[] = {
      "cuBLASLt's base",     "libtorch's base", "kernels/cuda/lt",
      "kernels/cuda",        "libtorch",        "kernels/cuda/lt in training",
      "libtorch in training"};
  PEFT_ASSIGN_OR_RETURN(std::unique_ptr<Side> side, Make(bench, inputs, way));
  if (side == nullptr) return side;
  PEFT_RETURN_IF_ERROR(
      CheckSide(inputs, WorkOf(way), kNames[static_cast<int>(way)], *side));
  return side;
}

// fmin takes the other one where one is NaN.
double WayTimes::base() const {
  return std::fmin(seconds(Way::kBase), seconds(Way::kPeerBase));
}

double WayTimes::ours() const {
  return std::fmin(seconds(Way::kLt), seconds(Way::kOwn));
}

}  // namespace peft
