#include "peft_cc/models/layer_replication.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/models/model_test_util.h"
#include "peft_cc/models/session.h"

namespace peft {
namespace {

// Layer 1 twice, and 0 at the end again.
const LayerRanges kRanges = {{0, 2}, {1, 2}, {0, 1}};
constexpr int kSources[] = {0, 1, 1, 0};

std::unique_ptr<Model> OpenReplicated(const std::string& folder,
                                      const LayerRanges& ranges) {
  ModelOptions options;
  options.num_threads = 1;
  options.layer_replication = ranges;
  auto model = Model::Open(folder, options);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

absl::Status OpenFailure(const ModelOptions& options) {
  return Model::Open(GoldenModel("llama"), options).status();
}

// Where the layer's index, of one digit, stands in a tensor's name.
size_t LayerDigit(const std::string& name) {
  for (const std::string prefix : {"layers.", "h."}) {
    const size_t found = name.find(prefix);
    if (found == std::string::npos) continue;
    if (found == 0 || name[found - 1] == '.') return found + prefix.size();
  }
  return std::string::npos;
}

// A copy of a golden model whose files hold each layer of kSources.
std::string WrittenOut(const std::string& golden) {
  const std::string folder = CopyOfModel(golden);
  EditTensors(folder, [](TensorMap& tensors) {
    const TensorMap base = std::move(tensors);
    tensors.clear();
    for (const auto& [name, tensor] : base) {
      const size_t digit = LayerDigit(name);
      if (digit == std::string::npos) {
        tensors.emplace(name, tensor);
        continue;
      }
      for (int i = 0; i < 4; ++i) {
        if (name[digit] != '0' + kSources[i]) continue;
        std::string copy = name;
        copy[digit] = static_cast<char>('0' + i);
        tensors.emplace(std::move(copy), tensor);
      }
    }
  });
  EditConfig(folder, [](Json& config) {
    config[config.contains("n_layer") ? "n_layer" : "num_hidden_layers"] = 4;
    config.erase("layer_types");
  });
  return folder;
}

std::vector<float> LogitsOf(const Model& model, const std::string& golden) {
  const Golden prompt(GoldenModel(golden));
  const auto session = NewSession(model);
  const auto logits = session->Forward(prompt.Prompt());
  EXPECT_TRUE(logits.ok()) << logits.status();
  return std::vector<float>(
      logits->data,
      logits->data + logits->batch * logits->positions * logits->vocabulary);
}

// On every linear layer, another on each.
void AddRandomAdapter(Model& model) {
  const auto report = model.AddAdapter(
      "random",
      R"({"peft_type": "LORA", "r": 2, "init_lora_weights": false,
          "target_modules": "all-linear"})",
      /*seed=*/1);
  EXPECT_TRUE(report.ok()) << report.status();
}

class LayerReplicationTest : public ::testing::TestWithParam<std::string> {};

TEST_P(LayerReplicationTest, RunsAsAModelWithTheLayersInItsFiles) {
  const auto model = OpenReplicated(GoldenModel(GetParam()), kRanges);
  const auto written = OpenModel(WrittenOut(GetParam()));
  EXPECT_EQ(model->base().config().num_hidden_layers, 4);
  EXPECT_EQ(model->sites().module_names(), written->sites().module_names());
  EXPECT_EQ(LogitsOf(*model, GetParam()), LogitsOf(*written, GetParam()));
}

TEST_P(LayerReplicationTest, WeightsAreShared) {
  const auto plain = OpenModel(GoldenModel(GetParam()));
  const auto model = OpenReplicated(GoldenModel(GetParam()), kRanges);
  EXPECT_EQ(model->base().size_bytes(), plain->base().size_bytes());
  EXPECT_EQ(model->base().num_parameters(), plain->base().num_parameters());
}

TEST_P(LayerReplicationTest, TheMergedFolderHoldsEachLayer) {
  const auto model = OpenReplicated(GoldenModel(GetParam()), kRanges);
  AddRandomAdapter(*model);
  ASSERT_TRUE(model->MergeAdapter().ok());
  const std::vector<float> logits = LogitsOf(*model, GetParam());
  const std::string path = ::testing::TempDir() + "/replicated-" + GetParam();
  const absl::Status status = model->MergeAndUnload(path);
  ASSERT_TRUE(status.ok()) << status;
  const auto merged = OpenModel(path);
  EXPECT_EQ(merged->base().config().num_hidden_layers, 4);
  EXPECT_EQ(LogitsOf(*merged, GetParam()), logits);
  EXPECT_TRUE(merged->base().notes().empty());
}

INSTANTIATE_TEST_SUITE_P(Goldens, LayerReplicationTest,
                         ::testing::Values("llama", "qwen2_bare_tied", "gpt2"),
                         [](const auto& info) { return info.param; });

TEST(LayerReplicationOfWindowsTest, LayersKeepTheirs) {
  const std::string folder = GoldenModel("qwen2_sliding_sharded");
  const auto model = OpenReplicated(folder, kRanges);
  std::vector<int64_t> windows;
  for (const Op& op : model->base().description().ops) {
    if (op.kind == OpKind::kAttention) {
      windows.push_back(op.attention.sliding_window);
    }
  }
  EXPECT_EQ(windows, (std::vector<int64_t>{0, 3, 3, 0}));
  const std::string path = ::testing::TempDir() + "/replicated-windows";
  AddRandomAdapter(*model);
  ASSERT_TRUE(model->MergeAdapter().ok());
  ASSERT_TRUE(model->MergeAndUnload(path).ok());
  const auto merged = OpenModel(path);
  EXPECT_EQ(LogitsOf(*merged, "qwen2_sliding_sharded"),
            LogitsOf(*model, "qwen2_sliding_sharded"));
}

TEST(LayerReplicationErrorsTest, LayersThatAreNotThereAreRefused) {
  for (const LayerRanges& ranges :
       {LayerRanges{{0, 3}}, {{-1, 1}}, {{2, 1}}, {{1, 1}}}) {
    ModelOptions options;
    options.layer_replication = ranges;
    EXPECT_TRUE(IsError(OpenFailure(options),
                        absl::StatusCode::kInvalidArgument,
                        error_id::kLayerReplication, "2 layers"));
  }
}

TEST(LayerReplicationErrorsTest, MoreLayersThanAnyModelHasAreRefused) {
  ModelOptions options;
  options.layer_replication = LayerRanges(1 << 20, LayerRange{0, 2});
  EXPECT_TRUE(IsError(OpenFailure(options), absl::StatusCode::kInvalidArgument,
                      error_id::kLayerReplication, "more than 4096 layers"));
}

std::string AdapterWithRanges(const Json& ranges) {
  const std::string folder = CopyOfFolder(WriteAdapter(1));
  const std::string path = folder + "/adapter_config.json";
  Json config = *ParseJson(ReadText(path), "config");
  config["layer_replication"] = ranges;
  WriteText(path, DumpJson(config));
  return folder;
}

TEST(LayerReplicationOfAdaptersTest, OpensTheModelThatTheyNeed) {
  ModelOptions options;
  options.for_adapters = {WriteAdapter(1), AdapterWithRanges({{0, 2}, {1, 2}})};
  const auto model = Model::Open(GoldenModel("llama"), options);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->sites().layer_replication(),
            (LayerRanges{{0, 2}, {1, 2}}));
}

TEST(LayerReplicationOfAdaptersTest, TwoThatDifferAreRefused) {
  ModelOptions options;
  options.for_adapters = {AdapterWithRanges({{0, 2}, {1, 2}}),
                          AdapterWithRanges({{0, 2}, {0, 2}})};
  EXPECT_TRUE(IsError(OpenFailure(options),
                      absl::StatusCode::kFailedPrecondition,
                      error_id::kLayerReplication, "cannot have both"));
}

TEST(LayerReplicationOfAdaptersTest, APlainModelRefusesTheAdapter) {
  const auto model = OpenModel(GoldenModel("llama"));
  const absl::Status status =
      model->LoadAdapter("a", AdapterWithRanges({{0, 2}, {1, 2}})).status();
  EXPECT_TRUE(IsError(status, absl::StatusCode::kFailedPrecondition,
                      error_id::kLayerReplication, "[[0, 2], [1, 2]]"));
  EXPECT_TRUE(model->AdapterNames().empty());
}

}  // namespace
}  // namespace peft
