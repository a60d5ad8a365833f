#include "peft_cc/base/huge_pages.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace {

TEST(PreferHugePages, ChangesNothingThatIsThere) {
  std::vector<char> memory(5 * kHugePage + 12345, 'x');
  PreferHugePages(memory.data() + 7, memory.size() - 7);
  EXPECT_EQ(memory, std::vector<char>(memory.size(), 'x'));
}

TEST(PreferHugePages, TakesAnySize) {
  for (const size_t size : {size_t{0}, size_t{1}, kHugePage - 1, kHugePage,
                            kHugePage + 1, 2 * kHugePage}) {
    const auto memory = std::make_unique<char[]>(size);
    PreferHugePages(memory.get(), size);
    std::memset(memory.get(), 1, size);
  }
  PreferHugePages(nullptr, 0);
}

TEST(AllocateBlock, StartsWhereHugePagesDoIfItFillsOne) {
  for (const uint64_t size : {uint64_t{1}, uint64_t{kHugePage - 1},
                              uint64_t{kHugePage}, 3 * kHugePage + 5}) {
    const std::shared_ptr<uint8_t> block = AllocateBlock(size);
    ASSERT_NE(block, nullptr);
    std::memset(block.get(), 1, size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block.get()) %
                  (size < kHugePage ? 64 : kHugePage),
              0u);
  }
}

#ifdef __GLIBC__
// Used memory would stay in the small pages that it was used in.
TEST(AllocateBlock, LeavesThePagesOfUsedMemory) {
  constexpr size_t kSize = 2 * kHugePage;
  mallopt(M_MMAP_THRESHOLD, 16 * kHugePage);
  mallopt(M_TRIM_THRESHOLD, 64 * kHugePage);
  std::vector<char>(8 * kHugePage, 'x');
  const std::shared_ptr<uint8_t> block = AllocateBlock(kSize);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(std::count(block.get(), block.get() + kSize, 'x'), 0);
}
#endif

TEST(AllocateBlock, SaysWhenMemoryIsOut) {
  EXPECT_EQ(AllocateBlock(UINT64_MAX), nullptr);
}

}  // namespace
}  // namespace peft
