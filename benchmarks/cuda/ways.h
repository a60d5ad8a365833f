// The ways of computing a layer that are compared.
#ifndef BENCHMARKS_CUDA_WAYS_H_
#define BENCHMARKS_CUDA_WAYS_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "benchmarks/cuda/bench.h"
#include "benchmarks/cuda/layer_inputs.h"

namespace peft {

// The base alone, with an adapter, and with its gradients.
enum class Way {
  kBase,          // cuBLASLt
  kPeerBase,      // libtorch
  kLt,            // cuBLASLt alone, as kernels/cuda/lt has it
  kOwn,           // our kernels, with cuBLASLt's base for many rows
  kPeer,          // libtorch as PEFT runs it
  kLtTraining,    // cuBLASLt alone
  kPeerTraining,  // libtorch's autograd
};
constexpr int kForwardWays = static_cast<int>(Way::kPeer) + 1;
constexpr int kAllWays = static_cast<int>(Way::kPeerTraining) + 1;

// The side, whose numbers have been compared with what they must be. Null where
// the way is not to be had: without a peer, or for several adapters, whose rows
// neither cuBLASLt alone nor PEFT computes together.
absl::StatusOr<std::unique_ptr<Side>> MakeChecked(const CudaBench& bench,
                                                  const LayerInputs& inputs,
                                                  Way way);

// Seconds by way; NaN where one was not measured.
class WayTimes {
 public:
  explicit WayTimes(std::vector<double> seconds)
      : seconds_(std::move(seconds)) {}

  double seconds(Way way) const { return seconds_[static_cast<int>(way)]; }
  double microseconds(Way way) const { return 1e6 * seconds(way); }
  // What is compared: the faster base, and the faster of our two ways.
  double base() const;
  double ours() const;
  // In percent.
  double over_base() const { return 100 * (ours() / base() - 1); }
  // How many times as long the peer takes as our faster way, and with
  // gradients.
  double speedup() const { return seconds(Way::kPeer) / ours(); }
  double training_speedup() const {
    return seconds(Way::kPeerTraining) / seconds(Way::kLtTraining);
  }

 private:
  std::vector<double> seconds_;
};

}  // namespace peft

#endif  // BENCHMARKS_CUDA_WAYS_H_
