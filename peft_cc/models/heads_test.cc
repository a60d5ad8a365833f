// Models with other heads than a language model's, and without any, beside
// what transformers and PEFT answered; see testdata/make_heads.py.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/models/model_test_util.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

constexpr char kHeads[] = "peft_cc/models/testdata/heads";
constexpr double kTolerance = 1e-5;

std::string HeadFolder(const std::string& name) {
  return absl::StrCat(kHeads, "/", name);
}

std::vector<std::string> HeadNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kHeads)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The inputs and answers of one model.
class Head {
 public:
  explicit Head(const std::string& name)
      : tensors_(*ReadSafetensors(HeadFolder(name) + "/expected.safetensors",
                                  ReadMode::kRead)),
        ids_(Ints("input_ids")),
        mask_(Ints("attention_mask")),
        types_(Ints("token_type_ids")) {}

  ForwardInput Input() const {
    ForwardInput input;
    input.ids = ids_.data();
    input.attention_mask = mask_.data();
    input.batch = tensors_.tensors.at("input_ids").dim(0);
    input.length = tensors_.tensors.at("input_ids").dim(1);
    if (!types_.empty()) input.token_type_ids = types_.data();
    return input;
  }

  bool Has(const std::string& name) const {
    return tensors_.tensors.count(name) > 0;
  }

  // max |found - expected| / max |expected|, over the tokens that are no
  // padding where there is one row per token.
  double Error(const std::string& name, const float* found) const {
    const Tensor& tensor = tensors_.tensors.at(name);
    const std::vector<float> expected = tensor.ToF32();
    const int64_t width = tensor.dim(tensor.rank() - 1);
    double difference = 0;
    double greatest = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      if (tensor.rank() == 3 && mask_[i / width] == 0) continue;
      const double delta = std::fabs(double{found[i]} - expected[i]);
      if (std::isnan(delta)) return std::numeric_limits<double>::infinity();
      difference = std::max(difference, delta);
      greatest = std::max(greatest, std::fabs(double{expected[i]}));
    }
    return difference / greatest;
  }

 private:
  std::vector<int64_t> Ints(const std::string& name) const {
    if (!Has(name)) return {};
    const Tensor& tensor = tensors_.tensors.at(name);
    std::vector<int64_t> values(tensor.num_elements());
    std::memcpy(values.data(), tensor.data(), tensor.size_bytes());
    return values;
  }

  SafetensorsFile tensors_;
  std::vector<int64_t> ids_, mask_, types_;
};

// Asks a model for all that transformers answers under names that begin with
// `prefix`, and compares.
void ExpectAnswers(const Model& model, const Head& head,
                   const std::string& prefix) {
  ForwardOptions options;
  if (head.Has(prefix + "logits")) options.outputs |= kLogits;
  if (head.Has(prefix + "last_hidden_state")) {
    options.outputs |= kLastHiddenState;
  }
  if (head.Has(prefix + "pooler_output")) options.outputs |= kPoolerOutput;
  const auto session = NewSession(model);
  const auto logits = session->Forward(head.Input(), options);
  ASSERT_TRUE(logits.ok()) << logits.status();
  ASSERT_NE(session->last_hidden_state().data, nullptr);
  EXPECT_LE(head.Error(prefix + "last_hidden_state",
                       session->last_hidden_state().data),
            kTolerance);
  if (head.Has(prefix + "logits")) {
    EXPECT_LE(head.Error(prefix + "logits", logits->data), kTolerance);
  }
  if (head.Has(prefix + "pooler_output")) {
    EXPECT_LE(
        head.Error(prefix + "pooler_output", session->pooler_output().data),
        kTolerance);
  }
}

class GoldenHeadTest : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenHeadTest, AnswersEqualTransformers) {
  const auto model = OpenModel(HeadFolder(GetParam()));
  EXPECT_TRUE(model->base().notes().empty());
  ExpectAnswers(*model, Head(GetParam()), "");
}

TEST_P(GoldenHeadTest, AnswersWithAnAdapterEqualPeft) {
  const Head head(GetParam());
  if (!head.Has("adapted_last_hidden_state")) GTEST_SKIP();
  const auto model = OpenModel(HeadFolder(GetParam()));
  const auto report =
      model->LoadAdapter("a", HeadFolder(GetParam()) + "/adapter");
  ASSERT_TRUE(report.ok()) << report.status();
  ExpectAnswers(*model, head, "adapted_");
  ASSERT_TRUE(model->SetAdapter({}).ok());
  ExpectAnswers(*model, head, "");
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenHeadTest,
                         ::testing::ValuesIn(HeadNames()),
                         [](const auto& info) { return info.param; });

TEST(HeadsTest, AClassifierOfSequencesGivesARowOfLabelsPerRow) {
  const auto model = OpenModel(HeadFolder("gpt2_sequence"));
  const Head head("gpt2_sequence");
  const auto session = NewSession(*model);
  const auto logits = session->Forward(head.Input());
  ASSERT_TRUE(logits.ok()) << logits.status();
  EXPECT_EQ(logits->batch, 3);
  EXPECT_EQ(logits->positions, 1);
  EXPECT_EQ(logits->vocabulary, 3);
  EXPECT_EQ(session->last_hidden_state().data, nullptr);
  ForwardOptions options;
  options.logits_to_keep = 1;
  session->Reset();
  EXPECT_TRUE(IsError(session->Forward(head.Input(), options).status(),
                      absl::StatusCode::kInvalidArgument, "ARGUMENT",
                      "logits_to_keep is 1"));
}

TEST(HeadsTest, WithoutAPaddingTokenRowsAreClassifiedOneByOne) {
  const std::string folder = CopyOfFolder(HeadFolder("llama_sequence"));
  EditConfig(folder, [](Json& config) { config["pad_token_id"] = nullptr; });
  const auto model = OpenModel(folder);
  const auto session = NewSession(*model);
  const Head head("llama_sequence");
  ForwardInput input = head.Input();
  EXPECT_TRUE(IsError(session->Forward(input).status(),
                      absl::StatusCode::kInvalidArgument, "ARGUMENT",
                      "no pad_token_id"));
  // The last row has no padding at its end.
  input.ids += 2 * input.length;
  input.attention_mask += 2 * input.length;
  input.batch = 1;
  const auto logits = session->Forward(input);
  ASSERT_TRUE(logits.ok()) << logits.status();
  std::vector<float> all(9, 0.0f);
  std::copy(logits->data, logits->data + 3, all.begin() + 6);
  const std::vector<float> whole = [&] {
    const auto padded = OpenModel(HeadFolder("llama_sequence"));
    const auto other = NewSession(*padded);
    const auto found = other->Forward(head.Input());
    return std::vector<float>(found->data, found->data + 9);
  }();
  for (int i = 6; i < 9; ++i) EXPECT_NEAR(all[i], whole[i], 1e-5);
}

TEST(HeadsTest, BareModelsGiveWhatTheyHaveWithoutBeingAsked) {
  const auto model = OpenModel(HeadFolder("bert_bare"));
  const Head head("bert_bare");
  const auto session = NewSession(*model);
  const auto logits = session->Forward(head.Input());
  ASSERT_TRUE(logits.ok()) << logits.status();
  EXPECT_EQ(logits->data, nullptr);
  EXPECT_LE(head.Error("pooler_output", session->pooler_output().data),
            kTolerance);
  EXPECT_EQ(session->last_hidden_state().positions, 9);
  EXPECT_EQ(session->pooler_output().width, 16);
}

TEST(HeadsTest, WhatAModelDoesNotMakeIsAnError) {
  constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;
  const auto bare = OpenModel(HeadFolder("bert_bare_without_pooler"));
  const Head head("bert_bare_without_pooler");
  const auto session = NewSession(*bare);
  ForwardOptions options;
  options.outputs = kLogits;
  EXPECT_TRUE(IsError(session->Forward(head.Input(), options).status(),
                      kPrecondition, "MODEL_TASK", "BertModel, which has no"));
  options.outputs = kPoolerOutput;
  EXPECT_TRUE(IsError(session->Forward(head.Input(), options).status(),
                      kPrecondition, "MODEL_TASK", "no pooler"));
  options.outputs = 8;
  EXPECT_TRUE(IsError(session->Forward(head.Input(), options).status(),
                      absl::StatusCode::kInvalidArgument, "ARGUMENT",
                      "outputs is 8"));
  for (const char* name : {"bert_masked_lm", "gpt2_bare", "gpt2_token"}) {
    const auto model = OpenModel(HeadFolder(name));
    const Head other(name);
    EXPECT_TRUE(
        IsError(NewSession(*model)->Generate(other.Input(), {}).status(),
                kPrecondition, "MODEL_TASK", "generate needs"))
        << name;
  }
}

TEST(HeadsTest, TokenTypesAreChecked) {
  const auto model = OpenModel(HeadFolder("bert_bare"));
  const Head head("bert_bare");
  const auto session = NewSession(*model);
  std::vector<int64_t> types(27, 0);
  ForwardInput input = head.Input();
  input.token_type_ids = types.data();
  types[10] = 2;
  EXPECT_TRUE(IsError(session->Forward(input).status(),
                      absl::StatusCode::kInvalidArgument, "ARGUMENT",
                      "token type id 2 at row 1, position 1"));
  types[10] = -1;
  EXPECT_FALSE(session->Forward(input).ok());
  types[10] = 0;
  const auto llama = OpenModel(HeadFolder("llama_bare"));
  EXPECT_TRUE(IsError(NewSession(*llama)->Forward(input).status(),
                      absl::StatusCode::kInvalidArgument, "ARGUMENT",
                      "LlamaModel has no token types"));
}

TEST(HeadsTest, PositionsBeyondTheTableAreErrors) {
  for (const char* name : {"bert_bare", "gpt2_bare"}) {
    const auto model = OpenModel(HeadFolder(name));
    const std::vector<int64_t> ids(33, 5);
    ForwardInput input;
    input.ids = ids.data();
    input.batch = 1;
    input.length = 33;
    EXPECT_TRUE(IsError(NewSession(*model)->Forward(input).status(),
                        absl::StatusCode::kResourceExhausted,
                        "SEQUENCE_TOO_LONG", "table of positions has 32"));
    std::vector<int64_t> positions(33, 31);
    input.position_ids = positions.data();
    EXPECT_TRUE(NewSession(*model)->Forward(input).ok());
    positions[4] = 32;
    EXPECT_TRUE(IsError(NewSession(*model)->Forward(input).status(),
                        absl::StatusCode::kInvalidArgument, "ARGUMENT",
                        "position id 32"));
  }
}

TEST(HeadsTest, EncodersKeepNothingBetweenForwards) {
  const auto model = OpenModel(HeadFolder("bert_masked_lm"));
  const Head head("bert_masked_lm");
  const auto session = NewSession(*model);
  ASSERT_TRUE(session->Forward(head.Input()).ok());
  EXPECT_EQ(session->cache_length(), 0);
  ForwardInput one = head.Input();
  one.batch = 1;
  ASSERT_TRUE(session->Forward(one).ok());
  const auto logits = session->Forward(head.Input());
  ASSERT_TRUE(logits.ok()) << logits.status();
  EXPECT_LE(head.Error("logits", logits->data), kTolerance);
}

// More tokens than a chunk takes, so that rows run in several.
TEST(HeadsTest, ALargeBatchOfAnEncoderEqualsItsRows) {
  const auto model = OpenModel(HeadFolder("bert_sequence"));
  const Head head("bert_sequence");
  const ForwardInput few = head.Input();
  constexpr int64_t kTimes = 50;
  std::vector<int64_t> ids, mask, types;
  for (int i = 0; i < kTimes; ++i) {
    ids.insert(ids.end(), few.ids, few.ids + 27);
    mask.insert(mask.end(), few.attention_mask, few.attention_mask + 27);
    types.insert(types.end(), few.token_type_ids, few.token_type_ids + 27);
  }
  ForwardInput many = few;
  many.ids = ids.data();
  many.attention_mask = mask.data();
  many.token_type_ids = types.data();
  many.batch = 3 * kTimes;
  const auto session = NewSession(*model);
  ForwardOptions options;
  options.outputs = kLogits | kLastHiddenState | kPoolerOutput;
  const auto logits = session->Forward(many, options);
  ASSERT_TRUE(logits.ok()) << logits.status();
  for (const int64_t i : {int64_t{0}, int64_t{20}, kTimes - 1}) {
    EXPECT_LE(head.Error("logits", logits->data + i * 3 * 2), kTolerance);
    EXPECT_LE(head.Error("last_hidden_state",
                         session->last_hidden_state().data + i * 27 * 16),
              kTolerance);
    EXPECT_LE(
        head.Error("pooler_output", session->pooler_output().data + i * 3 * 16),
        kTolerance);
  }
}

TEST(HeadsTest, HiddenStatesOfALanguageModelComeBesideItsLogits) {
  const auto model = OpenModel(HeadFolder("gpt2_lm"));
  const Head head("gpt2_lm");
  const auto session = NewSession(*model);
  ForwardOptions options;
  options.outputs = kLastHiddenState;
  const auto none = session->Forward(head.Input(), options);
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->data, nullptr);
  EXPECT_LE(head.Error("last_hidden_state", session->last_hidden_state().data),
            kTolerance);
  EXPECT_EQ(session->pooler_output().data, nullptr);
}

TEST(HeadsTest, GenerateStopsBeforeTheTableOfPositionsEnds) {
  const auto model = OpenModel(HeadFolder("gpt2_lm"));
  const auto session = NewSession(*model);
  const Head head("gpt2_lm");
  GenerateOptions options;
  options.max_new_tokens = 24;  // 9 + 24 - 1 = 32
  EXPECT_TRUE(session->Generate(head.Input(), options).ok());
  options.max_new_tokens = 25;
  EXPECT_TRUE(IsError(session->Generate(head.Input(), options).status(),
                      absl::StatusCode::kResourceExhausted, "SEQUENCE_TOO_LONG",
                      "would have 33 positions"));
}

}  // namespace
}  // namespace peft
