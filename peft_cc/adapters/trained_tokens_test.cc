#include "peft_cc/adapters/trained_tokens.h"

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"
#include "peft_cc/methods/forms.h"

namespace peft {
namespace {

using ::testing::HasSubstr;

constexpr char kQ0[] = "model.layers.0.self_attn.q_proj";
constexpr char kRows[] =
    "model.embed_tokens.token_adapter.trainable_tokens_delta";

// An adapter of one q_proj that replaces two rows of the embedding.
class TrainedTokensTest : public ::testing::Test {
 protected:
  TrainedTokensTest() {
    config_.targets.trained_tokens = {{"", {7, 2}}};
    AddFactors(sites_, kQ0, tensors_);
    tensors_[kRows] = MakeTensor({2, 8}, std::vector<float>(8, 1.0f));
  }

  absl::StatusOr<LoadedAdapter> Build() {
    return BuildAdapter(sites_, "mine", config_, tensors_, {});
  }

  void ExpectConfigError(std::vector<int64_t> ids, const std::string& message) {
    config_.targets.trained_tokens[0].ids = std::move(ids);
    const absl::Status status = Build().status();
    EXPECT_EQ(ErrorId(status), error_id::kAdapterConfig);
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }

  // The model with its head's weight that of the embedding.
  void Tie() {
    std::vector<Site> sites = sites_.sites();
    sites.back().weight = sites.front().weight;
    sites_ = SiteTable(std::move(sites), sites_.module_names(), "qwen2");
  }

  SiteTable sites_ = TinySites();
  AdapterConfig config_ = MakeLoraConfig({kQ0});
  TensorMap tensors_;
};

TEST_F(TrainedTokensTest, RowsAreSortedByTheirIds) {
  const LoadedAdapter loaded = *Build();
  const auto& form =
      std::get<ReplaceRows>(loaded.adapter->entries()[0].program[0]);
  EXPECT_EQ(form.ids, (std::vector<int64_t>{2, 7}));
  EXPECT_EQ(form.rows.ToF32()[0], 0.0f);
  EXPECT_EQ(form.rows.ToF32()[8], 1.0f);
  EXPECT_EQ(loaded.report.num_sites, 2);
}

TEST_F(TrainedTokensTest, ATiedHeadFollows) {
  Tie();
  const LoadedAdapter loaded = *Build();
  const SiteProgram* head = loaded.adapter->FindProgram(sites_.Find("lm_head"));
  ASSERT_NE(head, nullptr);
  EXPECT_EQ(std::get<ReplaceRows>(head->front()).ids,
            (std::vector<int64_t>{2, 7}));
}

TEST_F(TrainedTokensTest, ATiedHeadWithRowsOfItsOwnDoesNot) {
  Tie();
  config_.targets.trained_tokens = {{"embed_tokens", {7, 2}}, {"lm_head", {4}}};
  tensors_["lm_head.token_adapter.trainable_tokens_delta"] = MakeTensor({1, 8});
  const LoadedAdapter loaded = *Build();
  const SiteProgram* head = loaded.adapter->FindProgram(sites_.Find("lm_head"));
  EXPECT_EQ(std::get<ReplaceRows>(head->front()).ids,
            (std::vector<int64_t>{4}));
}

TEST_F(TrainedTokensTest, IdsAreRows) {
  ExpectConfigError({7, 10}, "has 10 rows");
  ExpectConfigError({7, -1}, "the id -1");
}

TEST_F(TrainedTokensTest, OfAnIdThatIsThereTwiceTheLastRowCounts) {
  config_.targets.trained_tokens[0].ids = {7, 2, 7};
  std::vector<float> rows(24, 1.0f);
  rows[16] = 3.0f;
  tensors_[kRows] = MakeTensor({3, 8}, rows);
  const LoadedAdapter loaded = *Build();
  const auto& form =
      std::get<ReplaceRows>(loaded.adapter->entries()[0].program[0]);
  EXPECT_EQ(form.ids, (std::vector<int64_t>{2, 7}));
  EXPECT_EQ(form.rows.dim(0), 2);
  EXPECT_EQ(form.rows.ToF32()[0], 1.0f);
  EXPECT_EQ(form.rows.ToF32()[8], 3.0f);
}

TEST_F(TrainedTokensTest, RowsFitTheIds) {
  config_.targets.trained_tokens[0].ids = {1};
  EXPECT_EQ(ErrorId(Build().status()), error_id::kTensorShapeMismatch);
}

TEST_F(TrainedTokensTest, AModuleIsChangedInOneWay) {
  config_.targets.modules_to_save = {"embed_tokens"};
  tensors_["model.embed_tokens.weight"] = MakeTensor({10, 8});
  ExpectConfigError({7, 2}, "one of both");
}

TEST_F(TrainedTokensTest, OtherModulesAreRefused) {
  config_.targets.trained_tokens[0].module = "input_layernorm";
  ExpectConfigError({7, 2}, "no embedding");
  config_.targets.trained_tokens[0].module = "absent";
  EXPECT_EQ(ErrorId(Build().status()), error_id::kNoTargetMatched);
}

}  // namespace
}  // namespace peft
