#include "peft_cc/models/gpt2_config.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/models/config_test_util.h"

namespace peft {
namespace {

constexpr char kType[] = "gpt2";

absl::StatusOr<Gpt2Config> Parse(absl::string_view fields = "") {
  return ParseFieldsOf<Gpt2Config>(kType, fields);
}

TEST(Gpt2ConfigTest, DefaultsAreTransformers) {
  const auto config = Parse();
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->vocab_size, 50257);
  EXPECT_EQ(config->hidden_size, 768);
  EXPECT_EQ(config->num_hidden_layers, 12);
  EXPECT_EQ(config->num_attention_heads, 12);
  EXPECT_EQ(config->num_key_value_heads, 12);
  EXPECT_EQ(config->head_dim, 64);
  EXPECT_EQ(config->max_position_embeddings, 1024);
  EXPECT_EQ(config->n_inner, 4 * 768);
  EXPECT_EQ(config->activation_function, kernels::Activation::kGeluTanh);
  EXPECT_FLOAT_EQ(config->layer_norm_epsilon, 1e-5f);
  EXPECT_TRUE(config->scale_attn_weights && config->tie_word_embeddings);
  EXPECT_FALSE(config->scale_attn_by_inverse_layer_idx);
  EXPECT_EQ(config->eos_token_ids, std::vector<int64_t>{50256});
  EXPECT_FALSE(config->pad_token_id.has_value());
  EXPECT_EQ(config->positions, PositionKind::kTable);
  EXPECT_TRUE(config->is_causal);
}

TEST(Gpt2ConfigTest, SizesHaveTwoNames) {
  const auto config = Parse(R"("hidden_size": 12, "num_attention_heads": 3,
      "n_layer": 2, "num_hidden_layers": 7, "max_position_embeddings": 9,
      "n_inner": null)");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->hidden_size, 12);
  EXPECT_EQ(config->head_dim, 4);
  EXPECT_EQ(config->num_hidden_layers, 2);
  EXPECT_EQ(config->max_position_embeddings, 9);
  EXPECT_EQ(config->n_inner, 48);
}

TEST(Gpt2ConfigTest, HostileSizesAreErrorsThatNameTheKey) {
  for (const char* key : {"vocab_size", "n_embd", "n_layer", "n_head",
                          "n_positions", "n_inner", "num_labels"}) {
    for (const char* value : {"0", "-1", "1e9", "2.0", "NaN", "true", "\"8\"",
                              "[]", "{}", "9223372036854775807"}) {
      EXPECT_TRUE(
          IsConfigError(kType, absl::StrCat("\"", key, "\": ", value), key))
          << key << " " << value;
    }
  }
  EXPECT_TRUE(
      IsConfigError(kType, R"("n_head": 7)", "a divisor of the hidden size"));
  EXPECT_TRUE(IsConfigError(kType, R"("layer_norm_epsilon": -1)", "epsilon"));
  EXPECT_TRUE(IsConfigError(kType, R"("scale_attn_weights": 1)", "scale_attn"));
  EXPECT_TRUE(
      IsConfigError(kType, R"("reorder_and_upcast_attn": 3)", "reorder"));
  EXPECT_TRUE(IsConfigError(kType, R"("n_embd": null)", "n_embd"));
}

TEST(Gpt2ConfigTest, WhatDoesNotRunIsNamed) {
  EXPECT_TRUE(IsUnsupported(kType, R"("add_cross_attention": true)",
                            "add_cross_attention"));
  EXPECT_TRUE(IsUnsupported(kType, R"("activation_function": "mish")",
                            "activation_function"));
  EXPECT_TRUE(IsUnsupported(kType,
                            R"("architectures": ["GPT2DoubleHeadsModel"])",
                            "GPT2DoubleHeadsModel"));
  EXPECT_TRUE(IsUnsupported(kType, R"("quantization_config": {"bits": 4})",
                            "quantization_config"));
}

TEST(Gpt2ConfigTest, LabelsAreCounted) {
  EXPECT_EQ(Parse(R"("id2label": {"0": "a", "1": "b", "2": "c"})")->num_labels,
            3);
  EXPECT_EQ(Parse(R"("id2label": null, "num_labels": 7)")->num_labels, 7);
  EXPECT_EQ(Parse()->num_labels, 2);
  EXPECT_TRUE(IsConfigError(kType, R"("id2label": {})", "id2label"));
  EXPECT_TRUE(IsConfigError(kType, R"("id2label": {"x": "a"})", "id2label"));
  EXPECT_TRUE(IsConfigError(kType, R"("id2label": ["a"])", "id2label"));
  EXPECT_TRUE(
      IsConfigError(kType, R"("problem_type": "guess")", "problem_type"));
  EXPECT_TRUE(Parse(R"("problem_type": "regression", "num_labels": 1)").ok());
}

// The keys of the published model.
TEST(Gpt2ConfigTest, ThePublishedConfigIsRead) {
  const auto config = Parse(R"("activation_function": "gelu_new",
      "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
      "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256,
      "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "n_ctx": 1024,
      "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024,
      "resid_pdrop": 0.1, "summary_activation": null,
      "summary_first_dropout": 0.1, "summary_proj_to_labels": true,
      "summary_type": "cls_index", "summary_use_proj": true,
      "task_specific_params": {"text-generation": {"do_sample": true,
      "max_length": 50}}, "vocab_size": 50257)");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->task, ModelTask::kCausalLm);
}

}  // namespace
}  // namespace peft
