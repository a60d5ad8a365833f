// How adapted layers run on a CUDA device.
#ifndef PEFT_CC_CUDA_CUDA_OPTIONS_H_
#define PEFT_CC_CUDA_CUDA_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "peft_cc/base/dtype.h"

namespace peft {

struct CudaOptions {
  int device_index = 0;
  DType dtype = DType::kBF16;          // of x, y and weights
  DType adapter_dtype = DType::kBF16;  // of adapters on the device
  bool deterministic = false;          // cuBLASLt splits no sum
  int max_adapters = 2;                // that act together
  int max_rank = 64;                   // the sum of theirs at a layer
  int max_activations = 8;             // kept beside the model's own
  int64_t adapter_bytes = int64_t{256} << 20;
  // What is opened; "": the system's libraries, and the kernels that were built
  // in.
  std::string driver_path = {};
  std::string cublaslt_path = {};
  std::string kernels_path = {};
};

// INVALID_ARGUMENT (ARGUMENT) names the option that cannot be.
absl::Status CheckCudaOptions(const CudaOptions& options);

}  // namespace peft

#endif  // PEFT_CC_CUDA_CUDA_OPTIONS_H_
