#include "peft_cc/config/adapter_config.h"

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using Strings = std::vector<std::string>;

// A LORA config with `fields`, JSON text that goes on after the type.
std::string Lora(const std::string& fields) {
  return absl::StrCat(R"({"peft_type": "LORA")", fields.empty() ? "" : ", ",
                      fields, "}");
}

AdapterConfig Parsed(const std::string& fields,
                     const AdapterConfigOptions& options = {}) {
  absl::StatusOr<AdapterConfig> config =
      ParseAdapterConfig(Lora(fields), options);
  EXPECT_TRUE(config.ok()) << fields << ": " << config.status();
  if (!config.ok()) {
    AdapterConfig empty;
    empty.lora.emplace();
    return empty;
  }
  return *std::move(config);
}

absl::Status Failure(const std::string& fields,
                     const AdapterConfigOptions& options = {}) {
  return ParseAdapterConfig(Lora(fields), options).status();
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(AdapterConfigTest, MissingKeysHavePeftsDefaults) {
  const AdapterConfig config = Parsed("");
  EXPECT_EQ(config.base.peft_type, "LORA");
  EXPECT_EQ(config.base.task_type, "");
  EXPECT_FALSE(config.base.inference_mode);
  EXPECT_EQ(config.lora->r, 8);
  EXPECT_EQ(config.lora->lora_alpha, 8);
  EXPECT_FALSE(config.lora->use_rslora);
  EXPECT_EQ(config.targets.bias, BiasMode::kNone);
  EXPECT_FALSE(config.targets.target_modules.has_value());
  EXPECT_FALSE(config.targets.layers_to_transform.has_value());
  EXPECT_TRUE(config.lora->rank_pattern.empty());
  EXPECT_TRUE(config.notes.empty());
}

TEST(AdapterConfigTest, AFileOfPeftIsReadWithoutRemarksAndWrittenBackEqual) {
  std::string text = ReadAll("peft_cc/config/testdata/lora_0.21.2.json");
  const auto config = ParseAdapterConfig(text);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->lora->r, 16);
  EXPECT_EQ(config->lora->lora_alpha, 32);
  EXPECT_EQ(config->targets.target_modules->names,
            (Strings{"q_proj", "v_proj"}));
  EXPECT_EQ(config->base.task_type, "CAUSAL_LM");
  EXPECT_EQ(config->base.base_model_name_or_path, "caf\u00e9/base");
  EXPECT_EQ(config->base.peft_version, "0.21.2");
  EXPECT_TRUE(config->base.inference_mode);
  EXPECT_TRUE(config->ignored_keys.empty());
  EXPECT_TRUE(config->notes.empty());
  EXPECT_EQ(DumpJson(config->json), text);
}

TEST(AdapterConfigTest, UnknownKeysSurviveInTheirPlace) {
  const std::string text =
      "{\n  \"zeta\": [],\n  \"peft_type\": \"LORA\",\n"
      "  \"new_flag\": false,\n  \"r\": 4\n}";
  const auto config = ParseAdapterConfig(text);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(DumpJson(config->json), text);
  EXPECT_EQ(config->ignored_keys, (Strings{"zeta", "new_flag"}));
}

TEST(AdapterConfigTest, ReadsEveryFieldThatDecidesNumbers) {
  const AdapterConfig config = Parsed(
      R"("r": 3, "lora_alpha": 1.5, "use_rslora": true, "lora_bias": true,
         "fan_in_fan_out": true, "bias": "lora_only", "target_modules": ["a"],
         "exclude_modules": ".*b", "layers_to_transform": [1, 2],
         "layers_pattern": "h", "rank_pattern": {"z": 1, "a": 2},
         "alpha_pattern": {"z": 0.5})");
  const LoraConfig& lora = *config.lora;
  const TargetConfig& targets = config.targets;
  EXPECT_EQ(lora.r, 3);
  EXPECT_EQ(lora.lora_alpha, 1.5);
  EXPECT_TRUE(lora.use_rslora && lora.lora_bias && targets.fan_in_fan_out);
  EXPECT_EQ(targets.bias, BiasMode::kLoraOnly);
  EXPECT_EQ(targets.exclude_modules->regex, ".*b");
  EXPECT_TRUE(targets.exclude_modules->is_regex);
  EXPECT_EQ(*targets.layers_to_transform, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(targets.layers_pattern, (Strings{"h"}));
  EXPECT_EQ(lora.rank_pattern[0], (std::pair<std::string, int64_t>("z", 1)));
  EXPECT_EQ(lora.rank_pattern[1], (std::pair<std::string, int64_t>("a", 2)));
  EXPECT_EQ(lora.alpha_pattern[0], (std::pair<std::string, double>("z", 0.5)));
}

TEST(AdapterConfigTest, AcceptsOtherWritingsThatMeanTheSame) {
  const AdapterConfig config = Parsed(
      R"("r": 4.0, "use_rslora": 1, "layers_to_transform": 5,
         "rank_pattern": null, "bias": "all", "use_dora": 0)");
  EXPECT_EQ(config.lora->r, 4);
  EXPECT_TRUE(config.lora->use_rslora);
  EXPECT_EQ(*config.targets.layers_to_transform, (std::vector<int64_t>{5}));
  EXPECT_EQ(config.targets.bias, BiasMode::kAll);
  EXPECT_EQ(config.notes.size(), 3u);
}

TEST(AdapterConfigTest, AllLinearInAnyCase) {
  EXPECT_TRUE(Parsed(R"("target_modules": "All-Linear")")
                  .targets.target_modules->IsAllLinear());
  EXPECT_FALSE(Parsed(R"("target_modules": ["all-linear"])")
                   .targets.target_modules->IsAllLinear());
}

TEST(AdapterConfigTest, WrongTypesAndValuesNameTheKey) {
  const std::pair<std::string, std::string> cases[] = {
      {"r", "\"8\""},
      {"r", "true"},
      {"r", "null"},
      {"r", "8.5"},
      {"r", "0"},
      {"r", "-1"},
      {"r", "1e300"},
      {"r", "4294967296"},
      {"r", "99999999999999999999"},
      {"lora_alpha", "null"},
      {"lora_alpha", "[]"},
      {"use_rslora", "2"},
      {"use_rslora", "\"\""},
      {"bias", "\"some\""},
      {"bias", "null"},
      {"bias", "1"},
      {"use_dora", "\"\""},
      {"task_type", "1"},
      {"lora_dropout", "{}"},
      {"inference_mode", "[]"},
      {"target_modules", "{}"},
      {"target_modules", "1"},
      {"rank_pattern", "[]"},
      {"alpha_pattern", "\"a\""},
      {"layers_to_transform", "\"1\""},
      {"layers_pattern", "1"},
      {"init_lora_weights", "1"},
      {"init_lora_weights", "\"other\""},
      {"modules_to_save", "\"a\""},
      {"modules_to_save", "[\"\"]"},
      {"target_parameters", "\"a\""},
      {"target_parameters", "[\"\"]"},
      {"trainable_token_indices", "1"},
      {"trainable_token_indices", "{\"\": [1]}"},
      {"megatron_core", "1"},
      {"eva_config", "true"},
      {"use_bdlora", "false"}};
  for (const auto& [key, value] : cases) {
    const absl::Status status = Failure(absl::StrCat("\"", key, "\": ", value));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument)
        << key << value;
    EXPECT_EQ(ErrorId(status), error_id::kAdapterConfig) << key << value;
    EXPECT_EQ(GetErrorDetails(status).tensor, key);
    EXPECT_TRUE(absl::StrContains(status.message(), key)) << status;
  }
}

TEST(AdapterConfigTest, WrongEntriesNameTheirPlace) {
  const std::pair<std::string, std::string> cases[] = {
      {R"("target_modules": ["a", 1])", "target_modules[1]"},
      {R"("layers_to_transform": [0, "1"])", "layers_to_transform[1]"},
      {R"("rank_pattern": {"q.*": 0})", "rank_pattern.q.*"},
      {R"("alpha_pattern": {"q": true})", "alpha_pattern.q"},
      {R"("trainable_token_indices": [1, "a"])", "trainable_token_indices[1]"},
      {R"("trainable_token_indices": {"e": 1})", "trainable_token_indices.e"},
      {R"("modules_to_save": [null])", "modules_to_save[0]"}};
  AdapterConfigOptions options;
  options.inspect_only = true;
  for (const auto& [fields, place] : cases) {
    const absl::Status status = Failure(fields, options);
    EXPECT_EQ(ErrorId(status), error_id::kAdapterConfig) << fields;
    EXPECT_EQ(GetErrorDetails(status).tensor, place) << status;
  }
}

TEST(AdapterConfigTest, NanAndInfinityAreErrorsWhereverTheyAre) {
  for (const char* fields :
       {R"("lora_alpha": NaN)", R"("lora_alpha": Infinity)", R"("r": NaN)",
        R"("lora_dropout": -Infinity)", R"("alpha_pattern": {"q": NaN})",
        R"("eva_config": {"rho": NaN})", R"("other": [NaN])"}) {
    const absl::Status status = Failure(fields);
    EXPECT_EQ(ErrorId(status), error_id::kAdapterConfig) << fields;
    EXPECT_TRUE(absl::StrContains(status.message(), "finite")) << status;
  }
}

TEST(AdapterConfigTest, FeaturesThatChangeNumbersAreRefusedByName) {
  const std::pair<std::string, std::string> cases[] = {
      {"use_qalora", "true"},
      {"use_bdlora", "{\"nblocks\": 2}"},
      {"kasa_config", "{}"},
      {"arrow_config", "{}"},
      {"megatron_config", "{\"a\": 1}"},
      {"init_lora_weights", "\"pissa_niter_16\""},
      {"init_lora_weights", "\"corda\""},
      {"init_lora_weights", "\"loftq\""},
      {"init_lora_weights", "\"lora_ga\""}};
  for (const auto& [key, value] : cases) {
    const std::string fields = absl::StrCat("\"", key, "\": ", value);
    const absl::Status status = Failure(fields);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << fields;
    EXPECT_EQ(ErrorId(status), error_id::kAdapterFeatureUnsupported);
    EXPECT_EQ(GetErrorDetails(status).tensor, key);
    AdapterConfigOptions options;
    options.inspect_only = true;
    const AdapterConfig config = Parsed(fields, options);
    ASSERT_EQ(config.notes.size(), 1u) << fields;
    EXPECT_TRUE(absl::StrContains(config.notes[0], key));
  }
}

TEST(AdapterConfigTest, LayerReplicationIsRead) {
  const AdapterConfig config =
      Parsed(R"("layer_replication": [[0, 2], [1, 3]])");
  EXPECT_EQ(config.targets.layer_replication, (LayerRanges{{0, 2}, {1, 3}}));
  EXPECT_EQ(ErrorId(Failure(R"("layer_replication": [[2, 0]])")),
            error_id::kAdapterConfig);
}

TEST(AdapterConfigTest, TheSameFeaturesSwitchedOffAreFine) {
  for (const char* fields :
       {R"("use_dora": false)", R"("use_dora": null)",
        R"("target_parameters": [])", R"("trainable_token_indices": null)",
        R"("modules_to_save": [])", R"("layer_replication": null)",
        R"("alora_invocation_tokens": [])", R"("use_bdlora": null)",
        R"("megatron_config": {})", R"("megatron_core": "megatron.core")"}) {
    EXPECT_TRUE(Parsed(fields).notes.empty()) << fields;
  }
}

TEST(AdapterConfigTest, InitsThatOnlyMatterBeforeTrainingAreFine) {
  for (const char* value : {"true", "false", "null", "\"gaussian\"", "\"eva\"",
                            "\"orthogonal\"", "\"mica\"", "\"Gaussian\""}) {
    EXPECT_TRUE(
        Parsed(absl::StrCat(R"("init_lora_weights": )", value)).notes.empty());
  }
}

TEST(AdapterConfigTest, TrainingOnlyMethodsAreNoted) {
  for (const char* key :
       {"monteclora_config", "velora_config", "runtime_config"}) {
    const AdapterConfig config =
        Parsed(absl::StrCat("\"", key, "\": {\"scale\": 1}"));
    ASSERT_EQ(config.notes.size(), 1u) << key;
    EXPECT_TRUE(absl::StrContains(config.notes[0], key));
  }
}

TEST(AdapterConfigTest, TrainedTokensAreAListOrByModule) {
  const auto list = Parsed(R"("trainable_token_indices": [7, 2])");
  ASSERT_EQ(list.targets.trained_tokens.size(), 1u);
  EXPECT_EQ(list.targets.trained_tokens[0].module, "");
  EXPECT_EQ(list.targets.trained_tokens[0].ids, (std::vector<int64_t>{7, 2}));
  const auto named =
      Parsed(R"("trainable_token_indices": {"a": [1], "b": []})");
  ASSERT_EQ(named.targets.trained_tokens.size(), 2u);
  EXPECT_EQ(named.targets.trained_tokens[1].module, "b");
}

TEST(AdapterConfigTest, TasksAddTheirHeads) {
  EXPECT_EQ(Parsed(R"("task_type": "SEQ_CLS", "modules_to_save": ["a"])")
                .targets.modules_to_save,
            (Strings{"a", "classifier", "score"}));
  EXPECT_EQ(Parsed(R"("task_type": "QUESTION_ANS")").targets.modules_to_save,
            (Strings{"qa_outputs"}));
  EXPECT_TRUE(
      Parsed(R"("task_type": "CAUSAL_LM")").targets.modules_to_save.empty());
}

TEST(AdapterConfigTest, UnknownKeysWithAValueAreErrorsUnlessLenient) {
  for (const char* value : {"true", "1", "\"x\"", "[0]", "{\"a\": 1}"}) {
    const std::string fields = absl::StrCat(R"("use_mora": )", value);
    const absl::Status status = Failure(fields);
    EXPECT_EQ(ErrorId(status), error_id::kAdapterConfigUnknownKey) << value;
    EXPECT_EQ(GetErrorDetails(status).tensor, "use_mora");
    AdapterConfigOptions options;
    options.lenient = true;
    EXPECT_EQ(Parsed(fields, options).ignored_keys, (Strings{"use_mora"}));
  }
}

TEST(AdapterConfigTest, UnknownKeysWithoutAValueAndHarmlessOnesAreIgnored) {
  const AdapterConfig config = Parsed(
      R"("a": null, "b": false, "c": 0, "d": "", "e": [], "f": {}, "g": 0.0,
         "lora_dtype": "float32", "merge_weights": true)");
  EXPECT_EQ(config.ignored_keys, (Strings{"a", "b", "c", "d", "e", "f", "g",
                                          "lora_dtype", "merge_weights"}));
}

TEST(AdapterConfigTest, StringTargetsExcludeLayerFilters) {
  for (const char* key : {"layers_to_transform", "layers_pattern"}) {
    const absl::Status status =
        Failure(absl::StrCat(R"("target_modules": "a", ")", key, R"(": [])"));
    EXPECT_EQ(ErrorId(status), error_id::kAdapterConfig);
    EXPECT_EQ(GetErrorDetails(status).tensor, key);
  }
  EXPECT_EQ(GetErrorDetails(Failure(R"("layers_pattern": ["h"])")).tensor,
            "layers_pattern");
  Parsed(R"("layers_pattern": [])");
}

TEST(AdapterConfigTest, LoraBiasNeedsAPlainInit) {
  EXPECT_EQ(
      GetErrorDetails(
          Failure(R"("lora_bias": true, "init_lora_weights": "gaussian")"))
          .tensor,
      "init_lora_weights");
}

absl::Status TypeFailure(const std::string& type) {
  return ParseAdapterConfig(absl::StrCat("{\"peft_type\": ", type, "}"))
      .status();
}

TEST(AdapterConfigTest, OtherMethodsSayThatTheyCannotRun) {
  const absl::Status status = TypeFailure("\"LOHA\"");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(ErrorId(status), error_id::kAdapterMethodUnsupported);
  EXPECT_EQ(status.message(),
            "PEFT method LOHA cannot run yet, only ADALORA, IA3, LORA");
  EXPECT_TRUE(absl::StrContains(TypeFailure("\"BONE\"").message(), "MISS"));
}

TEST(AdapterConfigTest, WhatIsNoMethodIsAnError) {
  for (const char* type : {"\"LORAX\"", "\"\"", "1", "null", "\"lora\""}) {
    EXPECT_EQ(ErrorId(TypeFailure(type)), error_id::kAdapterConfig) << type;
  }
  EXPECT_TRUE(
      absl::StrContains(TypeFailure("\"lora\"").message(), "is it LORA?"));
  EXPECT_TRUE(absl::StrContains(
      ParseAdapterConfig("{\"model_type\": \"llama\"}").status().message(),
      "no adapter config"));
}

TEST(AdapterConfigTest, InspectOnlyReadsOtherMethods) {
  AdapterConfigOptions options;
  options.inspect_only = true;
  const auto config = ParseAdapterConfig(
      R"({"peft_type": "LOHA", "task_type": "SEQ_CLS", "anything": 1})",
      options);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->base.peft_type, "LOHA");
  EXPECT_EQ(config->base.task_type, "SEQ_CLS");
  EXPECT_FALSE(config->lora.has_value());
}

TEST(AdapterConfigTest, NotesUnknownTasksAndNewerVersions) {
  EXPECT_EQ(Parsed(R"("task_type": "POETRY")").notes.size(), 1u);
  for (const char* version : {"0.21.3", "0.22.0.dev0@UNKNOWN", "1.0"}) {
    const AdapterConfig config =
        Parsed(absl::StrCat(R"("peft_version": ")", version, "\""));
    ASSERT_EQ(config.notes.size(), 1u) << version;
    EXPECT_TRUE(absl::StrContains(config.notes[0], version));
  }
  for (const char* version : {"0.21.2", "0.9.1", "0.20.1.dev0@abc", "x", ""}) {
    EXPECT_TRUE(Parsed(absl::StrCat(R"("peft_version": ")", version, "\""))
                    .notes.empty())
        << version;
  }
}

TEST(AdapterConfigTest, LoraVariantsExcludeEachOther) {
  const AdapterConfig alora =
      Parsed(R"("alora_invocation_tokens": [3, 4], "task_type": "CAUSAL_LM")");
  EXPECT_EQ(alora.lora->alora_invocation_tokens, (std::vector<int64_t>{3, 4}));
  EXPECT_TRUE(alora.notes.empty());
  EXPECT_TRUE(Parsed(R"("use_dora": true)").lora->use_dora);
  for (const char* both :
       {R"("use_dora": true, "lora_bias": true)",
        R"("use_dora": true, "alora_invocation_tokens": [1])",
        R"("use_dora": true, "velora_config": {"scale": 1})"}) {
    EXPECT_EQ(ErrorId(ParseAdapterConfig(Lora(both)).status()),
              error_id::kAdapterConfig)
        << both;
  }
}

TEST(AdapterConfigTest, InitsThatCanBeComputedAgainAreKept) {
  EXPECT_EQ(Parsed(R"("init_lora_weights": "pissa")").lora->init,
            BaseChangingInit::kPissa);
  EXPECT_EQ(Parsed(R"("init_lora_weights": "OLoRA")").lora->init,
            BaseChangingInit::kOlora);
  EXPECT_EQ(Parsed(R"("init_lora_weights": "gaussian")").lora->init,
            BaseChangingInit::kNone);
}

TEST(AdapterConfigTest, UnconvertedInitsNeedPermission) {
  const std::string text = Lora(R"("init_lora_weights": "corda")");
  EXPECT_EQ(ErrorId(ParseAdapterConfig(text).status()),
            error_id::kAdapterFeatureUnsupported);
  AdapterConfigOptions options;
  options.allow_unconverted_init = true;
  const auto config = ParseAdapterConfig(text, options);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->notes.size(), 1u);
}

absl::StatusOr<AdapterConfig> OfType(const char* type, const char* fields) {
  return ParseAdapterConfig(
      absl::StrCat(R"({"peft_type": ")", type, "\", ", fields, "}"));
}

TEST(AdapterConfigTest, AdaLoraCountsTheRanksThatAreLeft) {
  const auto config = OfType("ADALORA", R"("init_r": 2, "total_step": 9,
      "rank_pattern": {"a.q.lora_E": [true, false],
                       "a.v.lora_E.default": [false, false]})");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->adalora->ranks.at("a.q"), 1);
  EXPECT_EQ(config->adalora->ranks.at("a.v"), 0);
  EXPECT_TRUE(config->notes.empty());
}

TEST(AdapterConfigTest, AdaLoraOfOldReleasesLoadsWithANote) {
  const auto config = OfType("ADALORA", R"("target_r": 8, "r": 4)");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->notes.size(), 2u);
}

TEST(AdapterConfigTest, ARankOutOfRangeSaysTheRange) {
  for (const char* field : {R"("r": 0)", R"("r": 4294967296)"}) {
    EXPECT_TRUE(
        absl::StrContains(ParseAdapterConfig(Lora(field)).status().message(),
                          "a rank from 1 to 2147483647"))
        << field;
  }
}

TEST(AdapterConfigTest, AdaLoraRefusesWhatPeftDoes) {
  for (const char* fields :
       {R"("use_dora": true)", R"("loftq_config": {"loftq_bits": 4})",
        R"("init_r": 0)", R"("rank_pattern": {"q.lora_A": [true]})",
        R"("init_r": 2, "rank_pattern": {"q.lora_E": [true]})",
        R"("init_r": 1, "rank_pattern": {"q.lora_E": [1]})",
        R"("init_r": 1, "rank_pattern": {"q.lora_E": [true],
                                         "q.lora_E.x": [true]})"}) {
    EXPECT_EQ(ErrorId(OfType("ADALORA", fields).status()),
              error_id::kAdapterConfig)
        << fields;
  }
}

TEST(AdapterConfigTest, Ia3FeedforwardIsASubsetOfTheTargets) {
  const auto config = OfType("IA3", R"("target_modules": ["k", "down"],
      "feedforward_modules": ["down"])");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->ia3->feedforward_modules->names, (Strings{"down"}));
  EXPECT_EQ(ErrorId(OfType("IA3", R"("target_modules": ["k"],
      "feedforward_modules": ["down"])")
                        .status()),
            error_id::kAdapterConfig);
  EXPECT_TRUE(OfType("IA3", R"("target_modules": "k",
      "feedforward_modules": ["down"])")
                  .ok());
}

TEST(AdapterConfigTest, Ia3HasNoLayerFilter) {
  EXPECT_EQ(ErrorId(OfType("IA3", R"("layers_to_transform": [1])").status()),
            error_id::kAdapterConfigUnknownKey);
}

TEST(AdapterConfigTest, BadJsonIsAnError) {
  for (const char* text : {"", "{", "[1", R"({"peft_type": "LORA"} x)",
                           R"({"peft_type": "LORA", "r": 1, "r": 2})"}) {
    EXPECT_EQ(ErrorId(ParseAdapterConfig(text).status()), error_id::kJson)
        << text;
  }
  EXPECT_EQ(ErrorId(ParseAdapterConfig("[]").status()),
            error_id::kAdapterConfig);
}

TEST(AdapterConfigTest, ReadsAFolderAndNamesItInErrors) {
  const std::string folder = testing::TempDir();
  const std::string path = folder + "/adapter_config.json";
  std::remove(path.c_str());
  EXPECT_EQ(ErrorId(ReadAdapterConfig(folder).status()),
            error_id::kFileNotFound);
  std::ofstream(path) << Lora("\"r\": 3");
  ASSERT_TRUE(ReadAdapterConfig(folder).ok());
  EXPECT_EQ(ReadAdapterConfig(folder)->lora->r, 3);
  std::ofstream(path) << Lora("\"r\": 0");
  const absl::Status status = ReadAdapterConfig(folder).status();
  EXPECT_EQ(ErrorId(status), error_id::kAdapterConfig);
  EXPECT_TRUE(absl::StrContains(status.message(), folder)) << status;
  std::remove(path.c_str());
}

}  // namespace
}  // namespace peft
