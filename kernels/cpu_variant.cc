#include "kernels/cpu_variant.h"

#include "kernels/cpu/dispatch.h"

namespace peft {
namespace kernels {

const char* CpuVariantName() { return cpu::Kernels().name; }

int64_t CpuBytesAhead() { return cpu::Kernels().bytes_ahead; }

}  // namespace kernels
}  // namespace peft
