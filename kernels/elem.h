// From views to what the kernels of one instruction set take.
#ifndef KERNELS_ELEM_H_
#define KERNELS_ELEM_H_

#include <cassert>

#include "kernels/cpu/kernel_table.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace kernels {

// dtype must be F32, BF16 or F16, or one of codes.
inline cpu::Elem ElemOf(DType dtype) {
  switch (dtype) {
    case DType::kBF16:
      return cpu::kElemBF16;
    case DType::kF16:
      return cpu::kElemF16;
    case DType::kTable4:
      return cpu::kElemTable4;
    case DType::kQ4:
      return cpu::kElemQ4;
    case DType::kQ8:
      return cpu::kElemQ8;
    default:
      assert(dtype == DType::kF32);
      return cpu::kElemF32;
  }
}

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_ELEM_H_
