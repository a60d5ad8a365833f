// The kernels without instructions of any special machine.
#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/variants.h"

#define PEFT_VECTORS "kernels/cpu/vec_portable.inc"

namespace peft {
namespace kernels {
namespace cpu {

#include "kernels/cpu/variant.inc"

const KernelTable kPortableKernels = variant::Table("portable");

}  // namespace cpu
}  // namespace kernels
}  // namespace peft
