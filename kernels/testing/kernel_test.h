// For tests that run once with each of the machine's kernel tables.
#ifndef KERNELS_TESTING_KERNEL_TEST_H_
#define KERNELS_TESTING_KERNEL_TEST_H_

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/emulated_amx.h"

namespace peft {
namespace kernels {

// Use with TEST_P and PEFT_FOR_EACH_KERNEL.
class KernelTest : public testing::TestWithParam<const cpu::KernelTable*> {
 protected:
  KernelTest() { cpu::SetKernelsForTesting(GetParam()); }
  ~KernelTest() override { cpu::SetKernelsForTesting(nullptr); }
};

inline std::string KernelName(
    const testing::TestParamInfo<const cpu::KernelTable*>& info) {
  return info.param->name;
}

// The machine's kernels, and those of AMX on emulated tiles: for tests of
// products.
inline std::vector<const cpu::KernelTable*> ProductKernels() {
  std::vector<const cpu::KernelTable*> tables = cpu::AvailableKernels();
  static const cpu::KernelTable emulated =
      cpu::WithProducts(*tables.front(), cpu::kEmulatedAmxKernels);
  tables.push_back(&emulated);
  return tables;
}

}  // namespace kernels
}  // namespace peft

#define PEFT_FOR_EACH_KERNEL(test)                                 \
  INSTANTIATE_TEST_SUITE_P(                                        \
      Kernels, test,                                               \
      testing::ValuesIn(::peft::kernels::cpu::AvailableKernels()), \
      ::peft::kernels::KernelName)

#define PEFT_FOR_EACH_PRODUCT_KERNEL(test)                                 \
  INSTANTIATE_TEST_SUITE_P(                                                \
      Kernels, test, testing::ValuesIn(::peft::kernels::ProductKernels()), \
      ::peft::kernels::KernelName)

#endif  // KERNELS_TESTING_KERNEL_TEST_H_
