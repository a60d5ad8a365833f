#include "kernels/convolution.h"

#include <cmath>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/testing/random_views.h"

namespace peft {
namespace kernels {
namespace {

constexpr int64_t kBatch = 2;
constexpr int64_t kRank = 4;

int64_t Volume(const ConvAxes& axes) { return axes[0] * axes[1] * axes[2]; }

ConvGeometry Plain(int num_axes) {
  ConvGeometry geometry;
  geometry.num_axes = num_axes;
  geometry.in_channels = 4;
  geometry.out_channels = 6;
  for (int i = 3 - num_axes; i < 3; ++i) geometry.kernel[i] = 2 + i;
  return geometry;
}

// A layer with two low-rank terms, an input factor and a bias, and random x.
class Layer {
 public:
  Layer(const ConvGeometry& geometry, const ConvAxes& input)
      : random_(7),
        geometry_(geometry),
        input_(input),
        output_(ConvOutputSizes(geometry, input)),
        weight_(DType::kBF16, geometry.out_channels,
                geometry.num_columns() / geometry.groups, random_),
        a_(DType::kF32, kRank, geometry.num_columns(), random_),
        b_(DType::kF32, geometry.out_channels, kRank, random_),
        bias_(RandomFloats(geometry.out_channels, random_)),
        in_scale_(RandomFloats(geometry.num_columns(), random_)),
        x_(RandomFloats(kBatch * geometry.in_channels * Volume(input),
                        random_)) {}

  LinearPlan Plan() const {
    LinearPlan plan;
    plan.weight = weight_.view();
    plan.in_scale = {in_scale_.data(), DType::kF32,
                     static_cast<int64_t>(in_scale_.size())};
    plan.stages.push_back({{{a_.view(), b_.view(), 0.5f}}, {}});
    plan.bias = {bias_.data(), DType::kF32, static_cast<int64_t>(bias_.size())};
    return plan;
  }

  std::vector<float> Run(ThreadPool& pool) const {
    const LinearPlan plan = Plan();
    std::vector<float> y(kBatch * geometry_.out_channels * Volume(output_),
                         NAN);
    std::vector<float> workspace(
        ConvolutionWorkspaceFloats(plan, geometry_, kBatch, input_), NAN);
    RunConvolution(plan, geometry_, kBatch, input_, x_.data(), y.data(),
                   workspace.data(), pool);
    return y;
  }

  // The definition, in f64.
  double Expected(int64_t batch, int64_t out, const ConvAxes& at) const {
    const int64_t in_group = geometry_.in_channels / geometry_.groups;
    const int64_t group = out / (geometry_.out_channels / geometry_.groups);
    double sum = bias_[out];
    std::vector<double> thin(kRank, 0.0);
    int64_t column = 0;
    for (int64_t c = 0; c < geometry_.in_channels; ++c) {
      for (int64_t i = 0; i < geometry_.kernel[0]; ++i) {
        for (int64_t j = 0; j < geometry_.kernel[1]; ++j) {
          for (int64_t k = 0; k < geometry_.kernel[2]; ++k, ++column) {
            const double value = InputAt(batch, c, at, {i, j, k});
            for (int64_t r = 0; r < kRank; ++r) {
              thin[r] += value * a_.At(r, column);
            }
            if (c / in_group != group) continue;
            const int64_t first = group * in_group * Volume(geometry_.kernel);
            sum += value * in_scale_[column] * weight_.At(out, column - first);
          }
        }
      }
    }
    for (int64_t r = 0; r < kRank; ++r) sum += 0.5 * thin[r] * b_.At(out, r);
    return sum;
  }

  const ConvAxes& output() const { return output_; }

 private:
  double InputAt(int64_t batch, int64_t channel, const ConvAxes& at,
                 const ConvAxes& offset) const {
    int64_t index = batch * geometry_.in_channels + channel;
    for (int axis = 0; axis < 3; ++axis) {
      const int64_t place = at[axis] * geometry_.stride[axis] -
                            geometry_.padding_begin[axis] +
                            offset[axis] * geometry_.dilation[axis];
      if (place < 0 || place >= input_[axis]) return 0;
      index = index * input_[axis] + place;
    }
    return x_[index];
  }

  Random random_;
  ConvGeometry geometry_;
  ConvAxes input_;
  ConvAxes output_;
  RandomMatrix weight_;
  RandomMatrix a_;
  RandomMatrix b_;
  std::vector<float> bias_;
  std::vector<float> in_scale_;
  std::vector<float> x_;
};

void ExpectDefinition(const ConvGeometry& geometry, const ConvAxes& input) {
  const Layer layer(geometry, input);
  const std::vector<float> y = layer.Run(InlineThreadPool());
  const ConvAxes& output = layer.output();
  ASSERT_GT(Volume(output), 0);
  size_t index = 0;
  for (int64_t batch = 0; batch < kBatch; ++batch) {
    for (int64_t out = 0; out < geometry.out_channels; ++out) {
      for (int64_t i = 0; i < Volume(output); ++i, ++index) {
        const int64_t plane = output[1] * output[2];
        const ConvAxes at = {i / plane, i % plane / output[2], i % output[2]};
        ASSERT_NEAR(y[index], layer.Expected(batch, out, at), 2e-4)
            << "batch " << batch << ", channel " << out << ", position " << i;
      }
    }
  }
}

TEST(ConvolutionTest, OneAxis) { ExpectDefinition(Plain(1), {1, 1, 9}); }

TEST(ConvolutionTest, TwoAxes) { ExpectDefinition(Plain(2), {1, 7, 8}); }

TEST(ConvolutionTest, ThreeAxes) { ExpectDefinition(Plain(3), {4, 5, 6}); }

TEST(ConvolutionTest, StridePaddingAndDilation) {
  ConvGeometry geometry = Plain(2);
  geometry.stride = {1, 2, 3};
  geometry.dilation = {1, 3, 2};
  geometry.padding_begin = {0, 2, 1};
  geometry.padding_end = {0, 1, 4};
  ExpectDefinition(geometry, {1, 11, 9});
}

TEST(ConvolutionTest, GroupsShareNoInputsButInTerms) {
  ConvGeometry geometry = Plain(2);
  geometry.groups = 2;
  geometry.padding_begin = geometry.padding_end = {0, 1, 1};
  ExpectDefinition(geometry, {1, 5, 6});
}

TEST(ConvolutionTest, DepthwiseGroups) {
  ConvGeometry geometry = Plain(1);
  geometry.out_channels = geometry.in_channels = geometry.groups = 4;
  ExpectDefinition(geometry, {1, 1, 8});
}

TEST(ConvolutionTest, SeveralChunksAndThreadsGiveTheSame) {
  ConvGeometry geometry = Plain(2);
  geometry.in_channels = 128;
  const Layer layer(geometry, {1, 24, 24});
  const auto pool = CreateThreadPool(3);
  EXPECT_EQ(layer.Run(InlineThreadPool()), layer.Run(*pool));
  ExpectDefinition(geometry, {1, 24, 24});
}

TEST(ConvGeometryTest, KernelLargerThanTheInputHasNoOutputs) {
  EXPECT_EQ(ConvOutputSizes(Plain(1), {1, 1, 3})[2], 0);
  EXPECT_EQ(ConvOutputSizes(Plain(1), {1, 1, 4})[2], 1);
}

}  // namespace
}  // namespace kernels
}  // namespace peft
