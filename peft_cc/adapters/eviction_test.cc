#include "peft_cc/adapters/eviction.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr AdapterLimit kBytes = {100, 0};
constexpr AdapterLimit kCount = {0, 2};

std::vector<size_t> Evictions(std::vector<Resident> residents,
                              const RoomWanted& wanted,
                              const AdapterLimit& limit) {
  auto evicted = ChooseEvictions(residents, wanted, limit);
  EXPECT_TRUE(evicted.ok()) << evicted.status();
  return *evicted;
}

TEST(EvictionTest, NothingGoesWithoutALimit) {
  EXPECT_THAT(Evictions({{1000, 1, true}}, {1000, 1}, {}), IsEmpty());
}

TEST(EvictionTest, NothingGoesWhileThereIsRoom) {
  EXPECT_THAT(Evictions({{60, 1, true}}, {40, 1}, kBytes), IsEmpty());
  EXPECT_THAT(Evictions({{60, 1, true}}, {40, 1}, kCount), IsEmpty());
}

TEST(EvictionTest, TheLeastLatelyUsedGoFirstAndNoMoreThanNeeded) {
  const std::vector<Resident> residents = {
      {30, 3, true}, {30, 1, true}, {30, 2, true}};
  EXPECT_THAT(Evictions(residents, {20, 1}, kBytes), ElementsAre(1));
  EXPECT_THAT(Evictions(residents, {50, 1}, kBytes), ElementsAre(1, 2));
  EXPECT_THAT(Evictions(residents, {0, 1}, kCount), ElementsAre(1, 2));
}

TEST(EvictionTest, WhatMustStayIsPassedOver) {
  EXPECT_THAT(Evictions({{50, 1, false}, {50, 2, true}}, {50, 1}, kBytes),
              ElementsAre(1));
}

TEST(EvictionTest, SaysWhatWasWantedAndWhatThereIs) {
  const std::vector<Resident> residents = {{70, 1, false}, {20, 2, true}};
  const absl::Status status =
      ChooseEvictions(residents, {40, 1}, kBytes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorId(status), error_id::kAdapterLimit);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("at most 100 bytes"), HasSubstr("40 bytes"),
                    HasSubstr("70 bytes")));
}

TEST(EvictionTest, ALowerLimitNeedsNothingNew) {
  EXPECT_THAT(Evictions({{80, 1, true}, {60, 2, true}}, {}, kBytes),
              ElementsAre(0));
  EXPECT_EQ(ErrorId(ChooseEvictions(std::vector<Resident>{{120, 1, false}}, {},
                                    kBytes)
                        .status()),
            error_id::kAdapterLimit);
}

}  // namespace
}  // namespace peft
