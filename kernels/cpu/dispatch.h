// Chooses the kernels for the machine that the program runs on.
#ifndef KERNELS_CPU_DISPATCH_H_
#define KERNELS_CPU_DISPATCH_H_

#include <vector>

#include "kernels/cpu/kernel_table.h"

namespace peft {
namespace kernels {
namespace cpu {

// The fastest kernels that this machine can run, chosen at the first call.
// Thread-safe.
const KernelTable& Kernels();

// All kernels that this machine can run, the slowest first.
std::vector<const KernelTable*> AvailableKernels();

// `base` with the products of `few` or `many`.
KernelTable WithProducts(const KernelTable& base, const FewKernels& few);
KernelTable WithProducts(const KernelTable& base, const ManyKernels& many);

// Makes Kernels() return `table` from now on; null: the fastest again. No
// kernel may be running.
void SetKernelsForTesting(const KernelTable* table);

}  // namespace cpu
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CPU_DISPATCH_H_
