// A kernel for cuda_smoke_test, and what a host program sees of it.
#ifndef TESTING_CUDA_SMOKE_KERNEL_H_
#define TESTING_CUDA_SMOKE_KERNEL_H_

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

namespace peft {

// Starts out[i] = a[i] + b[i] for i < n, all on the device.
cudaError_t LaunchAdd(const __nv_bfloat16* a, const __nv_bfloat16* b,
                      __nv_bfloat16* out, int n);

}  // namespace peft

#endif  // TESTING_CUDA_SMOKE_KERNEL_H_
