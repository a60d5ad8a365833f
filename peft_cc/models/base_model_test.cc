#include "peft_cc/models/base_model.h"

#include <filesystem>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/model_test_util.h"

namespace peft {
namespace {

constexpr char kEmbedding[] = "model.embed_tokens.weight";
constexpr char kHead[] = "lm_head.weight";
constexpr char kQuery[] = "model.layers.1.self_attn.q_proj.weight";
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::StatusOr<std::unique_ptr<BaseModel>> Open(const std::string& folder) {
  return BaseModel::Open(folder, ReadMode::kRead);
}

// A float tensor of another shape or dtype that fits nowhere.
Tensor Zeros(DType dtype, std::vector<int64_t> shape) {
  void* data = nullptr;
  return *Tensor::Allocate(dtype, std::move(shape), &data);
}

bool HasNote(const BaseModel& model, absl::string_view text) {
  for (const std::string& note : model.notes()) {
    if (absl::StrContains(note, text)) return true;
  }
  return false;
}

TEST(BaseModelTest, SitesFollowTheModules) {
  const auto model = Open(GoldenModel("qwen3_yarn"));
  ASSERT_TRUE(model.ok()) << model.status();
  const SiteTable& sites = (*model)->sites();
  EXPECT_EQ(sites.model_type(), "qwen3");
  EXPECT_EQ(sites.sites().size(), 3u + 2 * 11);
  EXPECT_EQ(sites.sites().front().name, "model.embed_tokens");
  EXPECT_EQ(sites.sites().front().kind, SiteKind::kEmbedding);
  EXPECT_EQ(sites.sites().front().in_features, 96);
  EXPECT_EQ(sites.module_names().front(), "");
  const Site& query =
      sites.sites()[sites.Find("model.layers.1.self_attn.q_proj")];
  EXPECT_EQ(query.kind, SiteKind::kLinear);
  EXPECT_EQ(query.in_features, 32);
  EXPECT_EQ(query.out_features, 64);
  EXPECT_TRUE(query.has_bias());
  const Site& norm =
      sites.sites()[sites.Find("model.layers.0.self_attn.k_norm")];
  EXPECT_EQ(norm.kind, SiteKind::kNorm);
  EXPECT_EQ(norm.out_features, 16);
  EXPECT_TRUE(sites.sites().back().is_output_embedding);
  EXPECT_FALSE(sites.sites().back().has_bias());
}

TEST(BaseModelTest, CountsTiedWeightsOnce) {
  const auto tied = Open(GoldenModel("llama3_old_style"));
  const auto untied = Open(GoldenModel("llama"));
  ASSERT_TRUE(tied.ok() && untied.ok());
  EXPECT_TRUE((*tied)->has_tied_head());
  EXPECT_FALSE((*untied)->has_tied_head());
  EXPECT_EQ((*untied)->num_parameters() - (*tied)->num_parameters(), 96 * 32);
  EXPECT_EQ((*tied)->size_bytes(), 4 * (*tied)->num_parameters());
  EXPECT_EQ((*tied)->weights()[(*tied)->description().tied_weight].data(),
            (*tied)->weights()[(*tied)->description().tied_to].data());
}

TEST(BaseModelTest, GoldenModelsHaveNoNotes) {
  for (const std::string& name : GoldenModelNames()) {
    const auto model = Open(GoldenModel(name));
    ASSERT_TRUE(model.ok()) << name << ": " << model.status();
    EXPECT_TRUE((*model)->notes().empty()) << name;
  }
}

TEST(BaseModelTest, ATiedHeadMayBeSavedTwice) {
  const std::string folder = CopyOfModel("llama3_old_style");
  EditTensors(folder, [](TensorMap& tensors) {
    tensors[kHead] = tensors.at(kEmbedding);
  });
  const auto model = Open(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE((*model)->has_tied_head());
  EXPECT_TRUE((*model)->notes().empty());
}

TEST(BaseModelTest, ATiedHeadMayBeSavedInPlaceOfTheEmbedding) {
  const std::string folder = CopyOfModel("llama3_old_style");
  EditTensors(folder, [](TensorMap& tensors) {
    tensors[kHead] = tensors.at(kEmbedding);
    tensors.erase(kEmbedding);
  });
  const auto model = Open(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE((*model)->has_tied_head());
}

TEST(BaseModelTest, AHeadThatDiffersIsNotTied) {
  const std::string folder = CopyOfModel("llama3_old_style");
  EditTensors(folder, [](TensorMap& tensors) {
    tensors[kHead] = Zeros(DType::kF32, {96, 32});
  });
  const auto model = Open(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_FALSE((*model)->has_tied_head());
  EXPECT_TRUE(HasNote(**model, "a different lm_head.weight"));
}

TEST(BaseModelTest, NamesMayLackOrRepeatThePrefix) {
  const std::string folder = CopyOfModel("llama");
  EditTensors(folder, [](TensorMap& tensors) {
    TensorMap renamed;
    for (auto& [name, tensor] : tensors) {
      renamed[name == kHead ? absl::StrCat("model.", name)
                            : name.substr(std::string("model.").size())] =
          tensor;
    }
    tensors = std::move(renamed);
  });
  const auto model = Open(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE((*model)->notes().empty());
}

TEST(BaseModelTest, UnusedTensorsAreNotesExceptKnownBuffers) {
  const std::string folder = CopyOfModel("llama");
  EditTensors(folder, [](TensorMap& tensors) {
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] =
        Zeros(DType::kF32, {4});
    tensors["model.layers.0.extra"] = Zeros(DType::kI64, {4});
  });
  const auto model = Open(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->notes().size(), 1u);
  EXPECT_TRUE(HasNote(**model, "\"model.layers.0.extra\""));
}

TEST(BaseModelTest, ManyUnusedTensorsAreCounted) {
  const std::string folder = CopyOfModel("llama");
  EditTensors(folder, [](TensorMap& tensors) {
    for (int i = 0; i < 100; ++i) {
      tensors[absl::StrCat("extra", i)] = Zeros(DType::kF32, {1});
    }
  });
  const auto model = Open(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->notes().size(), 21u);
  EXPECT_TRUE(HasNote(**model, "80 more"));
}

TEST(BaseModelTest, AMissingTensorIsNamed) {
  for (const char* name : {kEmbedding, kHead, kQuery}) {
    const std::string folder = CopyOfModel("llama");
    EditTensors(folder, [name](TensorMap& tensors) { tensors.erase(name); });
    const absl::Status status = Open(folder).status();
    EXPECT_TRUE(IsError(status, kInvalid, "TENSOR_MISSING", name));
    EXPECT_EQ(GetErrorDetails(status).tensor, name);
  }
}

TEST(BaseModelTest, ABareModelsFileMayNameItAsOneWithAHead) {
  const std::string folder = CopyOfModel("qwen2_bare_tied");
  EditConfig(folder,
             [](Json& config) { config["tie_word_embeddings"] = false; });
  EditTensors(folder, [](TensorMap& tensors) {
    TensorMap prefixed;
    for (auto& [name, tensor] : tensors) {
      prefixed[absl::StrCat("model.", name)] = std::move(tensor);
    }
    tensors = std::move(prefixed);
  });
  const auto model = Open(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->config().architecture, "Qwen2Model");
  EXPECT_GE((*model)->sites().Find("embed_tokens"), 0);
  EXPECT_TRUE((*model)->notes().empty());
}

TEST(BaseModelTest, AnUntiedBareModelHasNoHead) {
  const std::string folder = CopyOfModel("qwen2_bare_tied");
  EditConfig(folder,
             [](Json& config) { config["tie_word_embeddings"] = false; });
  const auto model = Open(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->config().architecture, "Qwen2Model");
  EXPECT_EQ((*model)->sites().Find("lm_head"), -1);
  EditConfig(folder, [](Json& config) {
    config["architectures"] = {"Qwen2ForCausalLM"};
  });
  EXPECT_TRUE(
      IsError(Open(folder).status(), kInvalid, "TENSOR_MISSING", kHead));
}

TEST(BaseModelTest, BuffersOfOlderVersionsAreNoNews) {
  const std::string folder = CopyOfModel("gpt2");
  EditTensors(folder, [](TensorMap& tensors) {
    for (const char* name : {"transformer.h.0.attn.bias", "h.1.attn.bias",
                             "transformer.h.0.attn.masked_bias"}) {
      tensors[name] = Zeros(DType::kU8, {1, 1, 4, 4});
    }
    tensors["score.weight"] = Zeros(DType::kF32, {2, 32});
  });
  const auto model = Open(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_EQ((*model)->notes().size(), 1u);
  EXPECT_TRUE(HasNote(**model, "score.weight"));
}

TEST(BaseModelTest, AHeadsBiasMayHaveBothOfItsNames) {
  const std::string folder =
      CopyOfFolder("peft_cc/models/testdata/heads/bert_masked_lm");
  constexpr char kName[] = "cls.predictions.decoder.bias";
  EditTensors(folder, [&](TensorMap& tensors) {
    tensors[kName] = tensors.at("cls.predictions.bias");
  });
  EXPECT_TRUE((*Open(folder))->notes().empty());
  EditTensors(folder, [&](TensorMap& tensors) {
    tensors[kName] = Zeros(DType::kF32, {64});
  });
  EXPECT_TRUE(HasNote(**Open(folder), "cls.predictions.bias"));
}

TEST(BaseModelTest, Conv1DSitesStoreTheirWeightsTransposed) {
  const auto model = Open(GoldenModel("gpt2"));
  ASSERT_TRUE(model.ok()) << model.status();
  const SiteTable& sites = (*model)->sites();
  const Site& site = sites.sites()[sites.Find("transformer.h.0.attn.c_attn")];
  EXPECT_EQ(site.kind, SiteKind::kConv1D);
  EXPECT_EQ(site.in_features, 32);
  EXPECT_EQ(site.out_features, 96);
  EXPECT_EQ(site.weight.dim(0), 32);
}

TEST(BaseModelTest, AWrongShapeNamesExpectedAndFound) {
  const std::string folder = CopyOfModel("llama");
  EditTensors(folder, [](TensorMap& tensors) {
    tensors[kQuery] = Zeros(DType::kF32, {32, 33});
  });
  const absl::Status status = Open(folder).status();
  EXPECT_TRUE(IsError(status, kInvalid, "TENSOR_SHAPE_MISMATCH",
                      absl::StrCat(kQuery, " is [32, 33], expected [32, 32]")));
  EXPECT_EQ(GetErrorDetails(status).found, "[32, 33]");
}

TEST(BaseModelTest, AWrongDTypeIsNamed) {
  for (const DType dtype : {DType::kF64, DType::kI8, DType::kF8E4M3}) {
    const std::string folder = CopyOfModel("llama");
    EditTensors(folder, [dtype](TensorMap& tensors) {
      tensors[kQuery] = Zeros(dtype, {32, 32});
    });
    EXPECT_TRUE(IsError(Open(folder).status(), kInvalid, "TENSOR_DTYPE",
                        absl::StrCat(kQuery, " is ", DTypeName(dtype))));
  }
}

TEST(BaseModelTest, SizesBeyondTheWeightFilesAreErrorsNotAllocations) {
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size",
                          "num_attention_heads", "head_dim"}) {
    const std::string folder = CopyOfModel("llama");
    EditConfig(folder, [key](Json& config) { config[key] = 65536; });
    EXPECT_FALSE(Open(folder).ok()) << key;
  }
  const std::string folder = CopyOfModel("llama");
  EditConfig(folder, [](Json& config) { config["num_hidden_layers"] = 4096; });
  EXPECT_TRUE(IsError(Open(folder).status(), kInvalid, "TENSOR_MISSING",
                      "model.layers.2."));
}

// A program may have several models.
TEST(BaseModelTest, ErrorsNameTheFolder) {
  std::string folder = CopyOfModel("llama");
  EditConfig(folder, [](Json& config) { config["num_hidden_layers"] = 3; });
  EXPECT_TRUE(IsError(Open(folder).status(), kInvalid, "TENSOR_MISSING",
                      "\"" + folder + "\": "));
  EditConfig(folder, [](Json& config) { config["hidden_size"] = -3; });
  EXPECT_TRUE(IsError(Open(folder).status(), kInvalid, "MODEL_CONFIG",
                      "\"" + folder + "/config.json\": "));
}

TEST(BaseModelTest, FoldersThatAreNoModelAreErrors) {
  EXPECT_TRUE(IsError(Open("/nonexistent").status(),
                      absl::StatusCode::kNotFound, "FILE_NOT_FOUND",
                      "config.json"));
  std::string folder = CopyOfModel("llama");
  std::filesystem::remove(folder + "/config.json");
  EXPECT_TRUE(IsError(Open(folder).status(), absl::StatusCode::kNotFound,
                      "FILE_NOT_FOUND", "config.json"));
  std::filesystem::create_directory(folder + "/config.json");
  EXPECT_FALSE(Open(folder).ok());
  folder = CopyOfModel("llama");
  WriteText(folder + "/model.safetensors", "");
  EXPECT_TRUE(IsError(Open(folder).status(), kInvalid, "SAFETENSORS",
                      "model.safetensors"));
}

TEST(BaseModelTest, ABrokenGenerationConfigIsAnError) {
  const std::string folder = CopyOfModel("llama");
  WriteText(folder + "/generation_config.json", R"({"eos_token_id": "x"})");
  EXPECT_TRUE(IsError(Open(folder).status(), kInvalid, "MODEL_CONFIG",
                      "generation_config.json\": \"eos_token_id\""));
}

TEST(BaseModelTest, TheGenerationConfigDecidesTheEndTokens) {
  const auto model = Open(GoldenModel("llama_linear_biases_tied"));
  ASSERT_TRUE(model.ok());
  EXPECT_EQ((*model)->config().eos_token_ids, (std::vector<int64_t>{48, 82}));
}

}  // namespace
}  // namespace peft
