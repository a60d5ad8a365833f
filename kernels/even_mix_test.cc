#include "kernels/even_mix.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace kernels {
namespace {

TEST(EvenMixTest, HasEveryNumberOnceAndEachKindInOrder) {
  for (int64_t hosts = 0; hosts < 30; ++hosts) {
    for (int64_t guests = 0; guests < 70; ++guests) {
      const EvenMix mix(hosts, guests);
      ASSERT_EQ(mix.size(), hosts + guests);
      int64_t next_host = 0;
      int64_t next_guest = hosts;
      for (int64_t place = 0; place < mix.size(); ++place) {
        int64_t& next = mix.IsHost(place) ? next_host : next_guest;
        ASSERT_EQ(mix.At(place), next++) << hosts << " " << guests;
      }
      EXPECT_EQ(next_host, hosts);
      EXPECT_EQ(next_guest, hosts + guests);
    }
  }
}

TEST(EvenMixTest, GuestsAreSpreadEvenlyAfterTheFirstHost) {
  for (int64_t hosts = 1; hosts < 30; ++hosts) {
    for (int64_t guests = 0; guests < 70; ++guests) {
      const EvenMix mix(hosts, guests);
      ASSERT_TRUE(mix.IsHost(0));
      std::vector<int64_t> between;  // guests after each host
      for (int64_t place = 0; place < mix.size(); ++place) {
        if (mix.IsHost(place)) {
          between.push_back(0);
        } else {
          ++between.back();
        }
      }
      const auto [least, most] =
          std::minmax_element(between.begin(), between.end());
      EXPECT_LE(*most - *least, 1) << hosts << " " << guests;
    }
  }
}

}  // namespace
}  // namespace kernels
}  // namespace peft
