#include "benchmarks/cuda/torch_side.h"

#include <cmath>

#include "benchmarks/cuda/fake_bench.h"
#include "benchmarks/cuda/layer_inputs.h"
#include "benchmarks/cuda/report.h"
#include "gtest/gtest.h"

namespace peft {
namespace {

// libtorch on the CPU, on the fake device's memory.
class TorchSideTest : public ::testing::Test {
 protected:
  TorchSideTest() {
    TorchPlace place;
    place.gpu = false;
    place.stream = fake_.device().stream().stream;
    place.address = [this](kernels::cuda::DevicePtr address, int64_t bytes) {
      return fake_.device().fake_cuda()->Resolve(address, bytes);
    };
    peer_ = TorchPeer(place);
  }

  FakeBench fake_;
  MakeSide peer_;
  Report report_;
};

TEST_F(TorchSideTest, ComputesWhatAllSidesDo) {
  const absl::Status status =
      MeasureSingleLayers(fake_.With(peer_), SmallLayers(), report_);
  ASSERT_TRUE(status.ok()) << status;
  for (const auto& row : report_.tables()[0].rows) {
    for (double number : row) EXPECT_FALSE(std::isnan(number));
  }
}

TEST_F(TorchSideTest, ComputesLayersThatShareTheirInput) {
  const absl::Status status =
      MeasureDecodeSteps(fake_.With(peer_), SmallSteps(), report_);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_FALSE(std::isnan(report_.tables()[0].rows[0][8]));
  EXPECT_TRUE(std::isnan(report_.tables()[0].rows[2][8]));  // many adapters
}

// Each run begins anew: gradients are not those of all runs together.
TEST_F(TorchSideTest, GradientsAreThoseOfOneRun) {
  const CudaBench bench = fake_.With(peer_);
  LayerShape shape;
  shape.rows = 3;
  shape.in = 16;
  shape.outs = {24};
  shape.rank = 8;
  const auto inputs = LayerInputs::Create(bench, shape, true, 1).value();
  const auto side = peer_(*inputs, Work::kTraining).value();
  for (int i = 0; i < 3; ++i) {
    const absl::Status status =
        CheckSide(*inputs, Work::kTraining, "libtorch", *side);
    EXPECT_TRUE(status.ok()) << status;
  }
}

}  // namespace
}  // namespace peft
