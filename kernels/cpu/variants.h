// The kernel tables that exist. Use dispatch.h to get one that this machine can
// run.
#ifndef KERNELS_CPU_VARIANTS_H_
#define KERNELS_CPU_VARIANTS_H_

#include "kernels/cpu/kernel_table.h"

namespace peft {
namespace kernels {
namespace cpu {

extern const KernelTable kPortableKernels;
extern const KernelTable kAvx2Kernels;    // x86-64 only
extern const KernelTable kAvx512Kernels;  // x86-64 only
extern const KernelTable kNeonKernels;    // 64-bit Arm only

// On top of kAvx512Kernels.
extern const FewKernels kAvx512VnniKernels;
extern const ManyKernels kAvx512Bf16Kernels;
extern const ManyKernels kAmxKernels;

}  // namespace cpu
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CPU_VARIANTS_H_
