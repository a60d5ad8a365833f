#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/model_test_util.h"
#include "peft_cc/models/session.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

std::string NewPath() {
  static int count = 0;
  return absl::StrCat(::testing::TempDir(), "/merged-", ++count);
}

std::vector<float> LogitsOf(const Model& model, const std::string& golden) {
  const Golden expected(GoldenModel(golden));
  const auto session = NewSession(model);
  const auto logits = session->Forward(expected.Prompt());
  EXPECT_TRUE(logits.ok()) << logits.status();
  return std::vector<float>(
      logits->data,
      logits->data + logits->batch * logits->positions * logits->vocabulary);
}

// max |a - b| / max |b|.
double RelativeDifference(const std::vector<float>& a,
                          const std::vector<float>& b) {
  double difference = 0;
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = std::max(difference, std::abs(double{a[i]} - b[i]));
    largest = std::max(largest, std::abs(double{b[i]}));
  }
  return difference / largest;
}

class MergedModelTest : public ::testing::TestWithParam<std::string> {};

// Also where head and embedding were tied: the adapter changes only one.
TEST_P(MergedModelTest, OpensWithTheLogitsOfTheMergedModel) {
  const auto model = OpenModel(GoldenModel(GetParam()));
  const std::vector<float> base = LogitsOf(*model, GetParam());
  ASSERT_TRUE(model->LoadAdapter("a", WriteAdapter(0.1f)).ok());
  const std::vector<float> adapted = LogitsOf(*model, GetParam());
  ASSERT_TRUE(model->MergeAdapter().ok());
  const std::vector<float> merged = LogitsOf(*model, GetParam());
  const bool is_half =
      GetParam() == "llama_bf16" || GetParam() == "llama_mixed_dtypes";
  // Rounding of the weights, by half a unit in the last of 8 or 24 bits.
  EXPECT_LT(RelativeDifference(merged, adapted), is_half ? 0x4p-8 : 1e-5);
  EXPECT_NE(merged, base);
  const std::string path = NewPath();
  const absl::Status status = model->MergeAndUnload(path);
  ASSERT_TRUE(status.ok()) << status;
  const auto written = OpenModel(path);
  EXPECT_EQ(LogitsOf(*written, GetParam()), merged);
  EXPECT_FALSE(written->base().has_tied_head());
  EXPECT_TRUE(written->base().notes().empty());
  ASSERT_TRUE(model->Unload().ok());
  EXPECT_TRUE(model->AdapterNames().empty());
  EXPECT_EQ(LogitsOf(*model, GetParam()), base);
}

INSTANTIATE_TEST_SUITE_P(Goldens, MergedModelTest,
                         ::testing::Values("llama", "llama_bf16",
                                           "llama3_old_style",
                                           "llama_mixed_dtypes",
                                           "qwen2_bare_tied",
                                           "qwen2_sliding_sharded"),
                         [](const auto& info) { return info.param; });

TEST(MergedModel, CopiesSmallFilesAndKeepsShards) {
  const std::string base = CopyOfModel("qwen2_sliding_sharded");
  WriteText(base + "/tokenizer.json", "{}");
  WriteText(base + "/adapter_config.json", "{}");
  WriteText(base + "/pytorch_model.bin", "x");
  const auto model = OpenModel(base);
  ASSERT_TRUE(model->LoadAdapter("a", WriteAdapter(0.1f)).ok());
  const std::string path = NewPath();
  ASSERT_TRUE(model->MergeAndUnload(path).ok());
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    names.push_back(entry.path().filename());
  }
  EXPECT_THAT(names, ::testing::UnorderedElementsAre(
                         "config.json", "generation_config.json",
                         "model-00001-of-00004.safetensors",
                         "model-00002-of-00004.safetensors",
                         "model-00003-of-00004.safetensors",
                         "model-00004-of-00004.safetensors",
                         "model.safetensors.index.json", "tokenizer.json"));
  EXPECT_EQ(ReadText(path + "/config.json"), ReadText(base + "/config.json"));
}

TEST(MergedModel, ReportsBytesAndCanBeCancelled) {
  const auto model = OpenModel(GoldenModel("llama"));
  ASSERT_TRUE(model->LoadAdapter("a", WriteAdapter(0.1f)).ok());
  MergedModelOptions options;
  int64_t last = 0;
  options.on_progress = [&](int64_t done, int64_t total) {
    EXPECT_GT(done, last);
    EXPECT_EQ(total, model->base().size_bytes());
    last = done;
    return true;
  };
  ASSERT_TRUE(model->MergeAndUnload(NewPath(), {}, {}, options).ok());
  EXPECT_EQ(last, model->base().size_bytes());
  options.on_progress = [](int64_t, int64_t) { return false; };
  const std::string path = NewPath();
  EXPECT_TRUE(IsError(model->MergeAndUnload(path, {}, {}, options),
                      absl::StatusCode::kCancelled, "CANCELLED",
                      "on_progress"));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(MergedModel, NeverOverwrites) {
  const std::string base = CopyOfModel("llama");
  const auto model = OpenModel(base);
  ASSERT_TRUE(model->LoadAdapter("a", WriteAdapter(0.1f)).ok());
  EXPECT_TRUE(IsError(model->MergeAndUnload(base),
                      absl::StatusCode::kAlreadyExists, "FILE_EXISTS", ""));
}

}  // namespace
}  // namespace peft
