// A CUDA device with all that adapted layers need there: the driver, our
// kernels and cuBLASLt.
#ifndef PEFT_CC_CUDA_CUDA_BACKEND_H_
#define PEFT_CC_CUDA_CUDA_BACKEND_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/cuda/adapter_kernels.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/driver.h"
#include "kernels/cuda/lt/library.h"
#include "kernels/cuda/lt/plan_cache.h"
#include "peft_cc/cuda/cuda_options.h"

namespace peft {

// Immutable but for its cache of plans, which is thread-safe.
class CudaBackend {
 public:
  // Opens the libraries and the device. FAILED_PRECONDITION (CUDA_DRIVER,
  // CUBLASLT) where one is missing or too old.
  static absl::StatusOr<std::unique_ptr<CudaBackend>> Open(
      const CudaOptions& options);
  CudaBackend(const CudaBackend&) = delete;
  CudaBackend& operator=(const CudaBackend&) = delete;

  const kernels::cuda::Device& device() const { return *device_; }
  const kernels::cuda::AdapterKernels& kernels() const { return *kernels_; }
  kernels::cuda::PlanCache& plans() const { return *plans_; }

 private:
  CudaBackend() = default;
  absl::Status OpenKernels(const std::string& path);
  absl::Status OpenLibrary(const CudaOptions& options);

  // In the order in which each needs what is above it.
  std::unique_ptr<kernels::cuda::Driver> driver_;
  std::unique_ptr<kernels::cuda::Device> device_;
  std::unique_ptr<kernels::cuda::AdapterKernels> kernels_;
  std::unique_ptr<kernels::cuda::LtLibrary> library_;
  std::unique_ptr<kernels::cuda::LtHandle> handle_;
  std::unique_ptr<kernels::cuda::PlanCache> plans_;
};

}  // namespace peft

#endif  // PEFT_CC_CUDA_CUDA_BACKEND_H_
