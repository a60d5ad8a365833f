#include "kernels/cuda/adapter_kernels.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cuda/testing/emulated_kernels.h"
#include "kernels/cuda/testing/fake_cuda.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

using testing::HasSubstr;

constexpr char kAnyImage[] = "any";

TEST(MakeTilesTest, TilesHoldEachGroupsRowsInOrder) {
  const std::vector<RowTile> tiles =
      MakeTiles(std::vector<RowGroup>{{17, 4, 2}, {0, 6, 1}, {3, 8, 1}});
  ASSERT_EQ(tiles.size(), 3u);
  EXPECT_EQ(tiles[0].num_rows, 16);
  EXPECT_EQ(tiles[1].first_row, 16);
  EXPECT_EQ(tiles[1].num_rows, 1);
  EXPECT_EQ(tiles[1].first_term, 4);
  EXPECT_EQ(tiles[1].num_terms, 2);
  EXPECT_EQ(tiles[2].first_row, 17);
  EXPECT_EQ(tiles[2].num_rows, 3);
  EXPECT_EQ(tiles[2].first_term, 8);
}

class AdapterKernelsTest : public testing::Test {
 protected:
  void Start(FakeCudaOptions options) {
    options.kernels = &EmulatedKernels();
    fake_ = std::make_unique<FakeCuda>(options);
    driver_ = fake_->driver();
    device_ = *Device::Open(*driver_, 0);
  }

  std::unique_ptr<FakeCuda> fake_;
  std::unique_ptr<Driver> driver_;
  std::unique_ptr<Device> device_;
};

TEST_F(AdapterKernelsTest, LibraryWithoutCodeSaysHowToBuildIt) {
  Start({});
  const absl::Status status = AdapterKernels::Load(*device_, nullptr).status();
  EXPECT_EQ(ErrorId(status), "CUDA_DRIVER");
  EXPECT_THAT(std::string(status.message()), HasSubstr("--config=cuda"));
}

TEST_F(AdapterKernelsTest, DeviceWithoutCodeIsNamed) {
  FakeCudaOptions options;
  options.major = 7;
  options.minor = 5;
  options.has_code = false;
  Start(options);
  const absl::Status status =
      AdapterKernels::Load(*device_, kAnyImage).status();
  EXPECT_EQ(ErrorId(status), "CUDA_DRIVER");
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("Fake GPU), of compute capability 7.5"));
}

TEST_F(AdapterKernelsTest, SplitsFillTheDeviceButAreNotTooSmall) {
  FakeCudaOptions options;
  options.multiprocessors = 132;
  Start(options);
  const auto kernels = AdapterKernels::Load(*device_, kAnyImage);
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  EXPECT_EQ((*kernels)->ChooseSplits(4096, 1, 2), 8);
  EXPECT_EQ((*kernels)->ChooseSplits(256, 1, 2), 1);
  EXPECT_EQ((*kernels)->ChooseSplits(4096, 100, 2), 1);
}

TEST_F(AdapterKernelsTest, FusedIsForOneTypeOf16Bits) {
  Start({});
  const auto kernels = AdapterKernels::Load(*device_, kAnyImage);
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  const FusedShape shape = {1, 64, 64, 1, 2};
  const auto may = [&](DType x, DType w) {
    return (*kernels)->PlanFused({x, w}, shape).has_value();
  };
  EXPECT_TRUE(may(DType::kBF16, DType::kBF16));
  EXPECT_TRUE(may(DType::kF16, DType::kF16));
  EXPECT_FALSE(may(DType::kF32, DType::kF32));
  EXPECT_FALSE(may(DType::kBF16, DType::kF32));
}

TEST_F(AdapterKernelsTest, OtherTypesAreRefusedByName) {
  Start({});
  const auto kernels = AdapterKernels::Load(*device_, kAnyImage);
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  ShrinkArgs args;
  args.low_rank.chunks = args.low_rank.num_tiles = 1;
  const absl::Status status =
      (*kernels)->Shrink({DType::kBF16, DType::kF8E4M3}, args, nullptr);
  EXPECT_EQ(ErrorId(status), "UNIMPLEMENTED");
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("shrink for BF16 with F8_E4M3"));
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
