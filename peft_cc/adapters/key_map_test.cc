#include "peft_cc/adapters/key_map.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TensorMap Named(const std::vector<std::string>& names) {
  TensorMap tensors;
  for (const std::string& name : names) tensors[name] = MakeTensor({1});
  return tensors;
}

SiteTable BareSites() {
  Site site;
  site.name = "layers.0.self_attn.q_proj";
  return SiteTable({site}, {"layers", "layers.0", site.name}, "qwen2");
}

TEST(ParseTensorKeyTest, SplitsModuleAndPart) {
  const TensorKey key =
      ParseTensorKey("base_model.model.model.layers.0.mlp.up.lora_A.weight");
  EXPECT_EQ(key.module, "model.layers.0.mlp.up");
  EXPECT_EQ(key.part, "lora_A.weight");
  EXPECT_EQ(key.num_prefixes, 1);
  EXPECT_EQ(key.adapter_name, "");
}

TEST(ParseTensorKeyTest, PrefixIsOptional) {
  const TensorKey key = ParseTensorKey("model.embed_tokens.lora_embedding_B");
  EXPECT_EQ(key.module, "model.embed_tokens");
  EXPECT_EQ(key.part, "lora_embedding_B");
  EXPECT_EQ(key.num_prefixes, 0);
}

TEST(ParseTensorKeyTest, BiasesOfWrappedAndPlainLayers) {
  EXPECT_EQ(ParseTensorKey("a.q.base_layer.bias").part, "base_layer.bias");
  EXPECT_EQ(ParseTensorKey("a.q.base_layer.bias").module, "a.q");
  EXPECT_EQ(ParseTensorKey("a.q.bias").part, "bias");
  EXPECT_EQ(ParseTensorKey("a.q.bias").module, "a.q");
}

TEST(ParseTensorKeyTest, TakesOutAnAdapterName) {
  const TensorKey linear = ParseTensorKey("q.lora_A.default.weight");
  EXPECT_EQ(linear.part, "lora_A.weight");
  EXPECT_EQ(linear.adapter_name, "default");
  const TensorKey embedding = ParseTensorKey("e.lora_embedding_A.mine");
  EXPECT_EQ(embedding.part, "lora_embedding_A");
  EXPECT_EQ(embedding.adapter_name, "mine");
}

TEST(ParseTensorKeyTest, CountsRepeatedPrefixes) {
  const TensorKey key =
      ParseTensorKey("base_model.model.base_model.model.lm_head.lora_A.weight");
  EXPECT_EQ(key.module, "lm_head");
  EXPECT_EQ(key.num_prefixes, 2);
}

TEST(ParseTensorKeyTest, MagnitudesHaveNoWeight) {
  for (const char* part :
       {"lora_magnitude_vector", "lora_magnitude_vector.weight",
        "lora_magnitude_vector.mine.weight", "lora_magnitude_vector.mine"}) {
    EXPECT_EQ(ParseTensorKey(absl::StrCat("q.", part)).part,
              "lora_magnitude_vector");
  }
}

TEST(ParseTensorKeyTest, NamesBehindParametersOfOtherMethods) {
  EXPECT_EQ(ParseTensorKey("q.lora_E.mine").part, "lora_E");
  const TensorKey ia3 = ParseTensorKey("q.ia3_l.mine", "ia3_");
  EXPECT_EQ(ia3.part, "ia3_l");
  EXPECT_EQ(ia3.adapter_name, "mine");
}

TEST(ParseTensorKeyTest, TakesAnyName) {
  for (const char* name : {"", ".", "..", ".lora_", "lora_A", "base_layer.bias",
                           "base_model.model.", ".base_layer.x"}) {
    const TensorKey key = ParseTensorKey(name);
    EXPECT_EQ(key.file_name, name);
  }
}

TEST(MapKeysTest, NamesThatFitStay) {
  const KeyMap map = *MapKeys(
      Named({"base_model.model.model.layers.0.mlp.up_proj.lora_A.weight"}),
      TinySites());
  EXPECT_EQ(map.style, NameStyle::kSame);
  EXPECT_EQ(map.keys[0].module, "model.layers.0.mlp.up_proj");
  EXPECT_THAT(map.notes, IsEmpty());
  EXPECT_EQ(map.FileName("model.norm", "bias"),
            "base_model.model.model.norm.bias");
}

TEST(MapKeysTest, AddsWhatABareModelLacks) {
  const KeyMap map =
      *MapKeys(Named({"base_model.model.layers.0.mlp.up_proj.lora_A.weight"}),
               TinySites());
  EXPECT_EQ(map.style, NameStyle::kWithoutOuter);
  EXPECT_EQ(map.keys[0].module, "model.layers.0.mlp.up_proj");
  EXPECT_THAT(map.notes, ElementsAre(HasSubstr("without its head")));
  EXPECT_EQ(map.ModuleInFile("model.norm"), "norm");
  EXPECT_EQ(map.ModuleInFile("lm_head"), "");
}

TEST(MapKeysTest, StripsWhatABareModelLacks) {
  const KeyMap map = *MapKeys(
      Named({"model.layers.0.self_attn.q_proj.lora_A.weight"}), BareSites());
  EXPECT_EQ(map.style, NameStyle::kWithOuter);
  EXPECT_EQ(map.keys[0].module, "layers.0.self_attn.q_proj");
  EXPECT_EQ(map.ModuleInFile("layers"), "model.layers");
}

TEST(MapKeysTest, NotesAnAdapterName) {
  const KeyMap map =
      *MapKeys(Named({"lm_head.lora_A.x.weight", "lm_head.lora_B.x.weight"}),
               TinySites());
  EXPECT_THAT(map.notes, ElementsAre(HasSubstr("adapter name \"x\"")));
  EXPECT_EQ(map.keys[1].part, "lora_B.weight");
}

TEST(MapKeysTest, RefusesTwoAdapterNames) {
  const auto map =
      MapKeys(Named({"lm_head.lora_A.x.weight", "lm_head.lora_B.y.weight"}),
              TinySites());
  EXPECT_EQ(ErrorId(map.status()), error_id::kAdapterTensors);
  EXPECT_EQ(GetErrorDetails(map.status()).tensor, "lm_head.lora_B.y.weight");
}

TEST(MapKeysTest, RefusesTwoNamesForOneTensor) {
  const auto map = MapKeys(Named({"base_model.model.lm_head.lora_A.weight",
                                  "lm_head.lora_A.weight"}),
                           TinySites());
  EXPECT_EQ(ErrorId(map.status()), error_id::kAdapterTensors);
  EXPECT_THAT(map.status().message(), HasSubstr("are the same part"));
}

TEST(MapKeysTest, NotesMixedPrefixes) {
  const KeyMap map = *MapKeys(Named({"base_model.model.lm_head.lora_A.weight",
                                     "lm_head.lora_B.weight"}),
                              TinySites());
  EXPECT_THAT(map.notes, ElementsAre(HasSubstr("1 of 2 tensor names")));
}

TEST(MapKeysTest, TakesAFileWithoutTensors) {
  EXPECT_THAT(MapKeys({}, TinySites())->keys, IsEmpty());
}

TEST(IsOfClassifierTest, KnowsTheHeadsOfTransformers) {
  const auto is_head = [](const char* name) {
    return IsOfClassifier(ParseTensorKey(name));
  };
  EXPECT_TRUE(is_head("base_model.model.score.weight"));
  EXPECT_TRUE(is_head("base_model.model.classifier.bias"));
  EXPECT_TRUE(is_head("model.qa_outputs.weight"));
  EXPECT_FALSE(is_head("base_model.model.score.lora_A.weight"));
  EXPECT_FALSE(is_head("base_model.model.lm_head.weight"));
  EXPECT_FALSE(is_head("base_model.model.my_score.weight"));
}

TEST(UnexpectedHintTest, TellsWhatIsWrong) {
  const auto hint = [](const char* name) {
    return UnexpectedHint(ParseTensorKey(name));
  };
  EXPECT_THAT(hint("_orig_mod.lm_head.lora_A.weight"), HasSubstr("compiled"));
  for (const char* name :
       {"module.lm_head.lora_magnitude_vector",
        "layers.0._fsdp_wrapped_module.q_proj.lora_A.weight",
        "layers.0._checkpoint_wrapped_module.q_proj.lora_A.weight"}) {
    EXPECT_THAT(hint(name), HasSubstr("wrapper"));
  }
  EXPECT_THAT(hint("lm_head.lora_magnitude_vector"), HasSubstr("DoRA"));
  EXPECT_THAT(hint("lm_head.lora_B.bias"), HasSubstr("lora_bias"));
  EXPECT_THAT(hint("q_proj.base_layer.lora_A.weight"),
              HasSubstr("another adapter"));
  for (const char* name : {"mlp.experts.3.w1.lora_A.weight",
                           "mlp.experts.10.up_proj.lora_B.weight"}) {
    EXPECT_THAT(hint(name), HasSubstr("one expert"));
  }
  EXPECT_EQ(hint("mlp.experts.lora_A.weight"), "");
  EXPECT_EQ(hint("lm_head.lora_A.weight"), "");
}

}  // namespace
}  // namespace peft
