#include "kernels/cuda/lt/adapted_linear.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cuda/lt/pack.h"
#include "kernels/cuda/lt/testing/on_test_device.h"
#include "kernels/cuda/lt/testing/reference.h"
#include "kernels/cuda/lt/testing/test_device.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kRows = 6;
constexpr int64_t kIn = 64;
constexpr int64_t kOut = 48;
// t is rounded as well as y.
constexpr int kRoundings = 3;

struct Layer {
  TestMatrix weight;
  TestMatrix bias;
  TestMatrix b;
  TestMatrix y;
  std::vector<float> out_scale;
  int64_t first_rank = 0;  // of its groups, in the stacked A
};

// Layers that share x, with adapters of random factors; each test runs on the
// fake, and on a GPU where there is one.
class AdaptedLinearTest : public OnTestDevice {
 protected:
  void SetUp() override {
    OnTestDevice::SetUp();
    if (IsSkipped()) return;
    cache_ = std::make_unique<PlanCache>(device()->handle(), LtSettings());
  }

  // x and the stacked A of groups of these ranks, whose ranks all have the
  // group's scale.
  void MakeInput(std::vector<std::pair<int64_t, float>> groups) {
    int64_t ranks = 0;
    for (const auto& group : groups) {
      spec_.groups.push_back({group.first});
      ranks += group.first;
      scales_.insert(scales_.end(), group.first, group.second);
    }
    x_ = RandomMatrix(device(), dtype_, kRows, kIn, 8, 1);
    spec_.x = x_.device;
    if (ranks == 0) return;
    a_ = RandomMatrix(device(), dtype_, ranks, kIn, 0, 2);
    t_ = NanMatrix(device(), dtype_, kRows, ranks, 0);
    spec_.a = a_.device;
    spec_.t = t_.device;
    spec_.rank_scales = PutFloats(device(), scales_);
  }

  // A layer with `count` groups from `first` on.
  void AddOutput(int first, int count, bool transposed = false) {
    Layer layer;
    int64_t before = 0;
    int64_t ranks = 0;
    for (int i = 0; i < first + count; ++i) {
      (i < first ? before : ranks) += spec_.groups[i].rank;
    }
    layer.first_rank = before;
    const auto seed = static_cast<uint32_t>(10 * (layers_.size() + 1));
    layer.weight = RandomMatrix(device(), dtype_, transposed ? kIn : kOut,
                                transposed ? kOut : kIn, 0, seed);
    layer.y = NanMatrix(device(), dtype_, kRows, kOut, 16);
    AdaptedOutput output;
    output.weight = layer.weight.device;
    output.transposed = transposed;
    output.y = layer.y.device;
    output.first_group = first;
    output.num_groups = count;
    if (ranks > 0) {
      layer.b = RandomMatrix(device(), dtype_, kOut, ranks, 0, seed + 1);
      output.b = layer.b.device;
    }
    layers_.push_back(std::move(layer));
    spec_.outputs.push_back(output);
  }

  void AddOutScale(size_t index) {
    Layer& layer = layers_[index];
    for (int i = 0; i < kOut; ++i) layer.out_scale.push_back(0.0625f * i - 1);
    spec_.outputs[index].out_scale = PutFloats(device(), layer.out_scale);
  }

  void AddBias(size_t index) {
    Layer& layer = layers_[index];
    layer.bias = RandomMatrix(device(), dtype_, 1, kOut, 0, 77);
    spec_.outputs[index].bias = layer.bias.device.data;
  }

  // What layer `index` should give, with the scales of now.
  Exact Expected(size_t index) {
    const Layer& layer = layers_[index];
    const AdaptedOutput& output = spec_.outputs[index];
    const Exact x = ExactOf(x_);
    Exact y(kRows, kOut);
    if (output.weight.data != 0) {
      const Exact weight = ExactOf(layer.weight);
      y = Times(x, output.transposed ? weight : Transposed(weight));
    } else {
      y = ExactOf(layer.y);
    }
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t col = 0; col < kOut; ++col) {
        if (output.out_scale != 0) y.at(row, col) *= layer.out_scale[col];
        if (output.bias != 0) y.at(row, col) += layer.bias.at(0, col);
      }
    }
    if (output.num_groups > 0) y = Plus(y, Delta(x, layer));
    return Activated(y, output.activation);
  }

  // ((x A^T) s) B^T.
  Exact Delta(const Exact& x, const Layer& layer) const {
    Exact t = Times(x, Transposed(ExactOf(a_)));
    Exact part(kRows, layer.b.device.cols);
    for (int64_t row = 0; row < part.rows; ++row) {
      for (int64_t col = 0; col < part.cols; ++col) {
        const int64_t rank = layer.first_rank + col;
        part.at(row, col) = t.at(row, rank) * scales_[rank];
      }
    }
    return Times(part, Transposed(ExactOf(layer.b)));
  }

  // Runs all and compares.
  void ExpectResults(int launches) {
    std::vector<Exact> expected;
    for (size_t i = 0; i < layers_.size(); ++i) {
      expected.push_back(Expected(i));
    }
    const auto linear = AdaptedLinear::Plan(cache_.get(), spec_);
    ASSERT_TRUE(linear.ok()) << linear.status();
    if (device()->fake() != nullptr) {
      EXPECT_EQ(linear->num_launches(), launches);
    }
    const absl::Status status = linear->Run(device()->stream());
    ASSERT_TRUE(status.ok()) << status;
    for (size_t i = 0; i < layers_.size(); ++i) {
      ExpectNear(device(), &layers_[i].y, expected[i],
                 ToleranceOf(dtype_, kRoundings));
    }
  }

  DType dtype_ = DType::kBF16;
  std::unique_ptr<PlanCache> cache_;
  TestMatrix x_;
  TestMatrix a_;
  TestMatrix t_;
  std::vector<float> scales_;
  std::vector<Layer> layers_;
  AdaptedLinearSpec spec_;
};

TEST_P(AdaptedLinearTest, AnAdapterTakesThreeLaunches) {
  for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    SCOPED_TRACE(DTypeName(dtype));
    dtype_ = dtype;
    spec_ = {};
    layers_.clear();
    scales_.clear();
    MakeInput({{8, 0.5f}});
    AddOutput(0, 1);
    AddBias(0);
    ExpectResults(3);
  }
}

TEST_P(AdaptedLinearTest, WithoutAdaptersItIsOne) {
  MakeInput({});
  AddOutput(0, 0);
  AddBias(0);
  spec_.outputs[0].activation = GemmActivation::kGeluTanh;
  ExpectResults(1);
}

TEST_P(AdaptedLinearTest, TheActivationActsOnTheSum) {
  for (GemmActivation activation :
       {GemmActivation::kRelu, GemmActivation::kGeluTanh}) {
    spec_ = {};
    layers_.clear();
    scales_.clear();
    MakeInput({{8, 2.0f}});
    AddOutput(0, 1);
    AddBias(0);
    spec_.outputs[0].activation = activation;
    ExpectResults(3);
  }
}

TEST_P(AdaptedLinearTest, LayersThatShareTheirInputShareAThinProduct) {
  MakeInput({{8, 0.5f}, {16, 1.5f}, {8, -1.0f}});
  for (int i = 0; i < 3; ++i) AddOutput(i, 1);
  ExpectResults(7);
}

TEST_P(AdaptedLinearTest, SeveralAdaptersTakeThreeLaunchesAsWell) {
  MakeInput({{8, 0.5f}, {16, 1.5f}, {8, -1.0f}});
  AddOutput(0, 3);
  AddBias(0);
  ExpectResults(3);
}

TEST_P(AdaptedLinearTest, RanksMayHaveScalesOfTheirOwn) {
  MakeInput({{8, 1.0f}});
  spec_.groups[0].uniform = false;
  for (size_t i = 0; i < scales_.size(); ++i) scales_[i] = 0.25f * i - 1;
  spec_.rank_scales = PutFloats(device(), scales_);
  AddOutput(0, 1);
  const auto linear = AdaptedLinear::Plan(cache_.get(), spec_);
  if (absl::IsUnimplemented(linear.status()) && device()->fake() == nullptr) {
    GTEST_SKIP() << "this GPU has no scale per column";
  }
  EXPECT_TRUE(linear->scales_t());
  ExpectResults(3);
}

TEST_P(AdaptedLinearTest, FactorsOfOutputsAreTheBasesAlone) {
  MakeInput({{8, 0.5f}});
  AddOutput(0, 1);
  AddBias(0);
  AddOutScale(0);
  const auto linear = AdaptedLinear::Plan(cache_.get(), spec_);
  if (absl::IsUnimplemented(linear.status()) && device()->fake() == nullptr) {
    GTEST_SKIP() << "this GPU has no scale per column";
  }
  ExpectResults(3);
}

TEST_P(AdaptedLinearTest, AConv1DsWeightIsTransposed) {
  MakeInput({{8, 0.5f}});
  AddOutput(0, 1, /*transposed=*/true);
  ExpectResults(3);
}

TEST_P(AdaptedLinearTest, AddsToWhatTheHostHasComputed) {
  MakeInput({{8, 0.5f}});
  AddOutput(0, 1);
  layers_[0].y = RandomMatrix(device(), dtype_, kRows, kOut, 0, 5);
  spec_.outputs[0].y = layers_[0].y.device;
  spec_.outputs[0].weight = {};
  ExpectResults(2);
}

TEST_P(AdaptedLinearTest, NoRowsAreNoLaunches) {
  MakeInput({{8, 0.5f}});
  AddOutput(0, 1);
  spec_.x.rows = 0;
  const auto linear = AdaptedLinear::Plan(cache_.get(), spec_);
  ASSERT_TRUE(linear.ok()) << linear.status();
  EXPECT_EQ(linear->num_launches(), 0);
  EXPECT_TRUE(linear->Run(device()->stream()).ok());
}

// A graph that was captured once follows scales, and adapters of the same or a
// lower rank that take the place of others.
TEST_P(AdaptedLinearTest, ACapturedGraphFollowsTheAdapters) {
  MakeInput({{8, 0.5f}});
  AddOutput(0, 1);
  const auto linear = AdaptedLinear::Plan(cache_.get(), spec_);
  ASSERT_TRUE(linear.ok()) << linear.status();
  const StreamHandle stream = device()->stream().stream;
  const Driver& driver = device()->driver();
  GraphHandle graph = nullptr;
  GraphExecHandle exec = nullptr;
  // Once outside: libraries load their kernels then.
  ASSERT_TRUE(linear->Run(device()->stream()).ok());
  device()->Check(driver->cuStreamSynchronize(stream));
  device()->Check(driver->cuStreamBeginCapture_v2(stream, kCaptureThreadLocal));
  ASSERT_TRUE(linear->Run(device()->stream()).ok());
  device()->Check(driver->cuStreamEndCapture(stream, &graph));
  device()->Check(driver->cuGraphInstantiateWithFlags(&exec, graph, 0));

  const FactorSlot slot = {dtype_, kIn, kOut, {8}};
  for (int64_t rank : {8, 3, 5}) {
    std::vector<float> a(rank * kIn);
    std::vector<float> b(kOut * rank);
    for (size_t i = 0; i < a.size(); ++i) a[i] = (i * 7 % 13 - 6.0f) / 8;
    for (size_t i = 0; i < b.size(); ++i) b[i] = (i * 5 % 11 - 5.0f) / 8;
    LowRankSegment segment;
    segment.a = {a.data(), DType::kF32, rank, kIn, kIn};
    segment.b = {b.data(), DType::kF32, kOut, rank, rank};
    segment.scale = 0.25f * rank;
    std::vector<char> packed_a(slot.a_bytes());
    std::vector<char> packed_b(slot.b_bytes());
    ASSERT_TRUE(PackFactors(slot, {segment}, packed_a.data(), packed_b.data(),
                            scales_.data())
                    .ok());
    device()->Write(spec_.a.data, packed_a.data(), slot.a_bytes());
    device()->Write(spec_.outputs[0].b.data, packed_b.data(), slot.b_bytes());
    device()->Write(spec_.rank_scales, scales_.data(), slot.scale_bytes());
    a_.Fetch(device());
    layers_[0].b.Fetch(device());

    device()->Check(driver->cuGraphLaunch(exec, stream));
    ExpectNear(device(), &layers_[0].y, Expected(0),
               ToleranceOf(dtype_, kRoundings));
  }
  device()->Check(driver->cuGraphExecDestroy(exec));
  device()->Check(driver->cuGraphDestroy(graph));
}

INSTANTIATE_TEST_SUITE_P(Devices, AdaptedLinearTest, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool>& info) {
                           return info.param ? "Gpu" : "Fake";
                         });

// What only the fake shows.
class FakeAdaptedLinearTest : public AdaptedLinearTest {
 protected:
  // A library without a scale per column.
  void RefuseScalesPerColumn() {
    auto settings = TestDevice::FakeSettings();
    settings.alpha_vector = false;
    device()->fake()->Set(settings);
  }

  absl::Status PlanStatus() {
    return AdaptedLinear::Plan(cache_.get(), spec_).status();
  }
};

TEST_P(FakeAdaptedLinearTest, WithoutScalesPerColumnAdaptersFollowEachOther) {
  RefuseScalesPerColumn();
  MakeInput({{8, 0.5f}, {16, 1.5f}, {8, -1.0f}});
  AddOutput(0, 3);
  spec_.outputs[0].activation = GemmActivation::kRelu;
  ExpectResults(5);
}

TEST_P(FakeAdaptedLinearTest, WithoutThemScalesOfRanksAreLeftToOwnKernels) {
  RefuseScalesPerColumn();
  MakeInput({{8, 0.5f}});
  AddOutput(0, 1);
  ASSERT_TRUE(PlanStatus().ok());
  spec_.groups[0].uniform = false;
  EXPECT_EQ(PlanStatus().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(PlanStatus().message()), HasSubstr("own kernels"));
  spec_.groups[0].uniform = true;
  AddOutScale(0);
  EXPECT_EQ(PlanStatus().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(PlanStatus().message()), HasSubstr("own kernels"));
}

TEST_P(FakeAdaptedLinearTest, KnowsWhatToTune) {
  MakeInput({{8, 0.5f}});
  AddOutput(0, 1);
  const auto linear = AdaptedLinear::Plan(cache_.get(), spec_);
  ASSERT_EQ(linear->gemms().size(), 3u);
  EXPECT_EQ(linear->gemms()[0].n, 8);  // x A^T
  EXPECT_EQ(linear->gemms()[1].k, kIn);
  EXPECT_EQ(linear->gemms()[2].k, 8);  // t B^T
}

TEST_P(FakeAdaptedLinearTest, AWrongShapeIsNamed) {
  const std::pair<const char*, DeviceMatrix AdaptedLinearSpec::*> inputs[] = {
      {"a", &AdaptedLinearSpec::a}, {"t", &AdaptedLinearSpec::t}};
  MakeInput({{8, 0.5f}});
  AddOutput(0, 1);
  const AdaptedLinearSpec good = spec_;
  for (const auto& input : inputs) {
    ++(spec_.*input.second).cols;
    EXPECT_EQ(PlanStatus().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(GetErrorDetails(PlanStatus()).tensor, input.first);
    spec_ = good;
  }
  const std::pair<const char*, DeviceMatrix AdaptedOutput::*> outputs[] = {
      {"weight", &AdaptedOutput::weight}, {"b", &AdaptedOutput::b}};
  for (const auto& output : outputs) {
    ++(spec_.outputs[0].*output.second).rows;
    EXPECT_EQ(GetErrorDetails(PlanStatus()).tensor, output.first);
    spec_ = good;
  }
}

TEST_P(FakeAdaptedLinearTest, RefusesGroupsThatDoNotExist) {
  MakeInput({{8, 0.5f}});
  AddOutput(0, 1);
  for (int first : {-1, 1, 2}) {
    spec_.outputs[0].first_group = first;
    EXPECT_EQ(PlanStatus().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_P(FakeAdaptedLinearTest, RefusesALayerThatComputesNothing) {
  MakeInput({});
  AddOutput(0, 0);
  spec_.outputs[0].weight = {};
  EXPECT_EQ(PlanStatus().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(FakeAdaptedLinearTest, PlansAreSharedByLayersOfOneShape) {
  MakeInput({{8, 0.5f}});
  AddOutput(0, 1);
  AddOutput(0, 1);
  ASSERT_TRUE(PlanStatus().ok());
  // One thin product, one base, one expansion.
  EXPECT_EQ(cache_->stats().misses, 3);
}

INSTANTIATE_TEST_SUITE_P(Fake, FakeAdaptedLinearTest, ::testing::Values(false));

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
