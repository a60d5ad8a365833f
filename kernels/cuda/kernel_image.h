// The machine code of our kernels, which a library that was built with
// --config=cuda holds.
#ifndef KERNELS_CUDA_KERNEL_IMAGE_H_
#define KERNELS_CUDA_KERNEL_IMAGE_H_

namespace peft {
namespace kernels {
namespace cuda {

// For cuModuleLoadData; null in a library without CUDA code.
const void* KernelImage();

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_KERNEL_IMAGE_H_
