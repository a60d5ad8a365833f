// Rows of one batch that run different plans, and gates.

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/adapters/batch_plan.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/model_test_util.h"
#include "peft_cc/models/session.h"

namespace peft {
namespace {

using PlanPtr = std::shared_ptr<const Plan>;

// Three plans of the golden Llama: the base and two adapters on q_proj and the
// embedding.
class SessionRowsTest : public ::testing::Test {
 protected:
  SessionRowsTest() {
    for (const auto& [name, scale] : {std::pair("a", 1.0f), {"b", -0.5f}}) {
      EXPECT_TRUE(model_->LoadAdapter(name, WriteAdapter(scale), {}).ok());
    }
    plans_ = {MakePlan({}), MakePlan({{Loaded("a"), 1}}),
              MakePlan({{Loaded("b"), 2}, {Loaded("a"), 1}})};
  }

  std::shared_ptr<const Adapter> Loaded(const std::string& name) {
    return *model_->GetAdapter(name);
  }

  PlanPtr MakePlan(std::vector<Activation::Entry> entries) {
    return *Plan::Create(model_->base().sites(), {std::move(entries)});
  }

  // Adapter "a" behind a gate.
  PlanPtr GatedPlan(std::vector<int64_t> tokens) {
    const auto gate =
        std::make_shared<const std::vector<int64_t>>(std::move(tokens));
    std::vector<Adapter::SiteEntry> entries = Loaded("a")->entries();
    for (Adapter::SiteEntry& entry : entries) {
      for (Form& form : entry.program) std::get<LowRank>(form).gate = gate;
    }
    return MakePlan({{std::make_shared<Adapter>(AdapterConfig(), TensorMap(),
                                                std::move(entries)),
                      1}});
  }

  static ForwardInput Input(const std::vector<int64_t>& ids, int64_t batch) {
    ForwardInput input;
    input.ids = ids.data();
    input.batch = batch;
    input.length = static_cast<int64_t>(ids.size()) / batch;
    return input;
  }

  std::vector<float> Run(Session& session, const std::vector<int64_t>& ids,
                         int64_t batch, const BatchPlan& plans,
                         int64_t keep = 0) {
    ForwardOptions options;
    options.plans = &plans;
    options.logits_to_keep = keep;
    const auto logits = session.Forward(Input(ids, batch), options);
    EXPECT_TRUE(logits.ok()) << logits.status();
    if (!logits.ok()) return {};
    return std::vector<float>(
        logits->data,
        logits->data + logits->batch * logits->positions * logits->vocabulary);
  }

  // The logits of one row alone.
  std::vector<float> Alone(const std::vector<int64_t>& ids,
                           const PlanPtr& plan) {
    return Run(*NewSession(*model_), ids, 1, BatchPlan(plan));
  }

  static void ExpectNear(absl::Span<const float> found,
                         absl::Span<const float> expected) {
    ASSERT_EQ(found.size(), expected.size());
    float scale = 0;
    for (const float value : expected) scale = std::max(scale, std::abs(value));
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_NEAR(found[i], expected[i], 1e-5 * scale) << i;
    }
  }

  const std::unique_ptr<Model> model_ = OpenModel(GoldenModel("llama"));
  std::vector<PlanPtr> plans_;
};

// `rows` rows of `length` tokens.
std::vector<int64_t> Tokens(int64_t rows, int64_t length) {
  std::vector<int64_t> ids(rows * length);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = 3 + (i * 31 + i / 7) % 90;
  return ids;
}

TEST_F(SessionRowsTest, EachRowRunsAsAlone) {
  for (const int64_t length : {1, 9, 300}) {
    const int64_t rows = 5;
    const std::vector<int64_t> ids = Tokens(rows, length);
    const std::vector<PlanPtr> plans = {plans_[1], plans_[0], plans_[2],
                                        plans_[1], plans_[0]};
    const std::vector<float> all =
        Run(*NewSession(*model_), ids, rows, BatchPlan(plans));
    const size_t size = all.size() / rows;
    for (int64_t row = 0; row < rows; ++row) {
      const auto begin = ids.begin() + row * length;
      ExpectNear(absl::MakeSpan(all).subspan(row * size, size),
                 Alone({begin, begin + length}, plans[row]));
    }
  }
}

TEST_F(SessionRowsTest, KeptLogitsStandInTheBatchsOrder) {
  const std::vector<int64_t> ids = Tokens(3, 8);
  const BatchPlan plans(std::vector<PlanPtr>{plans_[1], plans_[0], plans_[1]});
  const std::vector<float> all = Run(*NewSession(*model_), ids, 3, plans);
  const std::vector<float> kept = Run(*NewSession(*model_), ids, 3, plans, 2);
  const size_t vocabulary = model_->base().config().vocab_size;
  for (size_t row = 0; row < 3; ++row) {
    ExpectNear(
        absl::MakeSpan(kept).subspan(row * 2 * vocabulary, 2 * vocabulary),
        absl::MakeSpan(all).subspan((row * 8 + 6) * vocabulary,
                                    2 * vocabulary));
  }
}

TEST_F(SessionRowsTest, RowsGoOnWithTheirPlansOnly) {
  const std::vector<int64_t> ids = Tokens(2, 4);
  const auto session = NewSession(*model_);
  const BatchPlan plans(std::vector<PlanPtr>{plans_[1], plans_[2]});
  Run(*session, ids, 2, plans);
  Run(*session, Tokens(2, 1), 2, plans);
  const BatchPlan other(std::vector<PlanPtr>{plans_[2], plans_[1]});
  ForwardOptions options;
  options.plans = &other;
  EXPECT_EQ(ErrorId(session->Forward(Input(ids, 2), options).status()),
            error_id::kActivationChanged);
}

TEST_F(SessionRowsTest, AsManyPlansAsRows) {
  const std::vector<int64_t> ids = Tokens(3, 4);
  const BatchPlan plans(std::vector<PlanPtr>{plans_[1], plans_[2]});
  ForwardOptions options;
  options.plans = &plans;
  EXPECT_TRUE(IsError(
      NewSession(*model_)->Forward(Input(ids, 3), options).status(),
      absl::StatusCode::kInvalidArgument, error_id::kArgument, "for 2 rows"));
}

TEST_F(SessionRowsTest, GenerateKeepsEachRowsPlan) {
  const std::vector<int64_t> ids = Tokens(3, 6);
  GenerateOptions options;
  options.max_new_tokens = 8;
  options.ignore_eos = true;
  const BatchPlan plans(std::vector<PlanPtr>{plans_[2], plans_[0], plans_[2]});
  options.plans = &plans;
  const auto all = NewSession(*model_)->Generate(Input(ids, 3), options);
  ASSERT_TRUE(all.ok()) << all.status();
  for (int64_t row = 0; row < 3; ++row) {
    const std::vector<int64_t> own(ids.begin() + row * 6,
                                   ids.begin() + (row + 1) * 6);
    const BatchPlan plan(row == 1 ? plans_[0] : plans_[2]);
    options.plans = &plan;
    const auto alone = NewSession(*model_)->Generate(Input(own, 1), options);
    ASSERT_TRUE(alone.ok()) << alone.status();
    EXPECT_EQ(all->tokens[row], alone->tokens[0]) << row;
  }
}

// Rows before the invocation are the base's; those from its start on differ.
TEST_F(SessionRowsTest, AGateOpensAtItsLastTokens) {
  std::vector<int64_t> ids = {9, 40, 41, 12, 13, 40, 41, 17, 18};
  const std::vector<float> gated = Alone(ids, GatedPlan({40, 41}));
  const std::vector<float> base = Alone(ids, plans_[0]);
  const size_t vocabulary = model_->base().config().vocab_size;
  for (size_t position = 0; position < ids.size(); ++position) {
    float difference = 0;
    for (size_t i = 0; i < vocabulary; ++i) {
      const size_t at = position * vocabulary + i;
      difference = std::max(difference, std::abs(gated[at] - base[at]));
    }
    if (position < 5) {
      EXPECT_LT(difference, 1e-5) << position;
    } else {
      EXPECT_GT(difference, 1e-4) << position;
    }
  }
}

TEST_F(SessionRowsTest, AGateStaysOpenOnTheCache) {
  const std::vector<int64_t> ids = {9, 40, 41, 12, 13};
  const BatchPlan plan(GatedPlan({40, 41}));
  const std::vector<float> at_once = Alone(ids, GatedPlan({40, 41}));
  const auto session = NewSession(*model_);
  Run(*session, {9, 40, 41}, 1, plan);
  const std::vector<float> later = Run(*session, {12, 13}, 1, plan);
  ExpectNear(later, absl::MakeSpan(at_once).last(later.size()));
}

TEST_F(SessionRowsTest, AGateWithoutItsTokensStaysClosed) {
  const std::vector<int64_t> ids = {9, 41, 40, 12};
  ExpectNear(Alone(ids, GatedPlan({40, 41})), Alone(ids, plans_[0]));
}

}  // namespace
}  // namespace peft
