#include "kernels/cuda/kernel_image.h"

#ifdef PEFT_CUDA_IMAGE
// Of device/kernels.cu, as testing/cuda_library.bzl embeds it.
extern "C" const unsigned long long peft_cuda_image[];  // NOLINT: bin2c's type
#endif

namespace peft {
namespace kernels {
namespace cuda {

const void* KernelImage() {
#ifdef PEFT_CUDA_IMAGE
  return peft_cuda_image;
#else
  return nullptr;
#endif
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
