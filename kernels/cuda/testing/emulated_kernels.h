// All kernels of device/kernels.inc, compiled for the CPU.
#ifndef KERNELS_CUDA_TESTING_EMULATED_KERNELS_H_
#define KERNELS_CUDA_TESTING_EMULATED_KERNELS_H_

#include <vector>

#include "kernels/cuda/testing/emulated_kernel.h"

namespace peft {
namespace kernels {
namespace cuda {

// For FakeCudaOptions. Lives as long as the process.
const std::vector<EmulatedKernel>& EmulatedKernels();

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_TESTING_EMULATED_KERNELS_H_
