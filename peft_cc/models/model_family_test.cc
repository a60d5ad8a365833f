#include "peft_cc/models/model_family.h"

#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/models/model_test_util.h"

namespace peft {
namespace {

using Names = std::vector<std::string>;

// What a folder with this config.json and these tensors is.
Description Settle(const std::string& config_json,
                   const std::set<std::string>& tensors,
                   ModelConfig* out_config) {
  FamilyConfig config = *ParseModelConfig(config_json, "config.json");
  Description description = DescribeModel(
      [&](const std::string& name) { return tensors.count(name) > 0; }, config);
  *out_config = CoreOf(config);
  return description;
}

ModelConfig Settled(const std::string& config_json,
                    const std::set<std::string>& tensors) {
  ModelConfig config;
  Settle(config_json, tensors, &config);
  return config;
}

Names ModulesOf(const std::string& config_json,
                const std::set<std::string>& tensors = {}) {
  ModelConfig config;
  return Settle(config_json, tensors, &config).module_names;
}

constexpr char kGpt2[] =
    R"({"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 2)";
constexpr char kBert[] =
    R"({"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 2)";
constexpr char kLlama[] = R"({"model_type": "llama", "num_hidden_layers": 1)";

std::string With(const char* config, const std::string& fields = "") {
  return std::string(config) + fields + "}";
}

std::string OfClass(const char* config, const std::string& name) {
  return With(config, R"(, "architectures": [")" + name + "\"]");
}

TEST(ModelFamilyTest, UnknownFamiliesAreNamedWithTheSupportedOnes) {
  EXPECT_TRUE(IsError(
      ParseModelConfig(R"({"model_type": "opt"})", "config.json").status(),
      absl::StatusCode::kUnimplemented, "MODEL_UNSUPPORTED",
      "model_type \"opt\" is not implemented; supported: llama, mistral, "
      "qwen2, qwen3, gpt2, bert"));
  EXPECT_TRUE(IsError(ParseModelConfig("{}", "c").status(),
                      absl::StatusCode::kInvalidArgument, "MODEL_CONFIG",
                      "model_type"));
}

TEST(ModelFamilyTest, BrokenTextIsAJsonError) {
  for (const char* text :
       {"", "{", "nul", "{\"model_type\": \"llama\",}", "{}x"}) {
    EXPECT_TRUE(IsError(ParseModelConfig(text, "c.json").status(),
                        absl::StatusCode::kInvalidArgument, "JSON", "c.json"))
        << text;
  }
  EXPECT_FALSE(ParseModelConfig("[]", "c.json").ok());
}

TEST(ModelFamilyTest, AClassWithAHeadDecides) {
  EXPECT_EQ(Settled(OfClass(kGpt2, "GPT2LMHeadModel"), {"score.weight"}).task,
            ModelTask::kCausalLm);
  EXPECT_EQ(Settled(OfClass(kBert, "BertForTokenClassification"),
                    {"classifier.weight", "bert.pooler.dense.weight"})
                .task,
            ModelTask::kTokenClassification);
}

TEST(ModelFamilyTest, OfABareClassTheWeightsDecide) {
  const std::string bare = OfClass(kGpt2, "GPT2Model");
  EXPECT_EQ(Settled(bare, {}).task, ModelTask::kBase);
  const ModelConfig head = Settled(bare, {"lm_head.weight"});
  EXPECT_EQ(head.task, ModelTask::kCausalLm);
  EXPECT_EQ(head.architecture, "GPT2LMHeadModel");
}

TEST(ModelFamilyTest, WithoutAClassTheWeightsDecide) {
  EXPECT_EQ(Settled(With(kGpt2), {}).task, ModelTask::kCausalLm);  // tied
  EXPECT_EQ(Settled(With(kGpt2, R"(, "tie_word_embeddings": false)"), {}).task,
            ModelTask::kBase);
  EXPECT_EQ(Settled(With(kGpt2), {"classifier.weight"}).architecture,
            "GPT2ForTokenClassification");
  EXPECT_EQ(Settled(With(kLlama), {}).architecture, "LlamaModel");
  EXPECT_EQ(Settled(With(kLlama), {"lm_head.weight"}).task,
            ModelTask::kCausalLm);
  EXPECT_EQ(Settled(With(kLlama), {"score.weight"}).task,
            ModelTask::kSequenceClassification);
  EXPECT_EQ(Settled(With(kLlama), {"score.weight", "score.bias"}).task,
            ModelTask::kTokenClassification);
  EXPECT_EQ(Settled(With(kBert), {}).architecture, "BertModel");
  EXPECT_EQ(
      Settled(With(kBert), {"cls.predictions.transform.dense.weight"}).task,
      ModelTask::kMaskedLm);
  EXPECT_EQ(Settled(With(kBert), {"classifier.weight"}).task,
            ModelTask::kTokenClassification);
  EXPECT_EQ(
      Settled(With(kBert), {"classifier.weight", "bert.pooler.dense.weight"})
          .task,
      ModelTask::kSequenceClassification);
  EXPECT_EQ(Settled(With(kBert), {"qa_outputs.weight"}).task,
            ModelTask::kQuestionAnswering);
}

// What the text of a config.json is for a program that has chosen a head.
ModelConfig Chosen(const std::string& text, const HeadChoice& head,
                   const std::set<std::string>& tensors = {}) {
  auto config = ParseModelConfig(text, "config.json", head);
  EXPECT_TRUE(config.ok()) << config.status();
  DescribeModel(
      [&](const std::string& name) { return tensors.count(name) > 0; },
      *config);
  return CoreOf(*config);
}

HeadChoice HeadOf(ModelTask task, int64_t num_labels = 0,
                  int64_t adapter_labels = 0) {
  HeadChoice head;
  head.task = task;
  head.num_labels = num_labels;
  head.adapter_labels = adapter_labels;
  return head;
}

TEST(ModelFamilyTest, AChosenTaskWinsOverTheClassAndTheWeights) {
  const HeadChoice sequences = HeadOf(ModelTask::kSequenceClassification);
  for (const char* name : {"BertForMaskedLM", "BertForPreTraining"}) {
    const ModelConfig config =
        Chosen(OfClass(kBert, name), sequences, {"qa_outputs.weight"});
    EXPECT_EQ(config.architecture, "BertForSequenceClassification");
    EXPECT_EQ(config.task, ModelTask::kSequenceClassification);
  }
  EXPECT_EQ(Chosen(With(kLlama), HeadOf(ModelTask::kBase), {"lm_head.weight"})
                .architecture,
            "LlamaModel");
}

TEST(ModelFamilyTest, AChosenTaskThatTheFamilyLacksIsNamed) {
  EXPECT_TRUE(IsError(
      ParseModelConfig(With(kLlama), "config.json",
                       HeadOf(ModelTask::kQuestionAnswering))
          .status(),
      absl::StatusCode::kUnimplemented, "MODEL_UNSUPPORTED",
      "a model of type llama: task \"question-answering\" is not implemented; "
      "supported: causal-lm, base, sequence-classification, "
      "token-classification"));
}

TEST(ModelFamilyTest, LabelsAreThoseAskedForTheFilesTheAdaptersOrTwo) {
  constexpr auto kTask = ModelTask::kTokenClassification;
  const std::string said = With(kBert, R"(, "id2label": {"0": "a"})");
  EXPECT_EQ(Chosen(said, HeadOf(kTask, 5, 4)).num_labels, 5);
  EXPECT_EQ(Chosen(said, HeadOf(kTask, 0, 4)).num_labels, 1);
  EXPECT_EQ(Chosen(With(kBert), HeadOf(kTask, 0, 4)).num_labels, 4);
  EXPECT_EQ(Chosen(With(kBert), HeadOf(kTask)).num_labels, 2);
}

TEST(ModelFamilyTest, TheInitializerRangeIsCheckedWhereItIsUsed) {
  constexpr auto kTask = ModelTask::kTokenClassification;
  const std::string wrong = With(kBert, R"(, "initializer_range": -1)");
  EXPECT_TRUE(IsError(
      ParseModelConfig(wrong, "config.json", HeadOf(kTask)).status(),
      absl::StatusCode::kInvalidArgument, "MODEL_CONFIG", "initializer_range"));
  EXPECT_TRUE(ParseModelConfig(wrong, "config.json").ok());
  EXPECT_EQ(Chosen(With(kBert, R"(, "initializer_range": 0.5)"), HeadOf(kTask))
                .initializer_range,
            0.5);
}

// The lists that named_modules() gives in transformers 5.23.
TEST(ModelFamilyTest, Gpt2ModulesEqualTransformers) {
  const Names expected = {"",
                          "transformer",
                          "transformer.wte",
                          "transformer.wpe",
                          "transformer.drop",
                          "transformer.h",
                          "transformer.h.0",
                          "transformer.h.0.ln_1",
                          "transformer.h.0.attn",
                          "transformer.h.0.attn.c_attn",
                          "transformer.h.0.attn.c_proj",
                          "transformer.h.0.attn.attn_dropout",
                          "transformer.h.0.attn.resid_dropout",
                          "transformer.h.0.ln_2",
                          "transformer.h.0.mlp",
                          "transformer.h.0.mlp.c_fc",
                          "transformer.h.0.mlp.c_proj",
                          "transformer.h.0.mlp.act",
                          "transformer.h.0.mlp.dropout",
                          "transformer.ln_f",
                          "dropout",
                          "classifier"};
  EXPECT_EQ(ModulesOf(OfClass(kGpt2, "GPT2ForTokenClassification")), expected);
  const Names language = ModulesOf(OfClass(kGpt2, "GPT2LMHeadModel"));
  EXPECT_EQ(language.size(), expected.size() - 1);
  EXPECT_EQ(language.back(), "lm_head");
  EXPECT_EQ(ModulesOf(OfClass(kGpt2, "GPT2ForSequenceClassification")).back(),
            "score");
}

TEST(ModelFamilyTest, BertModulesEqualTransformers) {
  const Names expected = {"",
                          "embeddings",
                          "embeddings.word_embeddings",
                          "embeddings.position_embeddings",
                          "embeddings.token_type_embeddings",
                          "embeddings.LayerNorm",
                          "embeddings.dropout",
                          "encoder",
                          "encoder.layer",
                          "encoder.layer.0",
                          "encoder.layer.0.attention",
                          "encoder.layer.0.attention.self",
                          "encoder.layer.0.attention.self.query",
                          "encoder.layer.0.attention.self.key",
                          "encoder.layer.0.attention.self.value",
                          "encoder.layer.0.attention.self.dropout",
                          "encoder.layer.0.attention.output",
                          "encoder.layer.0.attention.output.dense",
                          "encoder.layer.0.attention.output.LayerNorm",
                          "encoder.layer.0.attention.output.dropout",
                          "encoder.layer.0.intermediate",
                          "encoder.layer.0.intermediate.dense",
                          "encoder.layer.0.intermediate.intermediate_act_fn",
                          "encoder.layer.0.output",
                          "encoder.layer.0.output.dense",
                          "encoder.layer.0.output.LayerNorm",
                          "encoder.layer.0.output.dropout",
                          "pooler",
                          "pooler.dense",
                          "pooler.activation"};
  EXPECT_EQ(
      ModulesOf(OfClass(kBert, "BertModel"), {"bert.pooler.dense.weight"}),
      expected);
  const Names masked = ModulesOf(OfClass(kBert, "BertForMaskedLM"));
  const Names head(masked.end() - 7, masked.end());
  EXPECT_EQ(head, (Names{"cls", "cls.predictions", "cls.predictions.transform",
                         "cls.predictions.transform.dense",
                         "cls.predictions.transform.transform_act_fn",
                         "cls.predictions.transform.LayerNorm",
                         "cls.predictions.decoder"}));
  const Names classifier =
      ModulesOf(OfClass(kBert, "BertForSequenceClassification"));
  const Names end(classifier.end() - 5, classifier.end());
  EXPECT_EQ(end, (Names{"bert.pooler", "bert.pooler.dense",
                        "bert.pooler.activation", "dropout", "classifier"}));
}

TEST(ModelFamilyTest, LlamaClassifierModulesEqualTransformers) {
  const Names tokens =
      ModulesOf(OfClass(kLlama, "LlamaForTokenClassification"));
  EXPECT_EQ(Names(tokens.end() - 2, tokens.end()), (Names{"dropout", "score"}));
  EXPECT_EQ(ModulesOf(OfClass(kLlama, "LlamaForSequenceClassification")).back(),
            "score");
  EXPECT_EQ(ModulesOf(OfClass(kLlama, "LlamaModel"))[1], "embed_tokens");
}

// Whatever is computed, what an operation reads has been written before.
TEST(ModelFamilyTest, BuffersAreWrittenBeforeTheyAreRead) {
  for (const std::string& config :
       {OfClass(kGpt2, "GPT2LMHeadModel"), OfClass(kBert, "BertForMaskedLM"),
        OfClass(kBert, "BertForSequenceClassification")}) {
    ModelConfig core;
    const Description description = Settle(config, {}, &core);
    std::vector<bool> written(description.buffers.size(), false);
    const auto is_written = [&](int buffer) {
      const int parent = description.buffers[buffer].parent;
      return written[buffer] || (parent >= 0 && written[parent]);
    };
    for (const Op& op : description.ops) {
      for (const int input : {op.input, op.input2, op.input3}) {
        EXPECT_TRUE(input < 0 || is_written(input)) << config;
      }
      written[op.output] = true;
    }
    EXPECT_TRUE(written[description.logits_buffer]);
    EXPECT_TRUE(written[description.last_hidden_buffer]);
  }
}

}  // namespace
}  // namespace peft
