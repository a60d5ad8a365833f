// Which kernels run on this machine, for programs that want to say so.
#ifndef KERNELS_CPU_VARIANT_H_
#define KERNELS_CPU_VARIANT_H_

#include <cstdint>

namespace peft {
namespace kernels {

// "portable", "avx2", "avx512": the instruction set of the kernels that were
// chosen. Lives as long as the process. Thread-safe.
const char* CpuVariantName();

// How far ahead they fetch weights for one row on this machine, in bytes.
// Thread-safe.
int64_t CpuBytesAhead();

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CPU_VARIANT_H_
