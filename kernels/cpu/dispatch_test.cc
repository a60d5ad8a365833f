#include "kernels/cpu/dispatch.h"

#include <string>

#include "gtest/gtest.h"
#include "kernels/cpu/variants.h"

namespace peft {
namespace kernels {
namespace cpu {
namespace {

TEST(DispatchTest, PortableKernelsRunEverywhere) {
  EXPECT_EQ(AvailableKernels().front(), &kPortableKernels);
}

TEST(DispatchTest, TheFastestAreChosen) {
  EXPECT_EQ(&Kernels(), AvailableKernels().back());
}

TEST(DispatchTest, TestsCanChoose) {
  SetKernelsForTesting(&kPortableKernels);
  EXPECT_EQ(std::string(Kernels().name), "portable");
  SetKernelsForTesting(nullptr);
  EXPECT_EQ(&Kernels(), AvailableKernels().back());
}

// A table with a hole would crash only on the machines that choose it.
TEST(DispatchTest, TablesAreComplete) {
  for (const KernelTable* table : AvailableKernels()) {
    const auto* const begin = reinterpret_cast<void* const*>(table);
    for (size_t i = 0; i < sizeof(KernelTable) / sizeof(void*); ++i) {
      EXPECT_NE(begin[i], nullptr) << table->name << " entry " << i;
    }
  }
}

}  // namespace
}  // namespace cpu
}  // namespace kernels
}  // namespace peft
