// Which kernels run on this machine, for programs that want to say so.
#ifndef KERNELS_CPU_VARIANT_H_
#define KERNELS_CPU_VARIANT_H_

namespace peft {
namespace kernels {

// "portable", "avx2", "avx512": the instruction set of the kernels that were
// chosen. Lives as long as the process. Thread-safe.
const char* CpuVariantName();

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CPU_VARIANT_H_
