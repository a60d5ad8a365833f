#include "kernels/cuda/lt/gpu_timer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "peft_cc/base/dtype.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/round_up.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr int64_t kAlignment = 256;

// Bytes of a matrix of which `rows` rows are stored, up to where the next
// operand may begin.
int64_t BytesOf(const GemmMatrix& matrix, int64_t rows) {
  const int64_t bytes = rows * matrix.stride * DTypeSize(matrix.dtype);
  return RoundUp(bytes, kAlignment);
}

double MedianOf(std::vector<double> numbers) {
  const auto middle = numbers.begin() + numbers.size() / 2;
  std::nth_element(numbers.begin(), middle, numbers.end());
  return *middle;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GpuTimer>> GpuTimer::Create(
    const Device& device, const LtSettings& settings,
    const GpuTimerOptions& options) {
  PEFT_ASSIGN_OR_RETURN(Stream stream, device.CreateStream());
  PEFT_ASSIGN_OR_RETURN(LtWorkspace workspace,
                        LtWorkspace::Create(device, stream.handle(), settings));
  auto timer = absl::WrapUnique(
      new GpuTimer(device, options, std::move(stream), std::move(workspace)));
  PEFT_RETURN_IF_ERROR(timer->Start());
  return timer;
}

absl::Status GpuTimer::Start() {
  PEFT_ASSIGN_OR_RETURN(
      flush_, device_.Allocate(options_.flush_bytes, "flushing the L2 cache"));
  for (EventHandle* event : {&begin_, &end_}) {
    PEFT_RETURN_IF_ERROR(device_.Call("creating a CUDA event",
                                      &DriverTable::cuEventCreate, event,
                                      kEventDefault));
  }
  return absl::OkStatus();
}

GpuTimer::~GpuTimer() {
  const DeviceScope scope(device_);
  for (EventHandle event : {begin_, end_}) {
    if (event != nullptr) device_.driver()->cuEventDestroy_v2(event);
  }
}

absl::StatusOr<double> GpuTimer::TimeOnce(
    absl::FunctionRef<absl::Status()> launch) {
  const Driver& driver = device_.driver();
  const StreamHandle stream = stream_.handle();
  const auto check = [&driver](Result result) {
    return driver.Check(result, "measuring time on the device");
  };
  PEFT_RETURN_IF_ERROR(check(
      driver->cuMemsetD8Async(flush_.address(), 0, flush_.bytes(), stream)));
  PEFT_RETURN_IF_ERROR(check(driver->cuEventRecord(begin_, stream)));
  PEFT_RETURN_IF_ERROR(launch());
  PEFT_RETURN_IF_ERROR(check(driver->cuEventRecord(end_, stream)));
  PEFT_RETURN_IF_ERROR(check(driver->cuEventSynchronize(end_)));
  float milliseconds = 0;
  PEFT_RETURN_IF_ERROR(
      check(driver->cuEventElapsedTime(&milliseconds, begin_, end_)));
  return 1e-3 * milliseconds;
}

absl::StatusOr<double> GpuTimer::Time(
    absl::FunctionRef<absl::Status()> launch) {
  PEFT_ASSIGN_OR_RETURN(const std::vector<double> seconds,
                        TimeInTurns({launch}));
  return seconds[0];
}

absl::StatusOr<std::vector<double>> GpuTimer::TimeInTurns(
    absl::Span<const absl::FunctionRef<absl::Status()>> launches) {
  const DeviceScope scope(device_);
  PEFT_RETURN_IF_ERROR(scope.status());
  // Kernels are loaded when they run first.
  for (const auto& launch : launches) {
    PEFT_RETURN_IF_ERROR(TimeOnce(launch).status());
  }
  std::vector<std::vector<double>> seconds(launches.size());
  for (int i = 0; i < options_.repeats; ++i) {
    for (size_t j = 0; j < launches.size(); ++j) {
      PEFT_ASSIGN_OR_RETURN(const double once, TimeOnce(launches[j]));
      seconds[j].push_back(once);
    }
  }
  std::vector<double> medians;
  for (std::vector<double>& all : seconds) {
    medians.push_back(MedianOf(std::move(all)));
  }
  return medians;
}

absl::StatusOr<GemmPointers> GpuTimer::OperandsOf(const Gemm& gemm) {
  const int64_t left =
      BytesOf(gemm.left, gemm.left.transposed ? gemm.k : gemm.m);
  const int64_t right =
      BytesOf(gemm.right, gemm.right.transposed ? gemm.n : gemm.k);
  const int64_t out = BytesOf(gemm.out, gemm.m);
  // The bias, and then a scale for each column.
  const int64_t columns = BytesOf({DType::kF32, gemm.n, kAlignment, false}, 1);
  const int64_t bytes = left + right + out + 2 * columns;
  if (static_cast<int64_t>(operands_.bytes()) < bytes) {
    // The old memory goes first: there may be no room for both.
    operands_ = DeviceBuffer();
    PEFT_ASSIGN_OR_RETURN(operands_,
                          device_.Allocate(bytes, "operands to time"));
  }
  const Driver& driver = device_.driver();
  PEFT_RETURN_IF_ERROR(driver.Check(
      driver->cuMemsetD8Async(operands_.address(), 0, bytes, stream_.handle()),
      "clearing operands to time"));
  GemmPointers pointers;
  pointers.left = operands_.address();
  pointers.right = pointers.left + left;
  pointers.out = pointers.right + right;
  if (gemm.bias_alignment != 0) pointers.bias = pointers.out + out;
  if (gemm.scale != GemmScale::kOne) {
    pointers.scale = pointers.out + out + columns;
  }
  return pointers;
}

absl::StatusOr<double> GpuTimer::TimePlan(const GemmPlan& plan) {
  const DeviceScope scope(device_);
  PEFT_RETURN_IF_ERROR(scope.status());
  PEFT_ASSIGN_OR_RETURN(const GemmPointers pointers, OperandsOf(plan.gemm()));
  return Time([&] { return plan.Run(stream(), pointers); });
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
