#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "peft_cc/models/model_test_util.h"
#include "peft_cc/models/session.h"

namespace peft {
namespace {

using Tokens = std::vector<std::vector<int64_t>>;

// The options with which make_testdata.py generated.
GenerateOptions GoldenOptions(const std::string& name, const Golden& golden) {
  GenerateOptions options;
  options.max_new_tokens = golden.num_new_tokens;
  if (name == "llama_mixed_dtypes") options.repetition_penalty = 1.7f;
  return options;
}

class GoldenGenerateTest : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenGenerateTest, GreedyTokensEqualTransformers) {
  const std::string folder = GoldenModel(GetParam());
  const auto model = OpenModel(folder);
  const Golden golden(folder);
  const auto session = NewSession(*model);
  const auto output =
      session->Generate(golden.Prompt(), GoldenOptions(GetParam(), golden));
  ASSERT_TRUE(output.ok()) << output.status();
  for (int64_t row = 0; row < golden.batch; ++row) {
    // Python pads what ended.
    std::vector<int64_t> padded = output->tokens[row];
    padded.resize(golden.num_new_tokens, 0);
    const auto begin = golden.tokens.begin() + row * golden.num_new_tokens;
    EXPECT_EQ(padded,
              std::vector<int64_t>(begin, begin + golden.num_new_tokens));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenGenerateTest,
                         ::testing::ValuesIn(GoldenModelNames()),
                         [](const auto& info) { return info.param; });

class GenerateTest : public ::testing::Test {
 protected:
  GenerateTest()
      : folder_(GoldenModel("llama_linear_biases_tied")),
        model_(OpenModel(folder_)),
        golden_(folder_),
        session_(NewSession(*model_)) {
    options_.max_new_tokens = golden_.num_new_tokens;
  }

  absl::StatusOr<GenerateOutput> Generate() {
    return session_->Generate(golden_.Prompt(), options_);
  }

  // What the model says when nothing ends it.
  Tokens Endless() {
    GenerateOptions options = options_;
    options.ignore_eos = true;
    return session_->Generate(golden_.Prompt(), options)->tokens;
  }

  ::testing::AssertionResult FailsWith(absl::StatusCode code,
                                       absl::string_view id,
                                       absl::string_view text) {
    return IsError(Generate().status(), code, id, text);
  }

  std::string folder_;
  std::unique_ptr<Model> model_;
  Golden golden_;
  std::unique_ptr<Session> session_;
  GenerateOptions options_;
};

TEST_F(GenerateTest, RowsEndAtTheModelsEndTokens) {
  const auto output = Generate();
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output->tokens[0].size(), 4u);
  EXPECT_EQ(output->tokens[0].back(), 48);
  EXPECT_EQ(output->finish_reasons[0], FinishReason::kEos);
  EXPECT_EQ(output->tokens[1].size(), 12u);
  EXPECT_EQ(output->finish_reasons[1], FinishReason::kLength);
  EXPECT_EQ(output->tokens[2].back(), 82);
}

TEST_F(GenerateTest, ARowIsNotDisturbedByTheEndOfOthers) {
  EXPECT_EQ(Generate()->tokens[1], Endless()[1]);
}

TEST_F(GenerateTest, ARowEqualsItselfAlone) {
  const auto batch = Generate();
  const int64_t padding = 5;  // of row 2
  ForwardInput row;
  row.ids = golden_.ids.data() + 2 * golden_.length + padding;
  row.batch = 1;
  row.length = golden_.length - padding;
  EXPECT_EQ(session_->Generate(row, options_)->tokens[0], batch->tokens[2]);
}

TEST_F(GenerateTest, EndTokensCanBeGivenOrIgnored) {
  const Tokens endless = Endless();
  EXPECT_EQ(endless[0].size(), 12u);
  options_.eos_token_ids = {endless[0][1]};
  const auto output = Generate();
  const auto first =
      std::find(endless[0].begin(), endless[0].end(), endless[0][1]);
  EXPECT_EQ(output->tokens[0].size(),
            static_cast<size_t>(first - endless[0].begin()) + 1);
}

TEST_F(GenerateTest, StopSequencesEndARowAndAreKept) {
  const Tokens endless = Endless();
  options_.ignore_eos = true;
  options_.stop_sequences = {{95, 95}, {endless[2][1], endless[2][2]}};
  const auto output = Generate();
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output->finish_reasons[2], FinishReason::kStop);
  EXPECT_EQ(output->tokens[2],
            std::vector<int64_t>(endless[2].begin(), endless[2].begin() + 3));
}

TEST_F(GenerateTest, AStopSequenceDoesNotReachIntoThePrompt) {
  const Tokens endless = Endless();
  options_.ignore_eos = true;
  options_.stop_sequences = {{golden_.ids[golden_.length - 1], endless[0][0]}};
  EXPECT_EQ(Generate()->finish_reasons[0], FinishReason::kLength);
}

TEST_F(GenerateTest, TheCallbackSeesEveryTokenInOrder) {
  Tokens seen(3);
  options_.on_token = [&](int64_t row, int64_t token) {
    seen[row].push_back(token);
    return true;
  };
  EXPECT_EQ(Generate()->tokens, seen);
}

TEST_F(GenerateTest, TheCallbackCancelsAndLeavesWhatThereIs) {
  int calls = 0;
  options_.on_token = [&](int64_t, int64_t) { return ++calls < 5; };
  GenerateOutput partial;
  const auto output = session_->Generate(golden_.Prompt(), options_, &partial);
  EXPECT_TRUE(IsError(output.status(), absl::StatusCode::kCancelled,
                      "CANCELLED", "callback"));
  ASSERT_EQ(partial.tokens.size(), 3u);
  EXPECT_EQ(partial.tokens[0].size(), 2u);
  EXPECT_EQ(partial.tokens[1].size(), 2u);
  EXPECT_EQ(partial.tokens[2].size(), 1u);
  EXPECT_EQ(calls, 5);
}

TEST_F(GenerateTest, SamplingRepeatsWithItsSeed) {
  options_.do_sample = true;
  options_.temperature = 2.0f;
  options_.ignore_eos = true;
  options_.seed = 3;
  const Tokens first = Generate()->tokens;
  EXPECT_EQ(Generate()->tokens, first);
  options_.seed = 4;
  EXPECT_NE(Generate()->tokens, first);
  options_.top_k = 1;
  EXPECT_EQ(Generate()->tokens, Endless());
}

TEST_F(GenerateTest, ASampledRowDoesNotDependOnTheOthers) {
  options_.do_sample = true;
  options_.ignore_eos = true;
  const Tokens batch = Generate()->tokens;
  ForwardInput row = golden_.Prompt();
  row.batch = 1;
  EXPECT_EQ(session_->Generate(row, options_)->tokens[0], batch[0]);
}

TEST_F(GenerateTest, TheCacheGoesOnAfterwards) {
  options_.ignore_eos = true;
  ASSERT_TRUE(Generate().ok());
  EXPECT_EQ(session_->cache_length(), golden_.length + 11);
  EXPECT_TRUE(session_->Forward(golden_.Step()).ok());
  ASSERT_TRUE(Generate().ok());  // resets
  EXPECT_EQ(session_->cache_length(), golden_.length + 11);
}

TEST_F(GenerateTest, BadOptionsAreNamed) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  options_.max_new_tokens = 0;
  EXPECT_TRUE(FailsWith(kInvalid, "ARGUMENT", "max_new_tokens is 0"));
  options_.max_new_tokens = 1;
  options_.stop_sequences = {{}};
  EXPECT_TRUE(FailsWith(kInvalid, "ARGUMENT", "stop_sequences"));
  options_.stop_sequences.clear();
  options_.repetition_penalty = 0;
  EXPECT_TRUE(FailsWith(kInvalid, "ARGUMENT", "repetition_penalty"));
  EXPECT_EQ(session_->cache_length(), 0);
}

TEST_F(GenerateTest, ALengthThatDoesNotFitTheSessionFailsAtOnce) {
  SessionOptions small;
  small.max_length = golden_.length + 2;
  session_ = NewSession(*model_, small);
  options_.max_new_tokens = 3;
  EXPECT_TRUE(Generate().ok());
  for (const int64_t tokens : {int64_t{4}, int64_t{1} << 62}) {
    options_.max_new_tokens = tokens;
    EXPECT_TRUE(FailsWith(absl::StatusCode::kResourceExhausted,
                          "SEQUENCE_TOO_LONG", "max_length of 11"));
  }
}

TEST_F(GenerateTest, PositionsCannotBeGiven) {
  ForwardInput input = golden_.Prompt();
  input.position_ids = golden_.mask.data();
  EXPECT_TRUE(IsError(session_->Generate(input, options_).status(),
                      absl::StatusCode::kInvalidArgument, "ARGUMENT",
                      "position_ids"));
}

TEST_F(GenerateTest, ARowOfPaddingOnlyStillRuns) {
  std::vector<int64_t> mask = golden_.mask;
  std::fill(mask.begin(), mask.begin() + golden_.length, 0);
  ForwardInput input = golden_.Prompt();
  input.attention_mask = mask.data();
  EXPECT_TRUE(session_->Generate(input, options_).ok());
}

TEST(GenerateNanTest, NanWeightsAreAnErrorNotTokens) {
  const std::string folder = CopyOfModel("llama");
  EditTensors(folder, [](TensorMap& tensors) {
    void* data = nullptr;
    Tensor tensor = *Tensor::Allocate(DType::kF32, {32}, &data);
    static_cast<float*>(data)[3] = std::nanf("");
    tensors["model.norm.weight"] = tensor;
  });
  const auto model = OpenModel(folder);
  const Golden golden(folder);
  const auto session = NewSession(*model);
  EXPECT_TRUE(IsError(session->Generate(golden.Prompt(), {}).status(),
                      absl::StatusCode::kInvalidArgument, "LOGITS_NOT_FINITE",
                      "row 0"));
}

}  // namespace
}  // namespace peft
