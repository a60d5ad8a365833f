#include "peft_cc/models/run_layer.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/host_layers.h"
#include "peft_cc/models/model.h"
#include "peft_cc/models/session.h"

namespace peft {
namespace {

Tensor Floats(std::vector<int64_t> shape, const std::vector<float>& values) {
  void* data = nullptr;
  Tensor tensor = *Tensor::Allocate(DType::kF32, std::move(shape), &data);
  std::copy(values.begin(), values.end(), static_cast<float*>(data));
  return tensor;
}

Tensor Ids(std::vector<int64_t> shape, const std::vector<int64_t>& values) {
  void* data = nullptr;
  Tensor tensor = *Tensor::Allocate(DType::kI64, std::move(shape), &data);
  std::copy(values.begin(), values.end(), static_cast<int64_t*>(data));
  return tensor;
}

HostLayer Layer(const std::string& name, SiteKind kind, Tensor weight) {
  HostLayer layer;
  layer.name = name;
  layer.kind = kind;
  layer.weight = std::move(weight);
  return layer;
}

std::unique_ptr<Model> MakeModel() {
  HostLayer linear =
      Layer("linear", SiteKind::kLinear, Floats({2, 3}, {1, 2, 3, 4, 5, 6}));
  linear.bias = Floats({2}, {10, 20});
  HostLayer experts =
      Layer("mlp.up", SiteKind::kParameter, Floats({2, 1, 2}, {1, 2, 3, 4}));
  HostLayer conv =
      Layer("conv", SiteKind::kConvolution, Floats({1, 1, 2}, {1, 10}));
  conv.padding[0] = 1;
  HostLayer norm = Layer("norm", SiteKind::kNorm, Floats({2}, {2, 2}));
  norm.bias = Floats({2}, {0, 1});
  norm.norm_epsilon = 0;
  HostLayer rms = Layer("rms", SiteKind::kNorm, Floats({2}, {1, 1}));
  rms.is_rms_norm = true;
  ModelOptions options;
  options.num_threads = 1;
  return *Model::Create(
      {linear, Layer("conv1d", SiteKind::kConv1D, Floats({2, 1}, {1, 10})),
       Layer("table", SiteKind::kEmbedding, Floats({3, 2}, {1, 2, 3, 4, 5, 6})),
       norm, rms, experts, conv},
      options);
}

struct Result {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

Result Output(const std::string& layer, const Tensor& x, int64_t expert = -1) {
  const absl::StatusOr<Tensor> y = MakeModel()->RunLayer(layer, expert, x);
  EXPECT_TRUE(y.ok()) << y.status();
  if (!y.ok()) return {};
  return {{y->shape().begin(), y->shape().end()}, y->ToF32()};
}

std::string IdOfError(const std::string& layer, const Tensor& x,
                      int64_t expert = -1) {
  return ErrorId(MakeModel()->RunLayer(layer, expert, x).status());
}

TEST(RunLayerTest, LinearKeepsLeadingAxes) {
  const Result y = Output("linear", Floats({2, 1, 3}, {1, 0, 0, 0, 1, 1}));
  EXPECT_EQ(y.shape, (std::vector<int64_t>{2, 1, 2}));
  EXPECT_EQ(y.values, (std::vector<float>{11, 24, 15, 31}));
}

TEST(RunLayerTest, NoRowsGiveNoRows) {
  EXPECT_EQ(Output("linear", Floats({0, 3}, {})).shape,
            (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(Output("conv", Floats({0, 1, 4}, {})).shape,
            (std::vector<int64_t>{0, 1, 5}));
}

TEST(RunLayerTest, Conv1DIsTransposed) {
  EXPECT_EQ(Output("conv1d", Floats({1, 2}, {3, 4})).values,
            (std::vector<float>{43}));
}

TEST(RunLayerTest, EmbeddingTakesIds) {
  const Result y = Output("table", Ids({2, 1}, {2, 0}));
  EXPECT_EQ(y.shape, (std::vector<int64_t>{2, 1, 2}));
  EXPECT_EQ(y.values, (std::vector<float>{5, 6, 1, 2}));
}

TEST(RunLayerTest, EachExpertHasItsMatrix) {
  EXPECT_EQ(Output("mlp.up", Floats({2}, {1, 1}), 0).values[0], 3);
  EXPECT_EQ(Output("mlp.up", Floats({2}, {1, 1}), 1).values[0], 7);
}

TEST(RunLayerTest, ConvolutionsTakeInputsWithAndWithoutBatch) {
  const Result one = Output("conv", Floats({1, 2}, {1, 2}));
  EXPECT_EQ(one.shape, (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(one.values, (std::vector<float>{10, 21, 2}));
  const Result two = Output("conv", Floats({2, 1, 2}, {1, 2, 3, 4}));
  EXPECT_EQ(two.shape, (std::vector<int64_t>{2, 1, 3}));
  EXPECT_EQ(two.values, (std::vector<float>{10, 21, 2, 30, 43, 4}));
}

TEST(RunLayerTest, UnalignedInputIsCopied) {
  std::vector<char> bytes(1 + 3 * sizeof(float));
  const float values[] = {1, 0, 0};
  std::memcpy(bytes.data() + 1, values, sizeof(values));
  const Tensor x(DType::kF32, {3}, bytes.data() + 1, nullptr);
  EXPECT_EQ(Output("linear", x).values, (std::vector<float>{11, 24}));
}

TEST(RunLayerTest, ShapesThatDoNotFitAreNamed) {
  EXPECT_EQ(IdOfError("linear", Floats({2, 2}, {1, 2, 3, 4})),
            error_id::kTensorShapeMismatch);
  EXPECT_EQ(IdOfError("linear", Floats({}, {1})),
            error_id::kTensorShapeMismatch);
  EXPECT_EQ(IdOfError("conv", Floats({2, 2}, {1, 2, 3, 4})),
            error_id::kTensorShapeMismatch);
  EXPECT_EQ(IdOfError("conv", Floats({4}, {1, 2, 3, 4})),
            error_id::kTensorShapeMismatch);
}

TEST(RunLayerTest, DTypesThatDoNotFitAreNamed) {
  EXPECT_EQ(IdOfError("linear", Ids({3}, {1, 2, 3})), error_id::kTensorDType);
  EXPECT_EQ(IdOfError("table", Floats({1}, {1})), error_id::kTensorDType);
}

TEST(RunLayerTest, IdsAreInRange) {
  EXPECT_EQ(IdOfError("table", Ids({1}, {3})), error_id::kTokenOutOfRange);
  EXPECT_EQ(IdOfError("table", Ids({1}, {-1})), error_id::kTokenOutOfRange);
}

TEST(RunLayerTest, UnknownLayersAndExpertsAreNamed) {
  const Tensor x = Floats({2}, {1, 1});
  EXPECT_EQ(IdOfError("mlp", x), error_id::kLayerNotFound);
  EXPECT_EQ(IdOfError("mlp.up", x), error_id::kArgument);
  EXPECT_EQ(IdOfError("mlp.up", x, 2), error_id::kArgument);
  EXPECT_EQ(IdOfError("linear", x, 0), error_id::kArgument);
}

TEST(RunLayerTest, NormsDifferInTheirMean) {
  const Tensor x = Floats({1, 2}, {1, 3});
  const Result layer_norm = Output("norm", x);
  EXPECT_FLOAT_EQ(layer_norm.values[0], -2);
  EXPECT_FLOAT_EQ(layer_norm.values[1], 2 + 1);
  const Result rms_norm = Output("rms", x);
  EXPECT_FLOAT_EQ(rms_norm.values[1], 3 * rms_norm.values[0]);
}

TEST(RunLayerTest, HostModelsHaveNoSessions) {
  const std::unique_ptr<Model> model = MakeModel();
  EXPECT_EQ(ErrorId(Session::Create(*model).status()),
            error_id::kModelNotRunnable);
}

}  // namespace
}  // namespace peft
