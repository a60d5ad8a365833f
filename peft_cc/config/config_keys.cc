#include "peft_cc/config/config_keys.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

constexpr ConfigKey kBaseKeys[] = {
    {"auto_mapping", KeyUse::kTraining, kObjectOrNull, ""},
    {"base_model_name_or_path", KeyUse::kRead, kAnyType, ""},
    {"inference_mode", KeyUse::kRead, kAnyType, ""},
    {"peft_type", KeyUse::kRead, kAnyType, ""},
    {"peft_version", KeyUse::kRead, kAnyType, ""},
    {"revision", KeyUse::kTraining, kStringOrNull, ""},
    {"task_type", KeyUse::kRead, kAnyType, ""},
};

constexpr absl::string_view kForeignKeys[] = {
    "lora_dtype",      // ms-swift: the dtype in training
    "lorap_emb_lr",    // ms-swift: LoRA+ learning rates
    "lorap_lr_ratio",  // ms-swift
    "merge_weights",   // PEFT 0.1: whether eval() merges
};

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

absl::Status CheckKnownKey(const ConfigKey& key, const Json& value,
                           const KeyOptions& options, ConfigReader& reader) {
  if ((TypeOf(value) & key.types) == 0) {
    return ConfigTypeError(key.name, value, ExpectedTypes(key.types));
  }
  if (value.is_null()) return absl::OkStatus();
  const bool empty = IsEmptyValue(value);
  if (key.use == KeyUse::kNoted && !empty) {
    reader.Note(absl::StrCat(Quoted(key.name), ": ", key.meaning));
  }
  if (key.use == KeyUse::kRefusedUnlessNull ||
      (key.use == KeyUse::kRefusedUnlessEmpty && !empty)) {
    return RefuseFeature(
        key.name, absl::StrCat("is ", DescribeJson(value), ": ", key.meaning),
        options.inspect_only, reader);
  }
  return absl::OkStatus();
}

absl::Status UnknownKeyError(const std::string& name, const Json& value) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterConfigUnknownKey,
      absl::StrCat("adapter_config.json: the key ", Quoted(name), " (",
                   DescribeJson(value),
                   ") is not known and may change the results; remove it or "
                   "load leniently if it does not matter"),
      {name, "", DescribeJson(value)});
}

}  // namespace

ConfigKeys BaseKeys() { return kBaseKeys; }

const ConfigKey* FindConfigKey(ConfigKeys keys, absl::string_view name) {
  const auto found = std::lower_bound(
      keys.begin(), keys.end(), name,
      [](const ConfigKey& key, absl::string_view n) { return key.name < n; });
  return found != keys.end() && found->name == name ? &*found : nullptr;
}

bool IsHarmlessForeignKey(absl::string_view name) {
  return std::find(std::begin(kForeignKeys), std::end(kForeignKeys), name) !=
         std::end(kForeignKeys);
}

absl::Status CheckConfigKeys(const Json& json,
                             absl::Span<const ConfigKeys> tables,
                             const KeyOptions& options, ConfigReader& reader,
                             std::vector<std::string>& out_ignored) {
  for (const auto& [name, value] : json.items()) {
    const ConfigKey* key = nullptr;
    for (const ConfigKeys& table : tables) {
      if (key == nullptr) key = FindConfigKey(table, name);
    }
    if (key != nullptr) {
      PEFT_RETURN_IF_ERROR(CheckKnownKey(*key, value, options, reader));
    } else if (options.lenient || IsEmptyValue(value) ||
               IsHarmlessForeignKey(name)) {
      out_ignored.push_back(name);
    } else {
      return UnknownKeyError(name, value);
    }
  }
  return absl::OkStatus();
}

absl::Status RefuseFeature(absl::string_view key, absl::string_view problem,
                           bool inspect_only, ConfigReader& reader) {
  const std::string message =
      absl::StrCat("adapter_config.json: ", Quoted(key), " ", problem,
                   "; this cannot run yet");
  if (!inspect_only) {
    return MakeError(absl::StatusCode::kUnimplemented,
                     error_id::kAdapterFeatureUnsupported, message,
                     {std::string(key), "", ""});
  }
  reader.Note(message);
  return absl::OkStatus();
}

}  // namespace peft
