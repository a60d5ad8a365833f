#include "peft_cc/models/bert_config.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/models/config_test_util.h"

namespace peft {
namespace {

constexpr char kType[] = "bert";

absl::StatusOr<BertConfig> Parse(absl::string_view fields = "") {
  return ParseFieldsOf<BertConfig>(kType, fields);
}

TEST(BertConfigTest, DefaultsAreTransformers) {
  const auto config = Parse();
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->vocab_size, 30522);
  EXPECT_EQ(config->hidden_size, 768);
  EXPECT_EQ(config->num_hidden_layers, 12);
  EXPECT_EQ(config->head_dim, 64);
  EXPECT_EQ(config->intermediate_size, 3072);
  EXPECT_EQ(config->max_position_embeddings, 512);
  EXPECT_EQ(config->num_token_types, 2);
  EXPECT_EQ(config->hidden_act, kernels::Activation::kGelu);
  EXPECT_FLOAT_EQ(config->layer_norm_eps, 1e-12f);
  EXPECT_TRUE(config->tie_word_embeddings);
  EXPECT_FALSE(config->is_causal);
}

TEST(BertConfigTest, HostileSizesAreErrorsThatNameTheKey) {
  for (const char* key :
       {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
        "intermediate_size", "max_position_embeddings", "type_vocab_size"}) {
    for (const char* value : {"0", "-1", "1e9", "2.0", "NaN", "true", "\"8\"",
                              "null", "{}", "9223372036854775807"}) {
      EXPECT_TRUE(
          IsConfigError(kType, absl::StrCat("\"", key, "\": ", value), key))
          << key << " " << value;
    }
  }
  EXPECT_TRUE(
      IsConfigError(kType, R"("num_attention_heads": 5)", "a divisor of"));
  EXPECT_TRUE(
      IsConfigError(kType, R"("layer_norm_eps": "x")", "layer_norm_eps"));
}

TEST(BertConfigTest, WhatDoesNotRunIsNamed) {
  EXPECT_TRUE(IsUnsupported(kType, R"("is_decoder": true)", "is_decoder"));
  EXPECT_TRUE(IsUnsupported(kType, R"("add_cross_attention": true)",
                            "add_cross_attention"));
  EXPECT_TRUE(IsUnsupported(kType,
                            R"("position_embedding_type": "relative_key")",
                            "position_embedding_type"));
  EXPECT_TRUE(Parse(R"("position_embedding_type": "absolute")").ok());
  EXPECT_TRUE(IsUnsupported(kType, R"("architectures": ["BertForPreTraining"])",
                            "BertForPreTraining"));
  EXPECT_TRUE(IsUnsupported(kType, R"("hidden_act": "mish")", "hidden_act"));
}

TEST(BertConfigTest, AnswersHaveAStartAndAnEnd) {
  const std::string qa = R"("architectures": ["BertForQuestionAnswering"])";
  EXPECT_TRUE(Parse(qa).ok());
  EXPECT_TRUE(IsConfigError(kType, qa + R"(, "num_labels": 3)", "num_labels"));
}

}  // namespace
}  // namespace peft
