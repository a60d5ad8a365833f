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

absl::Status ReadTargetConfig(ConfigReader& reader, TargetConfig& out) {
  PEFT_RETURN_IF_ERROR(reader.ReadBool("fan_in_fan_out", &out.fan_in_fan_out));
  PEFT_RETURN_IF_ERROR(ReadBias(reader, out.bias));
  PEFT_RETURN_IF_ERROR(
      ReadModuleSelector(reader, "target_modules", &out.target_modules));
  PEFT_RETURN_IF_ERROR(
      ReadModuleSelector(reader, "exclude_modules", &out.exclude_modules));
  std::optional<std::vector<std::string>> saved;
  PEFT_RETURN_IF_ERROR(reader.ReadStrings("modules_to_save", &saved));
  if (saved.has_value()) out.modules_to_save = *std::move(saved);
  PEFT_RETURN_IF_ERROR(ReadLayersToTransform(reader, out));
  PEFT_RETURN_IF_ERROR(ReadLayersPattern(reader, out));
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
