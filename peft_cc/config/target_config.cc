#include "peft_cc/config/target_config.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

absl::Status ReadBias(ConfigReader& reader, BiasMode& out) {
  const Json* value = reader.Find("bias");
  if (value == nullptr) return absl::OkStatus();
  // Compared with a literal, a Json would be made of that, under noexcept.
  const auto* text = value->get_ptr<const std::string*>();
  if (text != nullptr && *text == "none") {
    out = BiasMode::kNone;
  } else if (text != nullptr && *text == "all") {
    out = BiasMode::kAll;
  } else if (text != nullptr && *text == "lora_only") {
    out = BiasMode::kLoraOnly;
  } else {
    return ConfigTypeError("bias", *value, R"("none", "all" or "lora_only")");
  }
  return absl::OkStatus();
}

absl::Status ReadLayersToTransform(ConfigReader& reader, TargetConfig& out) {
  constexpr char kKey[] = "layers_to_transform";
  const Json* layers = reader.FindValue(kKey);
  if (layers == nullptr) return absl::OkStatus();
  std::vector<int64_t>& indices = out.layers_to_transform.emplace();
  if (!layers->is_array()) {
    return reader.ToInt(kKey, *layers, &indices.emplace_back());
  }
  indices.resize(layers->size());
  for (size_t i = 0; i < layers->size(); ++i) {
    PEFT_RETURN_IF_ERROR(reader.ToInt(absl::StrCat(kKey, "[", i, "]"),
                                      (*layers)[i], &indices[i]));
  }
  return absl::OkStatus();
}

absl::Status ReadLayersPattern(ConfigReader& reader, TargetConfig& out) {
  std::optional<ModuleSelector> pattern;
  PEFT_RETURN_IF_ERROR(ReadModuleSelector(reader, "layers_pattern", &pattern));
  if (!pattern.has_value()) return absl::OkStatus();
  if (!pattern->is_regex) {
    out.layers_pattern = std::move(pattern->names);
  } else if (!pattern->regex.empty()) {
    out.layers_pattern = {std::move(pattern->regex)};
  }
  return absl::OkStatus();
}

absl::Status ReadIds(ConfigReader& reader, const std::string& path,
                     const Json& list, std::vector<int64_t>& out) {
  if (!list.is_array()) return ConfigTypeError(path, list, "a list of ids");
  out.resize(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    PEFT_RETURN_IF_ERROR(
        reader.ToInt(absl::StrCat(path, "[", i, "]"), list[i], &out[i]));
  }
  return absl::OkStatus();
}

// A list is for the input embedding, an object names the modules.
absl::Status ReadTrainedTokens(ConfigReader& reader, TargetConfig& out) {
  constexpr char kKey[] = "trainable_token_indices";
  const Json* value = reader.FindValue(kKey);
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_object()) {
    return ReadIds(reader, kKey, *value, out.trained_tokens.emplace_back().ids);
  }
  for (const auto& [name, list] : value->items()) {
    const std::string path = absl::StrCat(kKey, ".", name);
    if (name.empty()) return ConfigError(kKey, "has an empty module name");
    TrainedTokens& tokens = out.trained_tokens.emplace_back();
    tokens.module = name;
    PEFT_RETURN_IF_ERROR(ReadIds(reader, path, list, tokens.ids));
  }
  return absl::OkStatus();
}

// A list of names, none of them empty: "" would be the end of every name.
absl::Status ReadNames(ConfigReader& reader, absl::string_view key,
                       std::vector<std::string>& out) {
  std::optional<std::vector<std::string>> names;
  PEFT_RETURN_IF_ERROR(reader.ReadStrings(key, &names));
  if (!names.has_value()) return absl::OkStatus();
  out = *std::move(names);
  for (const std::string& name : out) {
    if (name.empty()) return ConfigError(key, "has an empty name; take it out");
  }
  return absl::OkStatus();
}

// The heads that PeftModelFor... saves as well.
void AddModulesOfTask(const ConfigReader& reader, TargetConfig& out) {
  const Json* const value = reader.FindValue("task_type");
  // As text: compared with a literal, a Json would be made of that, under
  // noexcept.
  const auto* const task =
      value == nullptr ? nullptr : value->get_ptr<const std::string*>();
  if (task == nullptr) return;
  if (*task == "SEQ_CLS" || *task == "TOKEN_CLS") {
    out.modules_to_save.insert(out.modules_to_save.end(),
                               {"classifier", "score"});
  } else if (*task == "QUESTION_ANS") {
    out.modules_to_save.emplace_back("qa_outputs");
  }
}

// PEFT's own rules for what goes together.
absl::Status CheckLayers(const ConfigReader& reader,
                         const TargetConfig& targets) {
  const bool regex =
      targets.target_modules.has_value() && targets.target_modules->is_regex;
  for (const char* key : {"layers_to_transform", "layers_pattern"}) {
    if (regex && reader.FindValue(key) != nullptr) {
      return ConfigError(key,
                         "cannot be used when target_modules is a string; "
                         "make it null or target_modules a list");
    }
  }
  if (!targets.layers_pattern.empty() &&
      !targets.layers_to_transform.has_value()) {
    return ConfigError("layers_pattern",
                       "needs layers_to_transform to be set as well");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadTargetModules(ConfigReader& reader, TargetConfig& out) {
  PEFT_RETURN_IF_ERROR(reader.ReadBool("fan_in_fan_out", &out.fan_in_fan_out));
  PEFT_RETURN_IF_ERROR(
      ReadModuleSelector(reader, "target_modules", &out.target_modules));
  PEFT_RETURN_IF_ERROR(
      ReadModuleSelector(reader, "exclude_modules", &out.exclude_modules));
  PEFT_RETURN_IF_ERROR(
      ReadNames(reader, "modules_to_save", out.modules_to_save));
  AddModulesOfTask(reader, out);
  return absl::OkStatus();
}

absl::Status ReadTargetConfig(ConfigReader& reader, TargetConfig& out) {
  PEFT_RETURN_IF_ERROR(ReadBias(reader, out.bias));
  PEFT_RETURN_IF_ERROR(ReadTargetModules(reader, out));
  PEFT_RETURN_IF_ERROR(
      ReadNames(reader, "target_parameters", out.target_parameters));
  PEFT_RETURN_IF_ERROR(ReadTrainedTokens(reader, out));
  PEFT_RETURN_IF_ERROR(
      reader.ReadBool("ensure_weight_tying", &out.ensure_weight_tying));
  PEFT_RETURN_IF_ERROR(ReadLayersToTransform(reader, out));
  PEFT_RETURN_IF_ERROR(ReadLayersPattern(reader, out));
  PEFT_RETURN_IF_ERROR(
      ReadLayerRanges(reader, "layer_replication", &out.layer_replication));
  return CheckLayers(reader, out);
}

absl::Status ReadModuleSelector(ConfigReader& reader, absl::string_view key,
                                std::optional<ModuleSelector>* out) {
  const Json* value = reader.FindValue(key);
  if (value == nullptr) return absl::OkStatus();
  ModuleSelector selector;
  if (value->is_string()) {
    selector.is_regex = true;
    selector.regex = value->get<std::string>();
  } else if (value->is_array()) {
    std::optional<std::vector<std::string>> names;
    PEFT_RETURN_IF_ERROR(reader.ReadStrings(key, &names));
    selector.names = *std::move(names);
  } else {
    return ConfigTypeError(key, *value, "a string, a list of strings or null");
  }
  *out = std::move(selector);
  return absl::OkStatus();
}

}  // namespace peft
