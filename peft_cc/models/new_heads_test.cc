// Models opened for a task whose head their files lack. What they compute is
// compared with transformers and PEFT in //testing/new_heads.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/models/model_test_util.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr char kGpt2[] = "peft_cc/models/testdata/heads/gpt2_lm";
constexpr char kBert[] = "peft_cc/models/testdata/heads/bert_masked_lm";

absl::StatusOr<std::unique_ptr<Model>> OpenFor(
    const std::string& folder, std::optional<ModelTask> task,
    int64_t num_labels = 0, std::vector<std::string> for_adapters = {}) {
  ModelOptions options;
  options.num_threads = 1;
  options.head.task = task;
  options.head.num_labels = num_labels;
  options.for_adapters = std::move(for_adapters);
  return Model::Open(folder, options);
}

// A folder with a LoRA adapter of rank 1 for the model in kGpt2, and a head
// with `labels` rows of sevens.
std::string WriteClassifier(int64_t labels) {
  const std::string folder = WriteAdapter(1);
  WriteText(folder + "/adapter_config.json",
            R"({"peft_type": "LORA", "r": 1, "task_type": "SEQ_CLS",
                "target_modules": ["c_attn"],
                "modules_to_save": ["classifier", "score"]})");
  TensorMap tensors;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape,
                       float value) {
    void* data = nullptr;
    Tensor& tensor = tensors["base_model.model." + name];
    tensor = *Tensor::Allocate(DType::kF32, std::move(shape), &data);
    float* const values = static_cast<float*>(data);
    std::fill(values, values + tensor.num_elements(), value);
  };
  for (int layer = 0; layer < 2; ++layer) {
    const std::string module =
        absl::StrCat("transformer.h.", layer, ".attn.c_attn.lora_");
    add(module + "A.weight", {1, 16}, 0);
    add(module + "B.weight", {48, 1}, 0);
  }
  add("score.weight", {labels, 16}, 7);
  EXPECT_TRUE(
      WriteSafetensors(folder + "/adapter_model.safetensors", tensors, {})
          .ok());
  return folder;
}

TEST(NewHeadsTest, AHeadThatTheFilesLackIsANote) {
  const auto model = OpenFor(kGpt2, ModelTask::kSequenceClassification, 3);
  ASSERT_TRUE(model.ok()) << model.status();
  const BaseModel& base = (*model)->base();
  EXPECT_EQ(base.config().architecture, "GPT2ForSequenceClassification");
  EXPECT_EQ(base.config().num_labels, 3);
  EXPECT_THAT(base.fresh_weights(), ElementsAre("score.weight"));
  EXPECT_THAT((*model)->notes(),
              ElementsAre(HasSubstr("lack \"score.weight\" of "
                                    "GPT2ForSequenceClassification: made "
                                    "anew")));
}

TEST(NewHeadsTest, OfAMaskedLmAllButTheTiedWeightIsMade) {
  const std::string bare =
      CopyOfFolder("peft_cc/models/testdata/heads/bert_bare");
  const auto model = OpenFor(bare, ModelTask::kMaskedLm);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_THAT((*model)->base().fresh_weights(),
              ElementsAre("cls.predictions.transform.dense.weight",
                          "cls.predictions.transform.dense.bias",
                          "cls.predictions.transform.LayerNorm.weight",
                          "cls.predictions.transform.LayerNorm.bias",
                          "cls.predictions.decoder.bias"));
}

TEST(NewHeadsTest, AModelMayBeOpenedWithoutTheHeadThatItHas) {
  const auto model = OpenFor(kBert, ModelTask::kBase);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->base().config().architecture, "BertModel");
  EXPECT_THAT((*model)->base().fresh_weights(), ElementsAre());
}

TEST(NewHeadsTest, OnlyTheHeadMayBeMissing) {
  const std::string folder = CopyOfFolder(kGpt2);
  EditTensors(folder, [](TensorMap& tensors) {
    tensors.erase("transformer.ln_f.weight");
  });
  EXPECT_TRUE(IsError(OpenFor(folder, ModelTask::kTokenClassification).status(),
                      kInvalid, "TENSOR_MISSING", "ln_f.weight"));
}

TEST(NewHeadsTest, TheAdapterSaysTheLabelsThatConfigJsonDoesNot) {
  const std::string adapter = WriteClassifier(5);
  const auto labels = [&](const std::string& folder, int64_t num_labels) {
    const auto model = OpenFor(folder, ModelTask::kSequenceClassification,
                               num_labels, {adapter});
    EXPECT_TRUE(model.ok()) << model.status();
    return (*model)->base().config().num_labels;
  };
  EXPECT_EQ(labels(kGpt2, 0), 5);
  EXPECT_EQ(labels(kGpt2, 4), 4);
  const std::string folder = CopyOfFolder(kGpt2);
  EditConfig(folder, [](Json& config) { config["num_labels"] = 6; });
  EXPECT_EQ(labels(folder, 0), 6);
}

TEST(NewHeadsTest, AnAdapterReplacesTheHead) {
  const auto model = OpenFor(kGpt2, ModelTask::kSequenceClassification, 3);
  ASSERT_TRUE(model.ok()) << model.status();
  const auto report = (*model)->LoadAdapter("a", WriteClassifier(3));
  ASSERT_TRUE(report.ok()) << report.status();
  for (const ReportLine& line : report->lines) {
    EXPECT_THAT(line.detail, ::testing::Not(HasSubstr("untrained")));
  }
  const std::vector<int64_t> ids = {1, 2, 3};
  ForwardInput input;
  input.ids = ids.data();
  input.batch = 1;
  input.length = 3;
  const auto session = NewSession(**model);
  const auto logits = session->Forward(input);
  ASSERT_TRUE(logits.ok()) << logits.status();
  ASSERT_EQ(logits->vocabulary, 3);
  EXPECT_EQ(logits->data[0], logits->data[1]);
  EXPECT_EQ(logits->data[0], logits->data[2]);
}

TEST(NewHeadsTest, AnAdapterWithoutTheHeadIsReported) {
  const auto model = OpenFor(kGpt2, ModelTask::kSequenceClassification);
  ASSERT_TRUE(model.ok()) << model.status();
  const std::string folder = WriteClassifier(2);
  EditTensors(
      folder,
      [](TensorMap& tensors) {
        tensors.erase("base_model.model.score.weight");
      },
      "adapter_model.safetensors");
  WriteText(folder + "/adapter_config.json",
            R"({"peft_type": "LORA", "r": 1, "target_modules": ["c_attn"]})");
  const auto report = (*model)->LoadAdapter("a", folder);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->lines.back().name, "score.weight");
  EXPECT_THAT(report->lines.back().detail, HasSubstr("untrained"));
}

TEST(NewHeadsTest, WithoutTheTaskTheErrorSaysHowToOpenTheBase) {
  const auto model = OpenModel(kGpt2);
  EXPECT_TRUE(
      IsError(model->LoadAdapter("a", WriteClassifier(5)).status(), kInvalid,
              "TENSOR_UNEXPECTED",
              "open the base model with the task sequence-classification and "
              "num_labels 5 (options.task, options.num_labels; "));
}

TEST(NewHeadsTest, AnotherNumberOfLabelsNamesBoth) {
  const auto model = OpenFor(kGpt2, ModelTask::kSequenceClassification, 3);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE(IsError((*model)->LoadAdapter("a", WriteClassifier(5)).status(),
                      kInvalid, "TENSOR_SHAPE_MISMATCH",
                      "the model has 3 labels and the adapter 5; open the base "
                      "model with num_labels 5"));
}

TEST(NewHeadsTest, LabelsOfWhatHasNoneAreAnError) {
  EXPECT_TRUE(IsError(OpenFor(kGpt2, std::nullopt, 3).status(), kInvalid,
                      "ARGUMENT", "the model is a GPT2LMHeadModel"));
  EXPECT_TRUE(IsError(OpenFor(kBert, ModelTask::kBase, 3).status(), kInvalid,
                      "ARGUMENT", "num_labels is 3"));
  for (const int64_t labels : {int64_t{-1}, (int64_t{1} << 24) + 1}) {
    EXPECT_TRUE(IsError(
        OpenFor(kBert, ModelTask::kTokenClassification, labels).status(),
        kInvalid, "ARGUMENT", "expected 0 to 16777216"));
  }
}

TEST(NewHeadsTest, AMergedFolderIsAModelOfTheTask) {
  const auto model = OpenFor(kGpt2, ModelTask::kSequenceClassification, 3);
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_TRUE((*model)->LoadAdapter("a", WriteClassifier(3)).ok());
  const std::string path =
      absl::StrCat(::testing::TempDir(), "/a_merged_classifier");
  ASSERT_TRUE((*model)->MergeAndUnload(path).ok());
  const auto merged = OpenModel(path);
  EXPECT_EQ(merged->base().config().architecture,
            "GPT2ForSequenceClassification");
  EXPECT_EQ(merged->base().config().num_labels, 3);
  EXPECT_TRUE(merged->notes().empty());
  EXPECT_EQ(merged->base().files().tensors.at("score.weight").ToF32(),
            std::vector<float>(48, 7.0f));
  EXPECT_EQ(merged->base().files().tensors.count("lm_head.weight"), 0u);
}

// The folder, below the test's, of a GPT-2 with a new adapter merged into it.
std::string MergedWithNewAdapter(Model& model, absl::string_view name) {
  const absl::Status added =
      model
          .AddAdapter(
              "a", R"({"peft_type": "LORA", "target_modules": ["c_attn"]})", 0)
          .status();
  EXPECT_TRUE(added.ok()) << added;
  const std::string path = absl::StrCat(::testing::TempDir(), "/", name);
  const absl::Status merged = model.MergeAndUnload(path);
  EXPECT_TRUE(merged.ok()) << merged;
  return path;
}

// transformers takes two labels there, and no others.
TEST(NewHeadsTest, AMergedModelThatAnswersHasTwoLabels) {
  const std::string folder = CopyOfFolder(kGpt2);
  EditConfig(folder, [](Json& config) { config["num_labels"] = 3; });
  const auto model = OpenFor(folder, ModelTask::kQuestionAnswering);
  ASSERT_TRUE(model.ok()) << model.status();
  const std::string path =
      MergedWithNewAdapter(**model, "a_merged_model_that_answers");
  EXPECT_THAT(ReadText(path + "/config.json"), HasSubstr("\"LABEL_1\""));
  EXPECT_THAT(ReadText(path + "/config.json"),
              ::testing::Not(HasSubstr("num_labels")));
  EXPECT_EQ(OpenModel(path)->base().config().architecture,
            "GPT2ForQuestionAnswering");
}

TEST(NewHeadsTest, ReplicatedLayersShareOneHead) {
  ModelOptions options;
  options.head.task = ModelTask::kTokenClassification;
  options.layer_replication = {{0, 2}, {1, 2}};
  const auto model = Model::Open(kGpt2, options);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->base().config().num_hidden_layers, 3);
  const std::string path =
      MergedWithNewAdapter(**model, "a_merged_replicated_classifier");
  const auto merged = OpenModel(path);
  EXPECT_EQ(merged->base().files().tensors.at("classifier.weight").ToF32(),
            (*model)->base().files().tensors.at("classifier.weight").ToF32());
}

TEST(NewHeadsTest, NamesOfLabelsThatFitAreKept) {
  const std::string folder = CopyOfFolder(kGpt2);
  EditConfig(folder, [](Json& config) {
    config["id2label"]["0"] = "no";
    config["id2label"]["1"] = "yes";
  });
  const auto model = OpenFor(folder, ModelTask::kSequenceClassification);
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_TRUE((*model)->LoadAdapter("a", WriteClassifier(2)).ok());
  const std::string path =
      absl::StrCat(::testing::TempDir(), "/a_merged_folder_with_names");
  ASSERT_TRUE((*model)->MergeAndUnload(path).ok());
  EXPECT_THAT(ReadText(path + "/config.json"), HasSubstr("\"yes\""));
}

// Folders of a quantised model say their task, too.
TEST(NewHeadsTest, AQuantisedFolderIsAModelOfTheTask) {
  ModelOptions options;
  options.head.task = ModelTask::kSequenceClassification;
  options.head.num_labels = 3;
  options.weight_format = WeightFormat::kQ8;
  const auto model = Model::Open(GoldenModel("llama"), options);
  ASSERT_TRUE(model.ok()) << model.status();
  const std::string path =
      absl::StrCat(::testing::TempDir(), "/a_quantised_classifier");
  ASSERT_TRUE((*model)->WriteQuantized(path, nullptr).ok());
  const auto written = OpenModel(path);
  EXPECT_EQ(written->base().config().architecture,
            "LlamaForSequenceClassification");
  EXPECT_EQ(written->base().config().num_labels, 3);
  EXPECT_TRUE(written->notes().empty());
}

}  // namespace
}  // namespace peft
