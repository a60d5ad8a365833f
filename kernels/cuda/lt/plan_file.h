// What tuning has found, as a file: a table of flatbuffers (plan_file.fbs).
#ifndef KERNELS_CUDA_LT_PLAN_FILE_H_
#define KERNELS_CUDA_LT_PLAN_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/cuda/lt/descriptors.h"
#include "kernels/cuda/lt/plan_cache.h"

namespace peft {
namespace kernels {
namespace cuda {

// Where tuned algorithms are valid: nowhere but where they were found.
struct TuningPlace {
  std::string device;  // its name, as the driver says it
  int compute_major = 0;
  int compute_minor = 0;
  int num_multiprocessors = 0;
  int64_t library_version = 0;  // LtLibrary::version()
  LtSettings settings;
};

// The largest file that is read, and the most plans that it may hold.
constexpr int64_t kMaxPlanFileBytes = 16 << 20;
constexpr int64_t kMaxPlanFilePlans = 32768;

// The bytes of a file. INVALID_ARGUMENT (ARGUMENT) for more than it may hold.
absl::StatusOr<std::string> WritePlans(const TuningPlace& place,
                                       const TunedAlgos& tuned);

// What the bytes of a file hold. INVALID_ARGUMENT (CUDA_PLANS) for bytes that
// are no such file or break a rule of it, FAILED_PRECONDITION (CUDA_PLANS) for
// one of another device, version of the library or settings; the message says
// which. The library checks each algorithm once more before it is used.
absl::StatusOr<TunedAlgos> ReadPlans(const TuningPlace& place,
                                     absl::string_view bytes);

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_PLAN_FILE_H_
