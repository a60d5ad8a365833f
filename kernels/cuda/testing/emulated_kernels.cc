#include "kernels/cuda/testing/emulated_kernels.h"

#include <cstdint>
#include <string>
#include <type_traits>

#include "kernels/cuda/kernel_args.h"
#include "kernels/cuda/testing/emulation.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

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

template <typename Args, void (*kKernel)(const Args&)>
std::string Run(const EmulatedLaunch& launch, const void* parameter) {
  return RunThreads(
      launch,
      [](const void* args) { kKernel(*static_cast<const Args*>(args)); },
      parameter);
}

}  // namespace

const std::vector<EmulatedKernel>& EmulatedKernels() {
  static const auto* const kernels = new std::vector<EmulatedKernel>{
#define PEFT_CALL(...) __VA_ARGS__
#define PEFT_KERNEL(name, Args, function) \
  {#name, sizeof(Args), Run<Args, PEFT_CALL function>},
#define PEFT_FUSED_KERNEL(name, function) PEFT_KERNEL(name, FusedArgs, function)
#include "kernels/cuda/device/kernels.inc"
#undef PEFT_FUSED_KERNEL
#undef PEFT_KERNEL
#undef PEFT_CALL
  };
  return *kernels;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
