// From views to what the kernels of one instruction set take.
#ifndef KERNELS_ELEM_H_
#define KERNELS_ELEM_H_

#include <cassert>

#include "kernels/cpu/kernel_table.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {

// dtype must be F32, BF16 or F16.
inline cpu::Elem ElemOf(DType dtype) {
  assert(dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16);
  return dtype == DType::kBF16  ? cpu::kElemBF16
         : dtype == DType::kF16 ? cpu::kElemF16
                                : cpu::kElemF32;
}

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_ELEM_H_
