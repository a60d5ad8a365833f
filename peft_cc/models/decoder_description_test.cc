#include "peft_cc/models/decoder_description.h"

#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace {

DecoderConfig SmallConfig() {
  DecoderConfig config;
  config.model_type = "qwen3";
  config.vocab_size = 11;
  config.hidden_size = 16;
  config.intermediate_size = 24;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 6;
  config.qk_norm = true;
  config.sliding_windows = {0};
  return config;
}

const WeightInfo* FindWeight(const Description& description,
                             const std::string& name) {
  for (const WeightInfo& weight : description.weights) {
    if (weight.name == name) return &weight;
  }
  return nullptr;
}

// The list that named_modules() gives for Qwen3ForCausalLM, transformers 5.23.
TEST(DecoderDescriptionTest, ModuleNamesEqualTransformers) {
  const std::vector<std::string> expected = {
      "",
      "model",
      "model.embed_tokens",
      "model.layers",
      "model.layers.0",
      "model.layers.0.self_attn",
      "model.layers.0.self_attn.q_proj",
      "model.layers.0.self_attn.k_proj",
      "model.layers.0.self_attn.v_proj",
      "model.layers.0.self_attn.o_proj",
      "model.layers.0.self_attn.q_norm",
      "model.layers.0.self_attn.k_norm",
      "model.layers.0.mlp",
      "model.layers.0.mlp.gate_proj",
      "model.layers.0.mlp.up_proj",
      "model.layers.0.mlp.down_proj",
      "model.layers.0.mlp.act_fn",
      "model.layers.0.input_layernorm",
      "model.layers.0.post_attention_layernorm",
      "model.norm",
      "model.rotary_emb",
      "lm_head"};
  EXPECT_EQ(DescribeDecoder(SmallConfig()).module_names, expected);
}

TEST(DecoderDescriptionTest, ModelsWithoutQueryNormsLackTheirModules) {
  DecoderConfig config = SmallConfig();
  config.qk_norm = false;
  const Description description = DescribeDecoder(config);
  EXPECT_EQ(description.module_names.size(), 20u);
  EXPECT_EQ(FindWeight(description, "model.layers.0.self_attn.q_norm.weight"),
            nullptr);
}

TEST(DecoderDescriptionTest, WeightsHaveTheShapesOfTheConfig) {
  const Description description = DescribeDecoder(SmallConfig());
  const auto shape = [&](const std::string& name) {
    const WeightInfo* weight = FindWeight(description, name);
    return weight == nullptr ? std::vector<int64_t>() : weight->shape;
  };
  using Shape = std::vector<int64_t>;
  const std::string layer = "model.layers.0.";
  EXPECT_EQ(shape("model.embed_tokens.weight"), (Shape{11, 16}));
  EXPECT_EQ(shape(layer + "self_attn.q_proj.weight"), (Shape{24, 16}));
  EXPECT_EQ(shape(layer + "self_attn.k_proj.weight"), (Shape{12, 16}));
  EXPECT_EQ(shape(layer + "self_attn.o_proj.weight"), (Shape{16, 24}));
  EXPECT_EQ(shape(layer + "self_attn.k_norm.weight"), (Shape{6}));
  EXPECT_EQ(shape(layer + "mlp.down_proj.weight"), (Shape{16, 24}));
  EXPECT_EQ(shape("lm_head.weight"), (Shape{11, 16}));
}

TEST(DecoderDescriptionTest, BiasesFollowTheConfig) {
  DecoderConfig config = SmallConfig();
  config.qkv_bias = true;
  config.mlp_bias = true;
  const Description description = DescribeDecoder(config);
  const std::string layer = "model.layers.0.";
  ASSERT_NE(FindWeight(description, layer + "self_attn.v_proj.bias"), nullptr);
  EXPECT_EQ(FindWeight(description, layer + "self_attn.v_proj.bias")->shape,
            std::vector<int64_t>{12});
  EXPECT_NE(FindWeight(description, layer + "mlp.up_proj.bias"), nullptr);
  EXPECT_EQ(FindWeight(description, layer + "self_attn.o_proj.bias"), nullptr);
  EXPECT_EQ(FindWeight(description, "lm_head.bias"), nullptr);
}

TEST(DecoderDescriptionTest, EveryWeightIsUsedByAnOperationInModuleOrder) {
  DecoderConfig config = SmallConfig();
  config.num_hidden_layers = 3;
  config.sliding_windows = {0, 0, 0};
  const Description description = DescribeDecoder(config);
  std::set<int> sites;
  for (const Op& op : description.ops) {
    if (op.site < 0) continue;
    EXPECT_TRUE(sites.insert(op.site).second);
  }
  EXPECT_EQ(sites.size(), description.sites.size());
  for (const WeightInfo& weight : description.weights) {
    const Op& op = description.ops[weight.first_use];
    EXPECT_EQ(op.site, weight.site) << weight.name;
    EXPECT_EQ(op.layer, weight.layer) << weight.name;
  }
  EXPECT_EQ(description.weights.front().first_use, 0);
  EXPECT_EQ(description.weights.back().first_use,
            static_cast<int>(description.ops.size()) - 1);
}

TEST(DecoderDescriptionTest, BuffersAreWrittenBeforeTheyAreRead) {
  const Description description = DescribeDecoder(SmallConfig());
  std::vector<bool> written(description.buffers.size(), false);
  for (const Op& op : description.ops) {
    for (const int input : {op.input, op.input2, op.input3}) {
      EXPECT_TRUE(input < 0 || written[input]);
    }
    ASSERT_GE(op.output, 0);
    written[op.output] = true;
  }
  EXPECT_TRUE(written[description.logits_buffer]);
}

TEST(DecoderDescriptionTest, TheHeadIsTheFinalNormAndLmHead) {
  const Description description = DescribeDecoder(SmallConfig());
  ASSERT_EQ(description.head_begin + 2,
            static_cast<int>(description.ops.size()));
  const Op& norm = description.ops[description.head_begin];
  EXPECT_EQ(description.sites[norm.site].name, "model.norm");
  EXPECT_EQ(norm.input, description.hidden_buffer);
  EXPECT_EQ(description.ops.back().output, description.logits_buffer);
}

TEST(DecoderDescriptionTest, TiedHeadsNameTheEmbedding) {
  DecoderConfig config = SmallConfig();
  EXPECT_EQ(DescribeDecoder(config).tied_weight, -1);
  config.tie_word_embeddings = true;
  const Description description = DescribeDecoder(config);
  ASSERT_GE(description.tied_weight, 0);
  EXPECT_EQ(description.weights[description.tied_weight].name,
            "lm_head.weight");
  EXPECT_EQ(description.weights[description.tied_to].name,
            "model.embed_tokens.weight");
}

}  // namespace
}  // namespace peft
