#include "peft_cc/models/session.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "kernels/cpu_variant.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/model_test_util.h"

namespace peft {
namespace {

constexpr double kTolerance = 1e-5;

std::vector<float> Copy(const Logits& logits) {
  return std::vector<float>(
      logits.data,
      logits.data + logits.batch * logits.positions * logits.vocabulary);
}

// A row of `length` tokens that repeat with a long period.
std::vector<int64_t> LongRow(int64_t length) {
  std::vector<int64_t> ids(length);
  for (int64_t i = 0; i < length; ++i) ids[i] = 3 + (i * 31 + i / 7) % 90;
  return ids;
}

ForwardInput Input(const std::vector<int64_t>& ids, int64_t batch = 1) {
  ForwardInput input;
  input.ids = ids.data();
  input.batch = batch;
  input.length = static_cast<int64_t>(ids.size()) / batch;
  return input;
}

class GoldenSessionTest : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenSessionTest, ForwardEqualsTransformers) {
  const std::string folder = GoldenModel(GetParam());
  const auto model = OpenModel(folder);
  const Golden golden(folder);
  const auto session = NewSession(*model);
  const auto logits = session->Forward(golden.Prompt());
  ASSERT_TRUE(logits.ok()) << logits.status();
  EXPECT_LE(RelativeError(*logits, golden.logits, &golden.mask), kTolerance);
}

TEST_P(GoldenSessionTest, ForwardOnTheCacheEqualsTransformers) {
  const std::string folder = GoldenModel(GetParam());
  const auto model = OpenModel(folder);
  const Golden golden(folder);
  const auto session = NewSession(*model);
  ASSERT_TRUE(session->Forward(golden.Prompt()).ok());
  const auto logits = session->Forward(golden.Step());
  ASSERT_TRUE(logits.ok()) << logits.status();
  EXPECT_LE(RelativeError(*logits, golden.step_logits, nullptr), kTolerance);
  EXPECT_EQ(session->cache_length(), golden.length + 2);
}

TEST_P(GoldenSessionTest, TokenByTokenEqualsAtOnce) {
  const auto model = OpenModel(GoldenModel(GetParam()));
  // With kDynamic, frequencies depend on how a sequence came to its length.
  if (model->base().config().rope.type == RopeType::kDynamic) GTEST_SKIP();
  const std::vector<int64_t> ids = LongRow(20);
  const auto session = NewSession(*model);
  const std::vector<float> expected = Copy(*session->Forward(Input(ids)));
  session->Reset();
  std::vector<float> found;
  for (const int64_t id : ids) {
    const std::vector<float> step = Copy(*session->Forward(Input({id})));
    found.insert(found.end(), step.begin(), step.end());
  }
  const Logits all{found.data(), 1, 20, model->base().config().vocab_size};
  EXPECT_LE(RelativeError(all, expected, nullptr), kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenSessionTest,
                         ::testing::ValuesIn(GoldenModelNames()),
                         [](const auto& info) { return info.param; });

class SessionTest : public ::testing::Test {
 protected:
  SessionTest()
      : folder_(GoldenModel("llama")),
        model_(OpenModel(folder_)),
        golden_(folder_) {}

  std::string folder_;
  std::unique_ptr<Model> model_;
  Golden golden_;
};

TEST_F(SessionTest, KeepsTheLogitsOfTheLastPositions) {
  const auto session = NewSession(*model_);
  const std::vector<float> all = Copy(*session->Forward(golden_.Prompt()));
  session->Reset();
  ForwardOptions options;
  options.logits_to_keep = 2;
  const auto last = session->Forward(golden_.Prompt(), options);
  ASSERT_TRUE(last.ok());
  EXPECT_EQ(last->positions, 2);
  const int64_t vocabulary = last->vocabulary;
  std::vector<float> expected;
  for (int64_t row = 0; row < golden_.batch; ++row) {
    const auto end = all.begin() + (row + 1) * golden_.length * vocabulary;
    expected.insert(expected.end(), end - 2 * vocabulary, end);
  }
  EXPECT_LE(RelativeError(*last, expected, nullptr), kTolerance);
}

TEST_F(SessionTest, KeepsAllLogitsWhenMoreAreAskedForThanThereAre) {
  const auto session = NewSession(*model_);
  ForwardOptions options;
  options.logits_to_keep = 1000;
  EXPECT_EQ(session->Forward(golden_.Prompt(), options)->positions,
            golden_.length);
}

TEST_F(SessionTest, LongInputsRunInChunksWithTheSameResult) {
  const std::vector<int64_t> ids = LongRow(700);
  const auto session = NewSession(*model_);
  const std::vector<float> at_once = Copy(*session->Forward(Input(ids)));
  session->Reset();
  const std::vector<int64_t> first(ids.begin(), ids.begin() + 300);
  const std::vector<int64_t> second(ids.begin() + 300, ids.end());
  std::vector<float> parts = Copy(*session->Forward(Input(first)));
  const std::vector<float> rest = Copy(*session->Forward(Input(second)));
  parts.insert(parts.end(), rest.begin(), rest.end());
  const Logits found{parts.data(), 1, 700, 96};
  EXPECT_LE(RelativeError(found, at_once, nullptr), kTolerance);
}

TEST_F(SessionTest, ABatchLargerThanAChunkEqualsItsRows) {
  const std::vector<int64_t> row = LongRow(3);
  std::vector<int64_t> ids;
  for (int i = 0; i < 600; ++i) ids.insert(ids.end(), row.begin(), row.end());
  const auto session = NewSession(*model_);
  const std::vector<float> single = Copy(*session->Forward(Input(row)));
  session->Reset();
  const auto batch = session->Forward(Input(ids, 600));
  ASSERT_TRUE(batch.ok()) << batch.status();
  const Logits last{batch->data + 599 * 3 * 96, 1, 3, 96};
  EXPECT_LE(RelativeError(last, single, nullptr), kTolerance);
}

TEST_F(SessionTest, PositionIdsShiftTheRotation) {
  const auto session = NewSession(*model_);
  const std::vector<float> plain = Copy(*session->Forward(golden_.Prompt()));
  session->Reset();
  std::vector<int64_t> positions(golden_.ids.size());
  for (size_t i = 0; i < positions.size(); ++i) {
    positions[i] = static_cast<int64_t>(i) % golden_.length;
  }
  ForwardInput input = golden_.Prompt();
  input.position_ids = positions.data();
  EXPECT_LE(RelativeError(*session->Forward(input), plain, &golden_.mask), 0);
  session->Reset();
  for (int64_t& position : positions) position *= 3;
  EXPECT_GT(RelativeError(*session->Forward(input), plain, &golden_.mask),
            1e-2);
}

TEST_F(SessionTest, ThreadsDoNotChangeTheResult) {
  ModelOptions options;
  options.num_threads = 3;
  const auto threaded = Model::Open(folder_, options);
  ASSERT_TRUE(threaded.ok());
  const auto one = NewSession(*model_);
  const auto three = NewSession(**threaded);
  const std::vector<int64_t> ids = LongRow(100);
  const std::vector<float> expected = Copy(*one->Forward(Input(ids)));
  EXPECT_EQ(RelativeError(*three->Forward(Input(ids)), expected, nullptr), 0);
}

TEST_F(SessionTest, BadInputNamesWhatIsWrong) {
  const auto session = NewSession(*model_);
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  ForwardInput input = golden_.Prompt();
  input.batch = 0;
  EXPECT_TRUE(IsError(session->Forward(input).status(), kInvalid, "ARGUMENT",
                      "0 rows"));
  input = golden_.Prompt();
  input.length = int64_t{1} << 62;
  EXPECT_TRUE(IsError(session->Forward(input).status(), kInvalid, "ARGUMENT",
                      "too many"));
  input = golden_.Prompt();
  input.ids = nullptr;
  EXPECT_TRUE(IsError(session->Forward(input).status(), kInvalid, "ARGUMENT",
                      "ids is null"));
  ForwardOptions options;
  options.logits_to_keep = -1;
  EXPECT_TRUE(IsError(session->Forward(golden_.Prompt(), options).status(),
                      kInvalid, "ARGUMENT", "logits_to_keep is -1"));
  for (const int64_t id : {int64_t{-1}, int64_t{96}}) {
    EXPECT_TRUE(
        IsError(session->Forward(Input({1, id})).status(), kInvalid,
                "TOKEN_OUT_OF_RANGE",
                absl::StrCat("token id ", id, " at row 0, position 1")));
  }
  const std::vector<int64_t> positions = {0, -3};
  const std::vector<int64_t> ids = {1, 2};
  input = Input(ids);
  input.position_ids = positions.data();
  EXPECT_TRUE(IsError(session->Forward(input).status(), kInvalid, "ARGUMENT",
                      "position id -3"));
}

TEST_F(SessionTest, AFailedForwardLeavesTheCacheAsItWas) {
  const auto session = NewSession(*model_);
  ASSERT_TRUE(session->Forward(golden_.Prompt()).ok());
  const std::vector<int64_t> other_batch = {5, 6};
  EXPECT_TRUE(IsError(session->Forward(Input(other_batch, 2)).status(),
                      absl::StatusCode::kInvalidArgument, "ARGUMENT",
                      "filled with 3"));
  const std::vector<int64_t> bad = {5, 6, 1000};
  EXPECT_FALSE(session->Forward(Input(bad, 3)).ok());
  EXPECT_EQ(session->cache_length(), golden_.length);
  const auto logits = session->Forward(golden_.Step());
  EXPECT_LE(RelativeError(*logits, golden_.step_logits, nullptr), kTolerance);
}

TEST_F(SessionTest, AHugeRequestIsOutOfMemoryAndChangesNothing) {
  SessionOptions options;
  options.max_length = int64_t{1} << 60;
  const auto session = NewSession(*model_, options);
  EXPECT_TRUE(IsError(session->Forward(golden_.Prompt()).status(),
                      absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY",
                      "KV cache"));
  EXPECT_EQ(session->cache_length(), 0);
}

TEST_F(SessionTest, MaxLengthIsALimit) {
  SessionOptions options;
  options.max_length = golden_.length + 1;
  const auto session = NewSession(*model_, options);
  ASSERT_TRUE(session->Forward(golden_.Prompt()).ok());
  EXPECT_TRUE(IsError(session->Forward(golden_.Step()).status(),
                      absl::StatusCode::kResourceExhausted, "SEQUENCE_TOO_LONG",
                      "would have 11 positions"));
  EXPECT_EQ(session->cache_length(), golden_.length);
  const std::vector<int64_t> ids = {5, 6, 7};
  EXPECT_TRUE(session->Forward(Input(ids, 3)).ok());
}

TEST_F(SessionTest, ANegativeMaxLengthIsRefused) {
  SessionOptions options;
  options.max_length = -1;
  EXPECT_TRUE(IsError(Session::Create(*model_, options).status(),
                      absl::StatusCode::kInvalidArgument, "ARGUMENT",
                      "max_length is -1"));
}

TEST_F(SessionTest, GoesOnBeyondTheTrainedLengthAsTransformersDoes) {
  const auto session = NewSession(*model_);
  ASSERT_GT(100, model_->base().config().max_position_embeddings);
  EXPECT_TRUE(session->Forward(Input(LongRow(100))).ok());
}

TEST_F(SessionTest, ResetForgetsTheCacheAndFreesTheBatch) {
  const auto session = NewSession(*model_);
  ASSERT_TRUE(session->Forward(golden_.Step()).ok());
  session->Reset();
  EXPECT_EQ(session->cache_length(), 0);
  const std::vector<int64_t> ids = {5, 6};
  ASSERT_TRUE(session->Forward(Input(ids, 2)).ok());
  session->Reset();
  const auto logits = session->Forward(golden_.Prompt());
  EXPECT_LE(RelativeError(*logits, golden_.logits, &golden_.mask), kTolerance);
}

TEST(RoundedActivationsTest, AreNearTheExactOnesAndOnlyOfManyTokens) {
  const auto model = OpenModel(GoldenModel("llama_bf16"));
  const auto exact = NewSession(*model);
  SessionOptions options;
  options.round_activations = true;
  const auto rounded = NewSession(*model, options);
  for (const int64_t length : {8, 24}) {
    const std::vector<int64_t> ids = LongRow(length);
    exact->Reset();
    rounded->Reset();
    const std::vector<float> expected = Copy(*exact->Forward(Input(ids)));
    const double error =
        RelativeError(*rounded->Forward(Input(ids)), expected, nullptr);
    const std::string kernels = kernels::CpuVariantName();
    const bool rounds = kernels == "avx512_bf16" || kernels == "amx";
    EXPECT_EQ(error > 0, rounds && length > 8) << error;
    EXPECT_LE(error, 2e-2);
  }
}

TEST_F(SessionTest, AnotherActivationMayNotGoOnWithTheCache) {
  ASSERT_TRUE(model_->LoadAdapter("a", WriteAdapter(1.0f)).ok());
  const auto session = NewSession(*model_);
  ASSERT_TRUE(session->Forward(golden_.Prompt()).ok());
  model_->DisableAdapters();
  EXPECT_TRUE(IsError(session->Forward(golden_.Step()).status(),
                      absl::StatusCode::kFailedPrecondition,
                      "ACTIVATION_CHANGED", "reset the session"));
  EXPECT_EQ(session->cache_length(), golden_.length);
  ForwardOptions options;
  options.allow_activation_change = true;
  EXPECT_TRUE(session->Forward(golden_.Step(), options).ok());
  // What counts is who acts, not how it came about.
  model_->EnableAdapters();
  model_->DisableAdapters();
  EXPECT_TRUE(session->Forward(golden_.Step()).ok());
  session->Reset();
  model_->EnableAdapters();
  EXPECT_TRUE(session->Forward(golden_.Prompt()).ok());
}

}  // namespace
}  // namespace peft
