// The AMX kernels with tiles in memory: for tests on any machine.
#ifndef KERNELS_CPU_EMULATED_AMX_H_
#define KERNELS_CPU_EMULATED_AMX_H_

#include "kernels/cpu/kernel_table.h"

namespace peft {
namespace kernels {
namespace cpu {

extern const ManyKernels kEmulatedAmxKernels;

}  // namespace cpu
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CPU_EMULATED_AMX_H_
