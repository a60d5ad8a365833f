#include "peft_cc/config/lora_config.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/lora_keys.h"
#include "peft_cc/config/python_regex.h"

namespace peft {
namespace {

constexpr int64_t kMaxRank = std::numeric_limits<int32_t>::max();

// What PEFT calls EMBEDDING_LAYER_NAMES.
constexpr absl::string_view kEmbeddingNames[] = {"embed_tokens", "lm_head"};

JsonTypes TypeOf(const Json& value) {
  if (value.is_null()) return kNullType;
  if (value.is_boolean()) return kBoolType;
  if (value.is_number()) return kNumberType;
  if (value.is_string()) return kStringType;
  return value.is_array() ? kListType : kObjectType;
}

std::string ExpectedTypes(JsonTypes types) {
  constexpr std::pair<JsonTypes, absl::string_view> kNames[] = {
      {kObjectType, "an object"}, {kListType, "a list"},
      {kStringType, "a string"},  {kNumberType, "a number"},
      {kBoolType, "true, false"}, {kNullType, "null"}};
  std::string text;
  for (const auto& [type, name] : kNames) {
    if ((types & type) == 0) continue;
    absl::StrAppend(&text, text.empty() ? "" : " or ", name);
  }
  return text;
}

class LoraParser {
 public:
  LoraParser(const AdapterConfigOptions& options, ConfigReader* reader,
             AdapterConfig* config)
      : options_(options), reader_(*reader), config_(*config) {}

  absl::Status Parse();

 private:
  absl::Status CheckKeys();
  absl::Status CheckKnownKey(const LoraKey& key, const Json& value);
  absl::Status CheckUnknownKey(const std::string& name, const Json& value);
  absl::Status Refuse(absl::string_view key, absl::string_view problem);
  absl::Status ReadNumbers();
  absl::Status ReadRank(absl::string_view key, int64_t* out);
  absl::Status CheckRank(absl::string_view key, const Json& value,
                         int64_t* out);
  absl::Status ReadBias();
  absl::Status ReadInit();
  absl::Status ReadTargets();
  absl::Status ReadSelector(absl::string_view key,
                            std::optional<ModuleSelector>* out);
  absl::Status ReadLayers();
  absl::Status CheckLayers();
  absl::Status ReadPatterns();
  absl::StatusOr<const Json*> FindPattern(absl::string_view key);
  absl::Status ReadWeightTying();
  absl::StatusOr<bool> TargetsEmbedding() const;

  const AdapterConfigOptions& options_;
  ConfigReader& reader_;
  AdapterConfig& config_;
  LoraConfig lora_;
};

absl::Status LoraParser::Parse() {
  PEFT_RETURN_IF_ERROR(CheckKeys());
  PEFT_RETURN_IF_ERROR(ReadNumbers());
  PEFT_RETURN_IF_ERROR(ReadBias());
  PEFT_RETURN_IF_ERROR(ReadInit());
  PEFT_RETURN_IF_ERROR(ReadTargets());
  PEFT_RETURN_IF_ERROR(ReadLayers());
  PEFT_RETURN_IF_ERROR(CheckLayers());
  PEFT_RETURN_IF_ERROR(ReadPatterns());
  PEFT_RETURN_IF_ERROR(ReadWeightTying());
  config_.lora = std::move(lora_);
  return absl::OkStatus();
}

absl::Status LoraParser::CheckKeys() {
  for (const auto& [name, value] : config_.json.items()) {
    const LoraKey* key = FindLoraKey(name);
    PEFT_RETURN_IF_ERROR(key != nullptr ? CheckKnownKey(*key, value)
                                        : CheckUnknownKey(name, value));
  }
  return absl::OkStatus();
}

absl::Status LoraParser::CheckKnownKey(const LoraKey& key, const Json& value) {
  if ((TypeOf(value) & key.types) == 0) {
    return ConfigTypeError(key.name, value, ExpectedTypes(key.types));
  }
  if (value.is_null()) return absl::OkStatus();
  const bool empty = IsEmptyValue(value);
  if (key.use == KeyUse::kNoted && !empty) {
    reader_.Note(absl::StrCat(Quoted(key.name), ": ", key.meaning));
  }
  if (key.use == KeyUse::kRefusedUnlessNull ||
      (key.use == KeyUse::kRefusedUnlessEmpty && !empty)) {
    return Refuse(key.name,
                  absl::StrCat("is ", DescribeJson(value), ": ", key.meaning));
  }
  return absl::OkStatus();
}

absl::Status LoraParser::CheckUnknownKey(const std::string& name,
                                         const Json& value) {
  if (options_.lenient || IsEmptyValue(value) || IsHarmlessForeignKey(name)) {
    config_.ignored_keys.push_back(name);
    return absl::OkStatus();
  }
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterConfigUnknownKey,
      absl::StrCat("adapter_config.json: the key ", Quoted(name), " (",
                   DescribeJson(value),
                   ") is not known and may change the results; remove it or "
                   "load leniently if it does not matter"),
      {name, "", DescribeJson(value)});
}

// A feature that cannot run: an error, or a note where nothing will run.
absl::Status LoraParser::Refuse(absl::string_view key,
                                absl::string_view problem) {
  const std::string message =
      absl::StrCat("adapter_config.json: ", Quoted(key), " ", problem,
                   "; this cannot run yet");
  if (!options_.inspect_only) {
    return MakeError(absl::StatusCode::kUnimplemented,
                     error_id::kAdapterFeatureUnsupported, message,
                     {std::string(key), "", ""});
  }
  reader_.Note(message);
  return absl::OkStatus();
}

absl::Status LoraParser::ReadNumbers() {
  PEFT_RETURN_IF_ERROR(ReadRank("r", &lora_.r));
  PEFT_RETURN_IF_ERROR(reader_.ReadNumber("lora_alpha", &lora_.lora_alpha));
  PEFT_RETURN_IF_ERROR(reader_.ReadBool("use_rslora", &lora_.use_rslora));
  PEFT_RETURN_IF_ERROR(reader_.ReadBool("lora_bias", &lora_.lora_bias));
  return reader_.ReadBool("fan_in_fan_out", &lora_.fan_in_fan_out);
}

absl::Status LoraParser::ReadRank(absl::string_view key, int64_t* out) {
  const Json* value = reader_.Find(key);
  return value == nullptr ? absl::OkStatus() : CheckRank(key, *value, out);
}

absl::Status LoraParser::CheckRank(absl::string_view key, const Json& value,
                                   int64_t* out) {
  PEFT_RETURN_IF_ERROR(reader_.ToInt(key, value, out));
  if (*out >= 1 && *out <= kMaxRank) return absl::OkStatus();
  return ConfigTypeError(key, value, "a rank of at least 1");
}

absl::Status LoraParser::ReadBias() {
  const Json* value = reader_.Find("bias");
  if (value == nullptr) return absl::OkStatus();
  // Compared with a literal, a Json would be made of that, under noexcept.
  const auto* text = value->get_ptr<const std::string*>();
  if (text != nullptr && *text == "none") {
    lora_.bias = BiasMode::kNone;
  } else if (text != nullptr && *text == "all") {
    lora_.bias = BiasMode::kAll;
  } else if (text != nullptr && *text == "lora_only") {
    lora_.bias = BiasMode::kLoraOnly;
  } else {
    return ConfigTypeError("bias", *value, R"("none", "all" or "lora_only")");
  }
  return absl::OkStatus();
}

// Most inits only matter before training. Some also change the base model when
// PEFT loads the adapter, and the tensors only fit that changed model.
absl::Status LoraParser::ReadInit() {
  constexpr char kKey[] = "init_lora_weights";
  const Json* value = reader_.FindValue(kKey);
  if (value == nullptr || value->is_boolean()) return absl::OkStatus();
  if (!value->is_string()) {
    return ConfigTypeError(kKey, *value, "true, false or a string");
  }
  if (lora_.lora_bias) {
    return ConfigTypeError(kKey, *value, "true or false beside lora_bias");
  }
  const std::string name = value->get<std::string>();
  const std::string lower = absl::AsciiStrToLower(name);
  if (lower == "gaussian" || lower == "mica" || name == "eva" ||
      name == "orthogonal") {
    return absl::OkStatus();
  }
  if (absl::StartsWith(name, "pissa") || absl::StartsWith(name, "corda") ||
      lower == "olora" || name == "loftq" || name == "lora_ga") {
    return Refuse(kKey,
                  absl::StrCat("is ", Quoted(name),
                               ", which changes the base model's weights when "
                               "the adapter is loaded; save it with PEFT's "
                               "path_initial_model_for_weight_conversion to "
                               "make it a plain LoRA"));
  }
  return ConfigTypeError(
      kKey, *value,
      "true, false, gaussian, eva, olora, pissa, pissa_niter_<n>, corda, "
      "loftq, orthogonal, lora_ga or mica");
}

absl::Status LoraParser::ReadTargets() {
  PEFT_RETURN_IF_ERROR(ReadSelector("target_modules", &lora_.target_modules));
  PEFT_RETURN_IF_ERROR(ReadSelector("exclude_modules", &lora_.exclude_modules));
  std::optional<std::vector<std::string>> saved;
  PEFT_RETURN_IF_ERROR(reader_.ReadStrings("modules_to_save", &saved));
  if (saved.has_value()) lora_.modules_to_save = *std::move(saved);
  return absl::OkStatus();
}

absl::Status LoraParser::ReadSelector(absl::string_view key,
                                      std::optional<ModuleSelector>* out) {
  const Json* value = reader_.FindValue(key);
  if (value == nullptr) return absl::OkStatus();
  ModuleSelector selector;
  if (value->is_string()) {
    selector.is_regex = true;
    selector.regex = value->get<std::string>();
  } else if (value->is_array()) {
    std::optional<std::vector<std::string>> names;
    PEFT_RETURN_IF_ERROR(reader_.ReadStrings(key, &names));
    selector.names = *std::move(names);
  } else {
    return ConfigTypeError(key, *value, "a string, a list of strings or null");
  }
  *out = std::move(selector);
  return absl::OkStatus();
}

absl::Status LoraParser::ReadLayers() {
  constexpr char kKey[] = "layers_to_transform";
  const Json* layers = reader_.FindValue(kKey);
  if (layers != nullptr) {
    std::vector<int64_t>& out = lora_.layers_to_transform.emplace();
    if (layers->is_array()) {
      out.resize(layers->size());
      for (size_t i = 0; i < layers->size(); ++i) {
        PEFT_RETURN_IF_ERROR(reader_.ToInt(absl::StrCat(kKey, "[", i, "]"),
                                           (*layers)[i], &out[i]));
      }
    } else {
      PEFT_RETURN_IF_ERROR(reader_.ToInt(kKey, *layers, &out.emplace_back()));
    }
  }
  std::optional<ModuleSelector> pattern;
  PEFT_RETURN_IF_ERROR(ReadSelector("layers_pattern", &pattern));
  if (!pattern.has_value()) return absl::OkStatus();
  if (!pattern->is_regex) {
    lora_.layers_pattern = std::move(pattern->names);
  } else if (!pattern->regex.empty()) {
    lora_.layers_pattern = {std::move(pattern->regex)};
  }
  return absl::OkStatus();
}

// PEFT's own rules for what goes together.
absl::Status LoraParser::CheckLayers() {
  const bool regex =
      lora_.target_modules.has_value() && lora_.target_modules->is_regex;
  for (const char* key : {"layers_to_transform", "layers_pattern"}) {
    if (regex && reader_.FindValue(key) != nullptr) {
      return ConfigError(key,
                         "cannot be used when target_modules is a string; "
                         "make it null or target_modules a list");
    }
  }
  if (!lora_.layers_pattern.empty() && !lora_.layers_to_transform.has_value()) {
    return ConfigError("layers_pattern",
                       "needs layers_to_transform to be set as well");
  }
  return absl::OkStatus();
}

absl::Status LoraParser::ReadPatterns() {
  PEFT_ASSIGN_OR_RETURN(const Json* const ranks, FindPattern("rank_pattern"));
  if (ranks != nullptr) {
    for (const auto& [name, value] : ranks->items()) {
      auto& entry = lora_.rank_pattern.emplace_back(name, 0);
      PEFT_RETURN_IF_ERROR(
          CheckRank(absl::StrCat("rank_pattern.", name), value, &entry.second));
    }
  }
  PEFT_ASSIGN_OR_RETURN(const Json* const alphas, FindPattern("alpha_pattern"));
  if (alphas != nullptr) {
    for (const auto& [name, value] : alphas->items()) {
      auto& entry = lora_.alpha_pattern.emplace_back(name, 0);
      PEFT_RETURN_IF_ERROR(reader_.ToNumber(
          absl::StrCat("alpha_pattern.", name), value, &entry.second));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<const Json*> LoraParser::FindPattern(absl::string_view key) {
  const Json* value = reader_.FindValue(key);
  if (value == nullptr || value->is_object()) return value;
  return ConfigTypeError(key, *value, "an object");
}

// Tying shares factors between the embedding and the head. It makes no
// difference to an adapter that targets neither.
absl::Status LoraParser::ReadWeightTying() {
  constexpr char kKey[] = "ensure_weight_tying";
  bool tie = false;
  PEFT_RETURN_IF_ERROR(reader_.ReadBool(kKey, &tie));
  if (!tie) return absl::OkStatus();
  PEFT_ASSIGN_OR_RETURN(const bool targets_embedding, TargetsEmbedding());
  if (!targets_embedding) return absl::OkStatus();
  return Refuse(kKey,
                "is true and target_modules names an embedding: tied "
                "embeddings share their factors");
}

absl::StatusOr<bool> LoraParser::TargetsEmbedding() const {
  if (!lora_.target_modules.has_value()) return false;
  const ModuleSelector& target = *lora_.target_modules;
  if (target.is_regex) {
    PEFT_ASSIGN_OR_RETURN(const PythonRegex regex,
                          PythonRegex::Compile(target.regex));
    for (const absl::string_view name : kEmbeddingNames) {
      PEFT_ASSIGN_OR_RETURN(const bool matches, regex.FullMatch(name));
      if (matches) return true;
    }
    return false;
  }
  const auto is_embedding = [](absl::string_view name) {
    const absl::string_view last = name.substr(name.rfind('.') + 1);
    return std::find(std::begin(kEmbeddingNames), std::end(kEmbeddingNames),
                     last) != std::end(kEmbeddingNames);
  };
  return std::any_of(target.names.begin(), target.names.end(), is_embedding);
}

}  // namespace

absl::Status ParseLoraConfig(const AdapterConfigOptions& options,
                             ConfigReader* reader, AdapterConfig* config) {
  return LoraParser(options, reader, config).Parse();
}

}  // namespace peft
