#include "kernels/cuda/lt/grouped_low_rank.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "kernels/cuda/lt/testing/on_test_device.h"
#include "kernels/cuda/lt/testing/reference.h"
#include "kernels/cuda/lt/testing/test_device.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr int64_t kIn = 64;
constexpr int64_t kOut = 48;
constexpr int kRoundings = 3;

// The version that the fake says it is.
constexpr uint64_t kWithGroups = 130400;

struct Group {
  TestMatrix x, a, t, b, y;
};

// Groups of rows with their adapters; each test runs on the fake, and on a GPU
// where there is one.
class GroupedLowRankTest : public OnTestDevice {
 protected:
  void SetUp() override {
    OnTestDevice::SetUp();
    if (IsSkipped()) return;
    SetFake([](auto& settings) { settings.version = kWithGroups; });
  }

  // Changes what the fake says of itself, and opens it anew.
  template <typename Change>
  void SetFake(Change change) {
    cache_.reset();
    handle_.reset();
    if (device()->fake() != nullptr) {
      auto settings = TestDevice::FakeSettings();
      settings.version = kWithGroups;
      change(settings);
      device()->fake()->Set(settings);
      library_ = LtLibrary::Open(device()->fake()->path()).value();
      handle_ = LtHandle::Create(*library_).value();
    }
    const LtHandle& handle = handle_ == nullptr ? device()->handle() : *handle_;
    cache_ = std::make_unique<PlanCache>(handle, LtSettings());
  }

  void AddGroup(int64_t rows, int64_t rank, DType dtype = DType::kBF16,
                int64_t gap = 8) {
    const auto seed = static_cast<uint32_t>(10 * groups_.size());
    Group group;
    group.x = RandomMatrix(device(), dtype, rows, kIn, gap, seed + 1);
    group.a = RandomMatrix(device(), dtype, rank, kIn, 0, seed + 2);
    group.b = RandomMatrix(device(), dtype, kOut, rank, 0, seed + 3);
    group.y = RandomMatrix(device(), dtype, rows, kOut, gap, seed + 4);
    group.t = NanMatrix(device(), dtype, rows, rank, gap);
    groups_.push_back(std::move(group));
  }

  std::vector<LowRankGroup> Spec() const {
    std::vector<LowRankGroup> spec;
    for (const Group& group : groups_) {
      spec.push_back({group.x.device, group.a.device, group.t.device,
                      group.b.device, group.y.device});
    }
    return spec;
  }

  absl::StatusOr<GroupedLowRank> Plan() {
    const std::vector<LowRankGroup> spec = Spec();
    const std::vector<uint64_t> table = GroupedLowRank::Table(spec);
    const auto bytes = static_cast<int64_t>(table.size() * sizeof(table[0]));
    const DevicePtr address = device()->Allocate(bytes + 1);
    device()->Write(address, table.data(), bytes);
    return GroupedLowRank::Plan(cache_.get(), spec, address);
  }

  void ExpectRight(const GroupedLowRank& planned) {
    std::vector<Exact> expected;
    for (const Group& group : groups_) {
      const Exact t = Times(ExactOf(group.x), Transposed(ExactOf(group.a)));
      expected.push_back(
          Plus(ExactOf(group.y), Times(t, Transposed(ExactOf(group.b)))));
    }
    const absl::Status status = planned.Run(device()->stream());
    ASSERT_TRUE(status.ok()) << status;
    for (size_t i = 0; i < groups_.size(); ++i) {
      ExpectNear(device(), &groups_[i].y, expected[i],
                 ToleranceOf(groups_[i].y.device.dtype, kRoundings));
    }
  }

  // Plans all groups: so many launches on the fake, on a GPU as many as its
  // library takes; and what they compute is right.
  void ExpectRightIn(int launches) {
    const auto planned = Plan();
    ASSERT_TRUE(planned.ok()) << planned.status();
    if (device()->fake() != nullptr) {
      EXPECT_EQ(planned->num_launches(), launches);
    }
    ExpectRight(*planned);
  }

  std::vector<Group> groups_;
  std::unique_ptr<LtLibrary> library_;
  std::unique_ptr<LtHandle> handle_;
  std::unique_ptr<PlanCache> cache_;
};

INSTANTIATE_TEST_SUITE_P(Devices, GroupedLowRankTest, ::testing::Bool(),
                         [](const auto& info) {
                           return info.param ? "Gpu" : "Fake";
                         });

TEST_P(GroupedLowRankTest, AllGroupsTakeTwoLaunches) {
  AddGroup(5, 8);
  AddGroup(33, 16);
  AddGroup(1, 24);
  ExpectRightIn(2);
}

TEST_P(GroupedLowRankTest, F16) {
  AddGroup(4, 8, DType::kF16);
  AddGroup(6, 16, DType::kF16);
  ExpectRightIn(2);
}

TEST_P(GroupedLowRankTest, F32TakesTwoLaunchesForEachGroup) {
  AddGroup(4, 8, DType::kF32);
  AddGroup(6, 16, DType::kF32);
  ExpectRightIn(4);
}

TEST_P(GroupedLowRankTest, SoDoesWhatLiesAtOddPlaces) {
  AddGroup(4, 8);
  AddGroup(6, 16, DType::kBF16, /*gap=*/3);
  ExpectRightIn(4);
}

TEST_P(GroupedLowRankTest, SoDoesALibraryThatIsOlder) {
  SetFake([](auto& settings) { settings.version = 130100; });
  AddGroup(4, 8);
  AddGroup(6, 16);
  ExpectRightIn(4);
}

TEST_P(GroupedLowRankTest, SoDoesADeviceWithoutSuchProducts) {
  SetFake([](auto& settings) { settings.grouped = false; });
  AddGroup(4, 8);
  AddGroup(6, 16);
  ExpectRightIn(4);
}

TEST_P(GroupedLowRankTest, NoGroupsAreNothing) {
  const auto planned = Plan();
  ASSERT_TRUE(planned.ok()) << planned.status();
  EXPECT_EQ(planned->num_launches(), 0);
  EXPECT_TRUE(planned->Run(device()->stream()).ok());
}

TEST_P(GroupedLowRankTest, ShapesThatContradictEachOtherAreRefused) {
  AddGroup(4, 8);
  std::vector<LowRankGroup> spec = Spec();
  spec[0].b.cols = 16;
  const auto planned = GroupedLowRank::Plan(cache_.get(), spec, 256);
  EXPECT_EQ(planned.status().code(), absl::StatusCode::kInvalidArgument);
}

// The fake finds what the real library does not look at.
TEST_P(GroupedLowRankTest, TheFakeHoldsEachGroupToTheRules) {
  if (device()->fake() == nullptr) GTEST_SKIP() << "for the fake";
  AddGroup(4, 8);
  AddGroup(6, 16);
  const std::vector<LowRankGroup> spec = Spec();
  std::vector<uint64_t> table = GroupedLowRank::Table(spec);
  table[3 * 2 + 1] = 60;  // the second x's stride, less than its columns
  const auto bytes = static_cast<int64_t>(table.size() * sizeof(table[0]));
  const DevicePtr address = device()->Allocate(bytes);
  device()->Write(address, table.data(), bytes);
  const auto planned = GroupedLowRank::Plan(cache_.get(), spec, address);
  ASSERT_TRUE(planned.ok()) << planned.status();
  ASSERT_TRUE(planned->Run(device()->stream()).ok());
  device()->Check(
      device()->driver()->cuStreamSynchronize(device()->stream().stream));
  const auto defects = device()->fake_cuda()->TakeDefects();
  ASSERT_EQ(defects.size(), 1u);
  EXPECT_EQ(defects[0],
            "group 1: B has a leading dimension of 60, less than its 64 rows");
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
