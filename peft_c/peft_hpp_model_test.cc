// peft.hpp's models, adapters and sessions, on the quickstart's files and on a
// model of the test's own layers.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/peft.hpp"

namespace {

constexpr char kBase[] = "examples/quickstart/base";
constexpr char kGerman[] = "examples/quickstart/adapters/german";
constexpr char kRoman[] = "examples/quickstart/adapters/roman";
// "1987=" and how it is answered.
const std::vector<int64_t> kPrompt = {1, 4, 12, 11, 10, 13};
constexpr char kTokens[] =
    "???0123456789= -abcdefghijklmnopqrstuvwxyz???????IVXLCDM";
constexpr char kInGerman[] = "eintausendneunhundertsiebenundachtzig";
constexpr char kInRoman[] = "MCMLXXXVII";
constexpr char kInEnglish[] = "one thousand nine hundred eighty-seven";

std::string TextOf(peft::Span<const int64_t> tokens) {
  std::string text;
  for (const int64_t token : tokens) {
    // The last one ends the row.
    if (token > 2) text += kTokens[token];
  }
  return text;
}

class PeftHppModel : public testing::Test {
 protected:
  std::vector<std::string> Generate(const peft::GenerateOptions& options,
                                    int64_t rows = 1) {
    std::vector<int64_t> ids;
    for (int64_t row = 0; row < rows; ++row) {
      ids.insert(ids.end(), kPrompt.begin(), kPrompt.end());
    }
    const auto result = peft::OrThrow(session_.Generate({ids, rows}, options));
    std::vector<std::string> texts;
    for (size_t row = 0; row < result.NumRows(); ++row) {
      EXPECT_EQ(result.Finish(row), peft::FinishReason::kEos);
      texts.push_back(TextOf(result.Tokens(row)));
    }
    return texts;
  }
  std::string Answer() {
    peft::GenerateOptions options;
    options.max_new_tokens = 64;
    return Generate(options)[0];
  }

  peft::Model model_ = peft::OrThrow(peft::Model::Open(kBase));
  peft::Session session_ = peft::OrThrow(peft::Session::Create(model_));
};

TEST_F(PeftHppModel, LoadsSwitchesAndGenerates) {
  EXPECT_EQ(Answer(), kInEnglish);
  peft::LoadReport report;
  peft::OrThrow(model_.LoadAdapter("german", kGerman, {}, &report));
  EXPECT_EQ(Answer(), kInGerman);
  EXPECT_GT(report.NumSites(), 0);
  EXPECT_GT(report.NumParameters(), 0);
  EXPECT_EQ(report.Count(), report.Count(peft::ReportKind::kMatched) +
                                report.Count(peft::ReportKind::kNote));
  EXPECT_NE(peft::OrThrow(report.Line(0)).name, "");
  EXPECT_EQ(report.Line(report.Count()).status().id(), "ARGUMENT");
  peft::OrThrow(model_.LoadAdapter("roman", kRoman));
  EXPECT_EQ(Answer(), kInRoman);
  peft::OrThrow(model_.SetAdapter({"german"}));
  EXPECT_EQ(Answer(), kInGerman);
  peft::OrThrow(model_.DisableAdapters());
  EXPECT_EQ(Answer(), kInEnglish);
  peft::OrThrow(model_.EnableAdapters());
  EXPECT_EQ(peft::OrThrow(model_.ActiveAdapters()),
            std::vector<std::string>{"german"});
  EXPECT_EQ(peft::OrThrow(model_.ListAdapters()),
            (std::vector<std::string>{"german", "roman"}));
}

TEST_F(PeftHppModel, EachRowHasAnAdapterOfItsOwn) {
  peft::OrThrow(model_.LoadAdapter("german", kGerman));
  peft::OrThrow(model_.LoadAdapter("roman", kRoman));
  peft::GenerateOptions options;
  options.max_new_tokens = 64;
  options.adapter_names = {"german", "__base__", "roman"};
  const std::vector<std::string> expected = {kInGerman, kInEnglish, kInRoman};
  EXPECT_EQ(Generate(options, 3), expected);
  const auto german = peft::OrThrow(model_.CreateActivation({"german"}));
  const auto roman = peft::OrThrow(model_.CreateActivation({"roman"}, {1.0f}));
  options.adapter_names.clear();
  options.activations = {&german, nullptr, &roman};
  EXPECT_EQ(Generate(options, 3), expected);
}

TEST_F(PeftHppModel, ATokenCallbackSeesCancelsAndThrows) {
  peft::GenerateOptions options;
  int64_t seen = 0;
  options.on_token = [&](int64_t row, int64_t token) {
    EXPECT_EQ(row, 0);
    EXPECT_GT(token, 0);
    return ++seen < 3;
  };
  EXPECT_EQ(session_.Generate({kPrompt}, options).status().code(),
            peft::StatusCode::kCancelled);
  EXPECT_EQ(seen, 3);
  options.on_token = [](int64_t, int64_t) -> bool {
    throw std::runtime_error("enough");
  };
  EXPECT_EQ(session_.Generate({kPrompt}, options).status().code(),
            peft::StatusCode::kCancelled);
}

TEST_F(PeftHppModel, StopSequencesEndARow) {
  peft::GenerateOptions options;
  options.stop_sequences = {{30, 29}};
  const auto result = peft::OrThrow(session_.Generate({kPrompt}, options));
  EXPECT_EQ(result.Finish(0), peft::FinishReason::kStop);
  EXPECT_EQ(result.Tokens(0).size(), 2u);
  EXPECT_EQ(result.Tokens(1).size(), 0u);
}

TEST_F(PeftHppModel, ForwardsGiveWhatIsAskedFor) {
  const auto vocab_size = peft::OrThrow(model_.Info()).vocab_size;
  peft::ForwardOptions options;
  options.logits_to_keep = 1;
  const auto logits = peft::OrThrow(session_.ForwardLogits({kPrompt}, options));
  EXPECT_EQ(logits.sizes, (std::vector<int64_t>{1, 1, vocab_size}));
  EXPECT_EQ(session_.CacheLength(), 6);
  peft::OrThrow(session_.Reset());
  EXPECT_EQ(session_.CacheLength(), 0);
  options.outputs = peft::Output::kLogits | peft::Output::kLastHiddenState;
  peft::OrThrow(session_.Forward({kPrompt}, options));
  EXPECT_TRUE(session_.GetOutput(peft::Output::kLogits).ok());
  EXPECT_TRUE(session_.GetOutput(peft::Output::kLastHiddenState).ok());
  EXPECT_EQ(session_.GetOutput(peft::Output::kPoolerOutput).status().id(),
            "OUTPUT_NOT_COMPUTED");
}

TEST_F(PeftHppModel, InputsThatDoNotFitAreRefused) {
  EXPECT_EQ(session_.Forward({kPrompt, 4}).id(), "ARGUMENT");
  EXPECT_EQ(session_.Forward({kPrompt, 0}).id(), "ARGUMENT");
  EXPECT_EQ(session_.Forward({}).id(), "ARGUMENT");
  const std::vector<int64_t> mask(5, 1);
  peft::ForwardInput input(kPrompt);
  input.attention_mask = mask;
  EXPECT_EQ(session_.Forward(input).id(), "ARGUMENT");
  EXPECT_EQ(session_.CacheLength(), 0);
}

TEST_F(PeftHppModel, ScalesAreOnePerName) {
  peft::OrThrow(model_.LoadAdapter("german", kGerman));
  peft::SetAdapterOptions set;
  set.scales = {1, 2};
  EXPECT_EQ(model_.SetAdapter({"german"}, set).id(), "ARGUMENT");
  peft::MergeOptions merge;
  merge.scales = {1};
  EXPECT_EQ(model_.MergeAdapter({}, merge).id(), "ARGUMENT");
  EXPECT_EQ(model_.CreateActivation({"german"}, {1, 2}).status().id(),
            "ARGUMENT");
  EXPECT_EQ(model_.AddWeightedAdapter("new", {"german"}, {}).id(), "ARGUMENT");
  set.scales = {0};
  peft::OrThrow(model_.SetAdapter({"german"}, set));
  EXPECT_EQ(Answer(), kInEnglish);
}

TEST_F(PeftHppModel, HasTheVerbsOfOneAdapter) {
  peft::OrThrow(model_.LoadAdapter(nullptr, kGerman));
  EXPECT_TRUE(peft::OrThrow(model_.HasAdapter("default")));
  peft::OrThrow(model_.RenameAdapter("default", "german"));
  EXPECT_FALSE(peft::OrThrow(model_.HasAdapter("default")));
  peft::OrThrow(model_.PinAdapter("german"));
  peft::OrThrow(model_.SetScale("german", 0.5f));
  const auto info = peft::OrThrow(model_.GetAdapterInfo());
  EXPECT_EQ(info.peft_type, "LORA");
  EXPECT_TRUE(info.is_pinned && info.is_active && !info.is_trainable);
  EXPECT_EQ(info.scale, 0.5f);
  EXPECT_NE(peft::OrThrow(model_.GetAdapterSource()).find("german"),
            std::string::npos);
  EXPECT_NE(peft::OrThrow(model_.GetAdapterConfig("german")).find("LORA"),
            std::string::npos);
  EXPECT_GT(peft::OrThrow(model_.GetAdapterStateDict()).Size(), 0u);
  peft::OrThrow(model_.SetScale("german", 1));
  peft::OrThrow(model_.ReplaceAdapter("german", kRoman));
  EXPECT_EQ(Answer(), kInRoman);
  peft::OrThrow(model_.SetAdapterLimit(0, 1));
  EXPECT_EQ(model_.LoadAdapter("other", kGerman).id(), "ADAPTER_LIMIT");
  peft::OrThrow(model_.DeleteAdapter({"german"}));
  EXPECT_EQ(model_.DeleteAdapter({"german"}).id(), "ADAPTER_NOT_FOUND");
}

TEST_F(PeftHppModel, SavesAddsAndReadsBack) {
  peft::OrThrow(model_.AddAdapter("new", R"({"peft_type": "LORA"})", {17}));
  const std::string folder = testing::TempDir() + "/hpp_saved";
  peft::SaveOptions save;
  save.overwrite = true;
  peft::OrThrow(model_.SaveAdapter("new", folder, save));
  EXPECT_EQ(model_.SaveAdapter("new", folder).id(), "FILE_EXISTS");
  // Its init took nothing from the base.
  save.path_initial_model_for_weight_conversion = folder;
  EXPECT_EQ(model_.SaveAdapter("new", folder, save).id(), "ARGUMENT");
  EXPECT_GT(peft::OrThrow(peft::EstimateAdapter(folder)).num_tensors, 0);
  EXPECT_NE(peft::OrThrow(peft::InspectAdapter(folder, nullptr, &model_))
                .find("LORA"),
            std::string::npos);
  EXPECT_EQ(peft::OrThrow(peft::FetchAdapter(folder)), folder);
  EXPECT_EQ(peft::OrThrow(peft::FetchModel(kBase)), kBase);
  const auto tensors = peft::OrThrow(
      peft::StateDict::Read(folder + "/adapter_model.safetensors"));
  const auto config = peft::OrThrow(model_.GetAdapterConfig("new"));
  peft::OrThrow(model_.LoadAdapterFromMemory("again", config, tensors));
  peft::OrThrow(model_.ReplaceAdapterFromMemory("again", config, tensors));
  peft::OrThrow(tensors.Write(testing::TempDir() + "/hpp.safetensors"));
}

TEST_F(PeftHppModel, MergesCombinesAndProbes) {
  peft::OrThrow(model_.LoadAdapter("german", kGerman));
  peft::MergeOptions safe;
  safe.safe_merge = true;
  peft::OrThrow(model_.MergeAdapter({"german"}, safe));
  EXPECT_EQ(Answer(), kInGerman);
  EXPECT_EQ(peft::OrThrow(model_.MergedAdapters()),
            std::vector<std::string>{"german"});
  peft::OrThrow(model_.UnmergeAdapter());
  peft::CombineOptions cat;
  cat.combination_type = peft::CombinationType::kCat;
  peft::OrThrow(model_.AddWeightedAdapter("half", {"german"}, {0.5f}, cat));
  const auto probe = peft::OrThrow(model_.ProbeAdapter("half"));
  EXPECT_GT(probe.Count(), 0u);
  EXPECT_GT(peft::OrThrow(probe.Line(0)).ratio, 0);
  EXPECT_EQ(peft::OrThrow(probe.Summary()).num_sites,
            static_cast<int64_t>(probe.Count()));
  peft::OrThrow(model_.Unload());
  EXPECT_EQ(Answer(), kInEnglish);
}

TEST_F(PeftHppModel, WritesAMergedModel) {
  peft::OrThrow(model_.LoadAdapter("german", kGerman));
  peft::MergeAndUnloadOptions options;
  int64_t last = 0;
  options.on_progress = [&](int64_t done, int64_t total) {
    last = done;
    return done <= total;
  };
  const std::string folder = testing::TempDir() + "/hpp_merged";
  peft::OrThrow(model_.MergeAndUnload(folder, options));
  EXPECT_GT(last, 0);
  const auto merged = peft::OrThrow(peft::Model::Open(folder));
  EXPECT_EQ(peft::OrThrow(merged.Info()).num_parameters,
            peft::OrThrow(model_.Info()).num_parameters);
}

TEST(PeftHppQuantisedModel, IsWrittenAndOpened) {
  peft::ModelOptions options;
  options.weight_format = peft::WeightFormat::kQ8;
  options.quantize_head = true;
  const auto model = peft::OrThrow(peft::Model::Open(kBase, options));
  const std::string folder = testing::TempDir() + "/hpp_quantised";
  int64_t last = 0;
  peft::OrThrow(model.WriteQuantized(folder, [&](int64_t done, int64_t total) {
    last = done;
    return done <= total;
  }));
  EXPECT_GT(last, 0);
  EXPECT_TRUE(peft::Model::Open(folder).ok());
}

TEST(PeftHppNewHead, IsTheOneThatIsAskedFor) {
  peft::ModelOptions options;
  options.task = peft::Task::kSequenceClassification;
  options.num_labels = 3;
  options.pad_token_id = 0;
  const auto model = peft::OrThrow(peft::Model::Open(kBase, options));
  const auto info = peft::OrThrow(model.Info());
  EXPECT_EQ(info.task, peft::Task::kSequenceClassification);
  EXPECT_EQ(info.num_labels, 3);
}

TEST(PeftHppHostModel, RunsItsLayers) {
  const std::vector<float> weight = {1, 2, 3, 4, 5, 6};
  const std::vector<float> bias = {1, 2};
  peft::Layer layer;
  layer.name = "fc";
  layer.kind = peft::LayerKind::kLinear;
  layer.weight = peft::TensorView::Of(weight, {2, 3});
  layer.bias = peft::TensorView::Of(bias, {2});
  auto model = peft::OrThrow(peft::Model::Create({layer}));
  const auto run = [&] {
    const std::vector<float> ones = {1, 1, 1};
    const auto y =
        peft::OrThrow(model.RunLayer("fc", peft::TensorView::Of(ones, {1, 3})));
    return *peft::OrThrow(y.View()).Copy<float>();
  };
  EXPECT_EQ(run(), (std::vector<float>{7, 17}));
  auto tensors = peft::OrThrow(peft::StateDict::Create());
  const std::vector<float> a = {1, 1, 1};
  const std::string prefix = "base_model.model.fc.lora_";
  peft::OrThrow(
      tensors.Set(prefix + "A.weight", peft::TensorView::Of(a, {1, 3})));
  peft::OrThrow(
      tensors.Set(prefix + "B.weight", peft::TensorView::Of(bias, {2, 1})));
  peft::OrThrow(model.LoadAdapterFromMemory(
      "a", R"({"peft_type": "LORA", "r": 1, "lora_alpha": 10,
               "target_modules": ["fc"]})",
      tensors));
  EXPECT_EQ(run(), (std::vector<float>{37, 77}));
}

TEST(PeftHppHostModel, LayersThatDoNotFitAreRefused) {
  const std::vector<float> weight(6);
  peft::Layer layer;
  layer.name = "fc";
  layer.kind = peft::LayerKind::kLinear;
  layer.weight = peft::TensorView::Of(weight, {3, 3});
  EXPECT_EQ(peft::Model::Create({layer}).status().id(), "ARGUMENT");
}

}  // namespace
