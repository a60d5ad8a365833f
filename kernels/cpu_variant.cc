#include "kernels/cpu_variant.h"

#include "kernels/cpu/dispatch.h"

namespace peft {
namespace kernels {

const char* CpuVariantName() { return cpu::Kernels().name; }

}  // namespace kernels
}  // namespace peft
