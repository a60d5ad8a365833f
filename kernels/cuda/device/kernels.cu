// All kernels for the GPU, in one image.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "kernels/cuda/kernel_args.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

#include "kernels/cuda/device/primitives_cuda.inc"
//
#include "kernels/cuda/device/elements.inc"
//
#include "kernels/cuda/device/thin_product.inc"
//
#include "kernels/cuda/device/low_rank.inc"
//
#include "kernels/cuda/device/fused_terms.inc"
//
#include "kernels/cuda/device/fused.inc"
//
#include "kernels/cuda/device/elementwise.inc"

}  // namespace

#define PEFT_CALL(...) __VA_ARGS__
#define PEFT_KERNEL(name, Args, function)                \
  extern "C" __global__ void __launch_bounds__(kThreads) \
      name(const __grid_constant__ Args args) {          \
    PEFT_CALL function(args);                            \
  }
// Two blocks of them run on a multiprocessor at the same time: 128 registers.
#define PEFT_FUSED_KERNEL(name, function)                        \
  extern "C" __global__ void __launch_bounds__(kFusedThreads, 2) \
      name(const __grid_constant__ FusedArgs args) {             \
    PEFT_CALL function(args);                                    \
  }
#include "kernels/cuda/device/kernels.inc"

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
