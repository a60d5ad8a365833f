#include "peft_cc/base/round_up.h"

#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"

namespace peft {
namespace {

TEST(RoundUpTest, GivesTheNextMultipleOrTheValueIfItIsOne) {
  EXPECT_EQ(RoundUp(int64_t{0}, 64), 0);
  EXPECT_EQ(RoundUp(int64_t{1}, 64), 64);
  EXPECT_EQ(RoundUp(int64_t{64}, 64), 64);
  EXPECT_EQ(RoundUp(size_t{65}, 64), size_t{128});
  EXPECT_EQ(RoundUp(7, 3), 9);  // no power of two
}

}  // namespace
}  // namespace peft
