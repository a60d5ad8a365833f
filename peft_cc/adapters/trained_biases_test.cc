#include "peft_cc/adapters/trained_biases.h"

#include <string>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kO0[] = "model.layers.0.self_attn.o_proj";
constexpr char kQ0[] = "model.layers.0.self_attn.q_proj";
constexpr char kK0[] = "model.layers.0.self_attn.k_proj";

// An adapter of the q_proj of layer 0, whose k_proj and v_proj have biases.
class TrainedBiasesTest : public ::testing::Test {
 protected:
  TrainedBiasesTest() {
    config_.targets.target_modules->names = {kQ0};
    AddFactors(sites_, kQ0, tensors_);
  }

  void AddBias(const std::string& name, int64_t size) {
    tensors_[name] = MakeTensor({size}, std::vector<float>(size, 0.25f));
  }

  // As bias = "all" saves them.
  void AddAllBiases() {
    for (const char* layer : {"model.layers.0.", "model.layers.1."}) {
      const std::string attention = std::string(layer) + "self_attn.";
      const bool is_target = std::string(kQ0).rfind(layer, 0) == 0;
      AddBias(
          attention + (is_target ? "q_proj.base_layer.bias" : "q_proj.bias"),
          8);
      AddBias(attention + "k_proj.bias", 4);
      AddBias(attention + "v_proj.bias", 4);
    }
  }

  absl::StatusOr<LoadedAdapter> Build() {
    return BuildAdapter(sites_, "mine", config_, tensors_, options_);
  }

  SiteTable sites_ = TinySites();
  AdapterConfig config_ = MakeLoraConfig({});
  TensorMap tensors_;
  AdapterLoadOptions options_;
};

TEST_F(TrainedBiasesTest, LoraOnlyIsADifferenceFromTheBase) {
  config_.targets.bias = BiasMode::kLoraOnly;
  AddBias(std::string(kQ0) + ".base_layer.bias", 8);
  const LoadedAdapter loaded = *Build();
  const SiteProgram& program = loaded.adapter->entries()[0].program;
  ASSERT_THAT(program, SizeIs(2));
  const std::vector<float> base = sites_.sites()[sites_.Find(kQ0)].bias.ToF32();
  const std::vector<float>& delta = std::get<Bias>(program[1]).delta;
  for (size_t i = 0; i < base.size(); ++i) {
    EXPECT_EQ(base[i] + delta[i], 0.25f);
  }
}

TEST_F(TrainedBiasesTest, AllAdaptsLayersThatAreNoTargets) {
  config_.targets.bias = BiasMode::kAll;
  AddAllBiases();
  const LoadedAdapter loaded = *Build();
  EXPECT_EQ(loaded.report.num_sites, 6);
}

TEST_F(TrainedBiasesTest, UnchangedBiasIsNoForm) {
  config_.targets.bias = BiasMode::kLoraOnly;
  tensors_[std::string(kQ0) + ".base_layer.bias"] =
      sites_.sites()[sites_.Find(kQ0)].bias;
  EXPECT_THAT(Build()->adapter->entries()[0].program, SizeIs(1));
}

TEST_F(TrainedBiasesTest, MissingBiasIsNamed) {
  config_.targets.bias = BiasMode::kAll;
  AddAllBiases();
  tensors_.erase(std::string(kK0) + ".bias");
  const absl::Status status = Build().status();
  EXPECT_EQ(ErrorId(status), error_id::kTensorMissing);
  EXPECT_THAT(GetErrorDetails(status).tensor, HasSubstr("k_proj.bias"));
}

TEST_F(TrainedBiasesTest, LayersWrappedByAnotherAdapterAreFound) {
  config_.targets.bias = BiasMode::kAll;
  AddAllBiases();
  tensors_.erase(std::string(kK0) + ".bias");
  AddBias(std::string(kK0) + ".base_layer.bias", 4);
  EXPECT_TRUE(Build().ok());
}

// As BertForMaskedLM has it.
SiteTable MaskedLmSites() {
  Site query;
  query.name = "query";
  query.in_features = query.out_features = 8;
  query.weight = MakeTensor({8, 8});
  Site head = query;
  head.name = "cls.predictions.decoder";
  head.is_output_embedding = true;
  head.bias = MakeTensor({8});
  return SiteTable({query, head},
                   {"query", "cls", "cls.predictions", head.name}, "bert");
}

TEST_F(TrainedBiasesTest, TheHeadOfAMaskedLmHasItsBiasUnderTwoNames) {
  sites_ = MaskedLmSites();
  config_ = MakeLoraConfig({"query"});
  config_.targets.bias = BiasMode::kAll;
  for (const std::string part : {"", ".token_adapter.base_layer"}) {
    tensors_.clear();
    AddFactors(sites_, "query", tensors_);
    AddBias("cls.predictions.bias", 8);
    AddBias("cls.predictions.decoder" + part + ".bias", 8);
    const auto loaded = Build();
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_THAT(loaded->adapter->state_dict(), SizeIs(4));
    const SiteProgram& program = loaded->adapter->entries()[1].program;
    ASSERT_THAT(program, SizeIs(1));
    EXPECT_EQ(std::get<Bias>(program[0]).delta, std::vector<float>(8, 0.25f));
  }
}

TEST_F(TrainedBiasesTest, LoraOnlyHasTheBiasOfAHeadWithTrainedTokens) {
  sites_ = MaskedLmSites();
  config_ = MakeLoraConfig({"query"});
  config_.targets.bias = BiasMode::kLoraOnly;
  tensors_.clear();
  AddFactors(sites_, "query", tensors_);
  AddBias("cls.predictions.decoder.token_adapter.base_layer.bias", 8);
  const auto loaded = Build();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const SiteProgram& program = loaded->adapter->entries()[1].program;
  ASSERT_THAT(program, SizeIs(1));
  EXPECT_EQ(std::get<Bias>(program[0]).delta, std::vector<float>(8, 0.25f));
}

TEST_F(TrainedBiasesTest, BiasOfALayerWithoutOneIsUnexpected) {
  config_.targets.bias = BiasMode::kAll;
  AddAllBiases();
  AddBias(std::string(kO0) + ".bias", 8);
  EXPECT_EQ(ErrorId(Build().status()), error_id::kTensorUnexpected);
}

TEST_F(TrainedBiasesTest, BiasThatTheConfigDoesNotNameIsUnexpected) {
  AddBias(std::string(kQ0) + ".base_layer.bias", 8);
  EXPECT_EQ(ErrorId(Build().status()), error_id::kTensorUnexpected);
}

TEST_F(TrainedBiasesTest, WrongShapeIsNamed) {
  config_.targets.bias = BiasMode::kLoraOnly;
  AddBias(std::string(kQ0) + ".base_layer.bias", 9);
  const absl::Status status = Build().status();
  EXPECT_EQ(ErrorId(status), error_id::kTensorShapeMismatch);
  EXPECT_EQ(GetErrorDetails(status).expected, "[8]");
}

}  // namespace
}  // namespace peft
