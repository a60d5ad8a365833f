// A kernel that was compiled for the CPU, as a fake driver finds it.
#ifndef KERNELS_CUDA_TESTING_EMULATED_KERNEL_H_
#define KERNELS_CUDA_TESTING_EMULATED_KERNEL_H_

#include <cstddef>
#include <string>

namespace peft {
namespace kernels {
namespace cuda {

// How a kernel is started. One dimension of threads, as all ours have.
struct EmulatedLaunch {
  unsigned grid[3] = {1, 1, 1};
  unsigned threads = 1;
  unsigned shared_bytes = 0;  // besides what the kernel declares
  // All blocks run at the same time and may wait for each other.
  bool cooperative = false;
  bool backwards = false;
};

// `run` runs all threads of all blocks. Returns "", or what went wrong, as when
// threads wait for others that have ended.
struct EmulatedKernel {
  std::string name;
  size_t parameter_bytes = 0;  // of its only parameter
  std::string (*run)(const EmulatedLaunch& launch,
                     const void* parameter) = nullptr;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_TESTING_EMULATED_KERNEL_H_
