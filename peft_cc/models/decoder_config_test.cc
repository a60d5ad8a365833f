#include "peft_cc/models/decoder_config.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/models/config_test_util.h"

namespace peft {
namespace {

absl::StatusOr<DecoderConfig> Parse(absl::string_view model_type,
                                    absl::string_view fields = "") {
  return ParseFieldsOf<DecoderConfig>(model_type, fields);
}

TEST(DecoderConfigTest, LlamaDefaultsAreTransformers) {
  const auto config = Parse("llama");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->vocab_size, 32000);
  EXPECT_EQ(config->hidden_size, 4096);
  EXPECT_EQ(config->intermediate_size, 11008);
  EXPECT_EQ(config->num_hidden_layers, 32);
  EXPECT_EQ(config->num_key_value_heads, 32);
  EXPECT_EQ(config->head_dim, 128);
  EXPECT_EQ(config->max_position_embeddings, 2048);
  EXPECT_FLOAT_EQ(config->rms_norm_eps, 1e-6f);
  EXPECT_FALSE(config->qkv_bias || config->o_bias || config->mlp_bias);
  EXPECT_FALSE(config->qk_norm || config->tie_word_embeddings);
  EXPECT_EQ(config->sliding_windows, std::vector<int64_t>(32, 0));
  EXPECT_EQ(config->eos_token_ids, std::vector<int64_t>{2});
}

TEST(DecoderConfigTest, MistralDefaultsAreTransformers) {
  const auto config = Parse("mistral");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->intermediate_size, 14336);
  EXPECT_EQ(config->num_key_value_heads, 8);
  EXPECT_EQ(config->max_position_embeddings, 131072);
  EXPECT_EQ(config->sliding_windows, std::vector<int64_t>(32, 4096));
}

TEST(DecoderConfigTest, Qwen2DefaultsAreTransformers) {
  const auto config = Parse("qwen2");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->vocab_size, 151936);
  EXPECT_EQ(config->intermediate_size, 22016);
  EXPECT_TRUE(config->qkv_bias);
  EXPECT_FALSE(config->o_bias);
  EXPECT_EQ(config->sliding_windows, std::vector<int64_t>(32, 0));
  EXPECT_TRUE(config->eos_token_ids.empty());
}

TEST(DecoderConfigTest, Qwen3HasItsOwnHeadWidthAndNorms) {
  const auto config = Parse("qwen3", R"("hidden_size": 1024,
      "num_attention_heads": 16, "num_key_value_heads": 8,
      "attention_bias": true)");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->head_dim, 128);
  EXPECT_TRUE(config->qk_norm);
  EXPECT_TRUE(config->qkv_bias && config->o_bias);
  EXPECT_FALSE(config->mlp_bias);
}

TEST(DecoderConfigTest, NullKeyValueHeadsAreAsManyAsHeads) {
  EXPECT_EQ(Parse("mistral",
                  R"("num_attention_heads": 16, "num_key_value_heads": null)")
                ->num_key_value_heads,
            16);
}

TEST(DecoderConfigTest, BiasesOfOtherFamiliesAreIgnoredAsInTransformers) {
  const auto config =
      Parse("mistral", R"("attention_bias": true, "mlp_bias": true)");
  ASSERT_TRUE(config.ok());
  EXPECT_FALSE(config->qkv_bias || config->mlp_bias);
}

TEST(DecoderConfigTest, QwenWindowsStartAtALayerOrFollowTheLayerTypes) {
  const std::string sizes =
      R"("num_hidden_layers": 3, "use_sliding_window": true,
         "sliding_window": 5, "max_window_layers": 2)";
  EXPECT_EQ(Parse("qwen2", sizes)->sliding_windows,
            (std::vector<int64_t>{0, 0, 5}));
  EXPECT_EQ(Parse("qwen3", sizes + R"(, "layer_types": ["sliding_attention",
      "full_attention", "full_attention"])")
                ->sliding_windows,
            (std::vector<int64_t>{5, 0, 0}));
  EXPECT_EQ(Parse("qwen2", R"("num_hidden_layers": 1, "sliding_window": 5,
      "max_window_layers": 0)")
                ->sliding_windows,
            std::vector<int64_t>{0});
}

TEST(DecoderConfigTest, MistralWindowsCanBeOff) {
  EXPECT_EQ(
      Parse("mistral", R"("num_hidden_layers": 2, "sliding_window": null)")
          ->sliding_windows,
      (std::vector<int64_t>{0, 0}));
}

TEST(DecoderConfigTest, BadLayerTypesAreErrors) {
  const std::string base = R"("num_hidden_layers": 2, "layer_types": )";
  EXPECT_TRUE(
      IsConfigError("llama", base + R"(["full_attention"])", "layer_types"));
  EXPECT_TRUE(
      IsConfigError("llama", base + R"("full_attention")", "layer_types"));
  EXPECT_TRUE(IsConfigError("qwen2",
                            base + R"(["sliding_attention", "full_attention"])",
                            "a sliding_window for sliding_attention"));
  EXPECT_TRUE(IsUnsupported("llama",
                            base + R"(["chunked_attention", "full_attention"])",
                            "layer_types"));
  EXPECT_TRUE(IsUnsupported("mistral",
                            base + R"(["sliding_attention", "full_attention"])",
                            "layer_types"));
  EXPECT_TRUE(
      IsUnsupported("llama", R"("sliding_window": 4)", "sliding_window"));
}

TEST(DecoderConfigTest, ClassesDecideTheTask) {
  EXPECT_EQ(Parse("llama", R"("architectures": ["LlamaForCausalLM"])")->task,
            ModelTask::kCausalLm);
  const auto classifier = Parse("qwen3",
                                R"("architectures": ["X",
      "Qwen3ForSequenceClassification"], "num_labels": 5, "pad_token_id": 7)");
  ASSERT_TRUE(classifier.ok()) << classifier.status();
  EXPECT_EQ(classifier->task, ModelTask::kSequenceClassification);
  EXPECT_EQ(classifier->architecture, "Qwen3ForSequenceClassification");
  EXPECT_EQ(classifier->num_labels, 5);
  EXPECT_EQ(classifier->pooling_pad_token_id, 7);
  EXPECT_TRUE(IsUnsupported("llama",
                            R"("architectures": ["MistralForCausalLM"])",
                            "supported: LlamaForCausalLM, LlamaModel"));
}

TEST(DecoderConfigTest, QuantizedModelsAreNamed) {
  EXPECT_TRUE(IsUnsupported(
      "llama", R"("quantization_config": {"quant_method": "awq", "bits": 4})",
      "quantization_config \"awq\""));
  EXPECT_TRUE(IsUnsupported("llama", R"("quantization_config": 3)",
                            "quantization_config"));
  EXPECT_TRUE(Parse("llama", R"("quantization_config": null)").ok());
}

TEST(DecoderConfigTest, KeysThatChangeTheNumbersAreErrorsUnlessNeutral) {
  EXPECT_TRUE(IsUnsupported("qwen2", R"("use_mrope": true)", "use_mrope"));
  EXPECT_TRUE(IsUnsupported("llama", R"("rope_interleaved": true)",
                            "rope_interleaved"));
  EXPECT_TRUE(
      IsUnsupported("llama", R"("logits_scaling": 8)", "logits_scaling"));
  EXPECT_TRUE(IsUnsupported("llama", R"("is_causal": false)", "is_causal"));
  EXPECT_TRUE(IsUnsupported("llama", R"("attn_logit_softcapping": 50.0)",
                            "attn_logit_softcapping"));
  EXPECT_TRUE(IsUnsupported("llama", R"("hidden_act": "xielu")", "hidden_act"));
  EXPECT_TRUE(Parse("qwen2", R"("use_mrope": false, "logits_scaling": 1.0,
      "attention_dropout": 0.1, "unknown_key": [1, 2], "is_causal": true,
      "per_layer_config": null)")
                  .ok());
}

TEST(DecoderConfigTest, KnownActivationsAreRead) {
  using kernels::Activation;
  EXPECT_EQ(Parse("llama", R"("hidden_act": "gelu")")->hidden_act,
            Activation::kGelu);
  EXPECT_EQ(Parse("llama", R"("hidden_act": "gelu_pytorch_tanh")")->hidden_act,
            Activation::kGeluTanh);
  EXPECT_EQ(Parse("llama", R"("hidden_act": "relu")")->hidden_act,
            Activation::kRelu);
}

TEST(DecoderConfigTest, HostileSizesAreErrorsThatNameTheKey) {
  for (const char* key :
       {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "num_key_value_heads", "head_dim",
        "max_position_embeddings"}) {
    for (const char* value :
         {"0", "-1", "1e9", "2.0", "NaN", "true", "\"8\"", "[]", "{}",
          "9223372036854775807", "18446744073709551615",
          "123456789012345678901234567890"}) {
      EXPECT_TRUE(
          IsConfigError("llama", absl::StrCat("\"", key, "\": ", value), key))
          << key << " " << value;
    }
  }
  for (const char* value : {"-1", "NaN", "Infinity", "2", "\"x\"", "null"}) {
    EXPECT_TRUE(IsConfigError(
        "llama", absl::StrCat(R"("rms_norm_eps": )", value), "rms_norm_eps"))
        << value;
  }
}

TEST(DecoderConfigTest, HeadsMustFit) {
  EXPECT_TRUE(IsConfigError("llama", R"("num_attention_heads": 3)",
                            "a divisor of hidden_size"));
  EXPECT_TRUE(IsConfigError(
      "llama", R"("num_attention_heads": 4, "num_key_value_heads": 3)",
      "num_key_value_heads"));
  EXPECT_TRUE(IsConfigError("llama", R"("head_dim": 7)", "head_dim"));
  EXPECT_TRUE(IsConfigError(
      "llama",
      R"("hidden_size": 6, "num_attention_heads": 2, "num_key_value_heads": 2)",
      "even width"));
}

TEST(DecoderConfigTest, TokensAreReadAndOverriddenByTheGenerationConfig) {
  auto config = Parse("llama", R"("eos_token_id": [5, 6], "pad_token_id": 1)");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->eos_token_ids, (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(config->pad_token_id, 1);
  ASSERT_TRUE(ApplyGenerationConfig(
                  R"({"eos_token_id": 9, "temperature": 0.1})", "g", *config)
                  .ok());
  EXPECT_EQ(config->eos_token_ids, std::vector<int64_t>{9});
  EXPECT_FALSE(config->pad_token_id.has_value());
  ASSERT_TRUE(ApplyGenerationConfig("{}", "g", *config).ok());
  EXPECT_TRUE(config->eos_token_ids.empty());
}

TEST(DecoderConfigTest, BadTokensAreErrors) {
  EXPECT_TRUE(
      IsConfigError("llama", R"("eos_token_id": "</s>")", "eos_token_id"));
  EXPECT_TRUE(
      IsConfigError("llama", R"("eos_token_id": [1, "x"])", "eos_token_id"));
  EXPECT_TRUE(IsConfigError("llama", R"("pad_token_id": 1.5)", "pad_token_id"));
  ModelConfig config;
  EXPECT_TRUE(IsError(ApplyGenerationConfig("[]", "g.json", config),
                      absl::StatusCode::kInvalidArgument, "MODEL_CONFIG",
                      "g.json: expected a JSON object"));
}

// The keys that published models of these families carry.
TEST(DecoderConfigTest, PublishedConfigsAreRead) {
  const auto smollm2 = Parse("llama", R"("architectures": ["LlamaForCausalLM"],
      "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 1,
      "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 576,
      "initializer_range": 0.041666666666666664, "intermediate_size": 1536,
      "is_llama_config": true, "max_position_embeddings": 8192,
      "mlp_bias": false, "num_attention_heads": 9, "num_hidden_layers": 30,
      "num_key_value_heads": 3, "pad_token_id": 2, "pretraining_tp": 1,
      "rms_norm_eps": 1e-05, "rope_interleaved": false, "rope_scaling": null,
      "rope_theta": 100000, "tie_word_embeddings": true,
      "torch_dtype": "bfloat16", "transformers.js_config": {"kv": {"a": 1}},
      "use_cache": true, "vocab_size": 49152)");
  ASSERT_TRUE(smollm2.ok()) << smollm2.status();
  EXPECT_EQ(smollm2->head_dim, 64);
  EXPECT_EQ(smollm2->rope.theta, 100000);
  EXPECT_TRUE(smollm2->tie_word_embeddings);
  const auto llama32 = Parse("llama", R"("head_dim": 64, "hidden_size": 2048,
      "num_attention_heads": 32, "num_key_value_heads": 8,
      "eos_token_id": [128001, 128008, 128009],
      "max_position_embeddings": 131072, "rope_scaling": {"factor": 32.0,
      "high_freq_factor": 4.0, "low_freq_factor": 1.0,
      "original_max_position_embeddings": 8192, "rope_type": "llama3"},
      "rope_theta": 500000.0)");
  ASSERT_TRUE(llama32.ok()) << llama32.status();
  EXPECT_EQ(llama32->rope.type, RopeType::kLlama3);
  EXPECT_EQ(llama32->eos_token_ids.size(), 3u);
  const auto qwen25 = Parse("qwen2", R"("max_window_layers": 21,
      "hidden_size": 896, "num_attention_heads": 14, "num_key_value_heads": 2,
      "sliding_window": 32768, "use_mrope": false, "use_sliding_window": false,
      "rope_theta": 1000000.0, "tie_word_embeddings": true)");
  ASSERT_TRUE(qwen25.ok()) << qwen25.status();
  EXPECT_EQ(qwen25->sliding_windows, std::vector<int64_t>(32, 0));
}

}  // namespace
}  // namespace peft
