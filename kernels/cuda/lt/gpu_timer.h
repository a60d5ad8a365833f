// How long the device takes for something, with a cold L2 cache.
#ifndef KERNELS_CUDA_LT_GPU_TIMER_H_
#define KERNELS_CUDA_LT_GPU_TIMER_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/lt/plan.h"
#include "kernels/cuda/lt/workspace.h"

namespace peft {
namespace kernels {
namespace cuda {

struct GpuTimerOptions {
  int repeats = 9;
  // Written before each of them: more than any L2 cache holds, because a model
  // reads each weight once per step.
  int64_t flush_bytes = 128 << 20;
};

// Has a stream of its own. Thread-compatible.
class GpuTimer {
 public:
  // Keeps the device.
  static absl::StatusOr<std::unique_ptr<GpuTimer>> Create(
      const Device& device, const LtSettings& settings,
      const GpuTimerOptions& options = {});
  ~GpuTimer();
  GpuTimer(const GpuTimer&) = delete;
  GpuTimer& operator=(const GpuTimer&) = delete;

  // The median of the seconds that what `launch` puts on stream() takes, after
  // one run that does not count.
  absl::StatusOr<double> Time(absl::FunctionRef<absl::Status()> launch);

  // The same for several that take turns: what changes on the device meanwhile,
  // its clock for one, changes all of them.
  absl::StatusOr<std::vector<double>> TimeInTurns(
      absl::Span<const absl::FunctionRef<absl::Status()>> launches);

  // The same for a plan, on memory of its own: a GemmTimer.
  absl::StatusOr<double> TimePlan(const GemmPlan& plan);

  const LtStream& stream() const { return workspace_.stream(); }

 private:
  GpuTimer(const Device& device, const GpuTimerOptions& options, Stream stream,
           LtWorkspace workspace)
      : device_(device),
        options_(options),
        stream_(std::move(stream)),
        workspace_(std::move(workspace)) {}
  absl::Status Start();
  absl::StatusOr<double> TimeOnce(absl::FunctionRef<absl::Status()> launch);
  // Memory for all operands of a product, kept for the next one.
  absl::StatusOr<GemmPointers> OperandsOf(const Gemm& gemm);

  const Device& device_;
  const GpuTimerOptions options_;
  Stream stream_;
  LtWorkspace workspace_;
  DeviceBuffer flush_;
  DeviceBuffer operands_;
  EventHandle begin_ = nullptr;
  EventHandle end_ = nullptr;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_GPU_TIMER_H_
