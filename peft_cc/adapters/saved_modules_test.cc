#include "peft_cc/adapters/saved_modules.h"

#include <string>
#include <variant>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"
#include "peft_cc/methods/forms.h"

namespace peft {
namespace {

constexpr char kQ0[] = "model.layers.0.self_attn.q_proj";
constexpr char kHead[] = "lm_head.weight";

// An adapter of one q_proj that replaces the head.
class SavedModulesTest : public ::testing::Test {
 protected:
  SavedModulesTest() {
    config_.targets.modules_to_save = {"lm_head"};
    AddFactors(sites_, kQ0, tensors_);
    tensors_[kHead] = MakeTensor({10, 8}, {1});
  }

  absl::StatusOr<LoadedAdapter> Build() {
    return BuildAdapter(sites_, "mine", config_, tensors_, {});
  }

  SiteTable sites_ = TinySites();
  AdapterConfig config_ = MakeLoraConfig({kQ0});
  TensorMap tensors_;
};

TEST_F(SavedModulesTest, ReplaceTheModule) {
  const LoadedAdapter loaded = *Build();
  const SiteProgram* program =
      loaded.adapter->FindProgram(sites_.Find("lm_head"));
  ASSERT_NE(program, nullptr);
  EXPECT_EQ(std::get<Replace>(program->front()).weight.ToF32()[0], 1.0f);
}

TEST_F(SavedModulesTest, AContainerReplacesAllBelowIt) {
  config_.targets.modules_to_save = {"layers.1.self_attn"};
  tensors_.erase(kHead);
  for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
    const std::string module = std::string("model.layers.1.self_attn.") + name;
    const Site& site = sites_.sites()[sites_.Find(module)];
    tensors_[module + ".weight"] = site.weight;
    if (site.has_bias()) tensors_[module + ".bias"] = site.bias;
  }
  EXPECT_EQ(Build()->report.num_sites, 5);
}

TEST_F(SavedModulesTest, ANameIsTheEndOfAModulesName) {
  config_.targets.modules_to_save = {"head"};
  EXPECT_TRUE(Build().ok());
}

TEST_F(SavedModulesTest, AModuleThatIsNotThereIsNothing) {
  config_.targets.modules_to_save = {"score", "lm_head"};
  EXPECT_TRUE(Build().ok());
}

TEST_F(SavedModulesTest, MissingTensorsAreNamed) {
  tensors_.erase(kHead);
  const absl::Status status = Build().status();
  EXPECT_EQ(ErrorId(status), error_id::kTensorMissing);
}

TEST_F(SavedModulesTest, CopiesOfBiasesThatPeftSavesBesideAreNotUsed) {
  config_.targets.bias = BiasMode::kAll;
  config_.targets.modules_to_save = {"layers.1.self_attn.k_proj"};
  tensors_.clear();
  AddFactors(sites_, kQ0, tensors_);
  const std::string module = "model.layers.1.self_attn.k_proj";
  tensors_[module + ".weight"] = MakeTensor({4, 8});
  for (const char* part :
       {".bias", ".original_module.bias", ".modules_to_save.bias"}) {
    tensors_[module + part] = MakeTensor({4});
  }
  tensors_[std::string(kQ0) + ".base_layer.bias"] = MakeTensor({8});
  for (const char* name :
       {"model.layers.0.self_attn.k_proj", "model.layers.0.self_attn.v_proj",
        "model.layers.1.self_attn.v_proj"}) {
    tensors_[std::string(name) + ".bias"] = MakeTensor({4});
  }
  tensors_["model.layers.1.self_attn.q_proj.bias"] = MakeTensor({8});
  const absl::StatusOr<LoadedAdapter> loaded = Build();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->adapter->FindProgram(sites_.Find(module))->size(), 1u);
}

}  // namespace
}  // namespace peft
