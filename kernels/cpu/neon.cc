// The kernels for 64-bit Arm.
#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/variants.h"

#define PEFT_VECTORS "kernels/cpu/vec_neon.inc"

namespace peft {
namespace kernels {
namespace cpu {

#include "kernels/cpu/variant.inc"

const KernelTable kNeonKernels = variant::Table("neon");

}  // namespace cpu
}  // namespace kernels
}  // namespace peft
