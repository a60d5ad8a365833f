#include "peft_cc/config/adalora_config.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/config_keys.h"
#include "peft_cc/config/method_keys.h"
#include "peft_cc/config/target_config.h"

namespace peft {
namespace {

// The module of a parameter's name: "m.q_proj" of "m.q_proj.lora_E", also with
// an adapter's name behind; "" for another name.
std::string ModuleOf(absl::string_view parameter) {
  constexpr absl::string_view kPart = ".lora_E";
  const size_t part = parameter.rfind(kPart);
  if (part == absl::string_view::npos) return "";
  const size_t end = part + kPart.size();
  if (end != parameter.size() && parameter[end] != '.') return "";
  return std::string(parameter.substr(0, part));
}

// How many of a list of booleans are true.
absl::Status CountKept(const std::string& key, const Json& value,
                       int64_t init_r, int64_t* out) {
  if (!value.is_array() || static_cast<int64_t>(value.size()) != init_r) {
    return ConfigTypeError(
        key, value, absl::StrCat("a list of init_r = ", init_r, " booleans"));
  }
  for (const Json& kept : value) {
    if (!kept.is_boolean()) {
      return ConfigTypeError(key, kept, "true or false");
    }
    *out += kept.get<bool>();
  }
  return absl::OkStatus();
}

absl::Status ReadRanks(ConfigReader& reader, AdaLoraConfig& out) {
  constexpr char kKey[] = "rank_pattern";
  const Json* pattern = reader.FindValue(kKey);
  if (pattern == nullptr) return absl::OkStatus();
  if (!pattern->is_object()) {
    return ConfigTypeError(kKey, *pattern, "an object or null");
  }
  for (const auto& [name, value] : pattern->items()) {
    const std::string key = absl::StrCat(kKey, ".", name);
    const std::string module = ModuleOf(name);
    if (module.empty()) {
      return ConfigError(key, "is no name of a parameter lora_E");
    }
    const auto [rank, is_new] = out.ranks.emplace(module, 0);
    if (!is_new) {
      return ConfigError(
          key, absl::StrCat("is the second one for module ", Quoted(module)));
    }
    PEFT_RETURN_IF_ERROR(CountKept(key, value, out.init_r, &rank->second));
  }
  return absl::OkStatus();
}

// PEFT refuses these, so no file of its has them.
absl::Status RefuseVariants(ConfigReader& reader) {
  for (const char* key : {"use_dora", "loftq_config"}) {
    const Json* value = reader.Find(key);
    if (value == nullptr || IsEmptyValue(*value)) continue;
    return ConfigTypeError(key, *value, "nothing: AdaLoRA does not support it");
  }
  return absl::OkStatus();
}

// What only matters in training, where PEFT refuses a file for it, or warns.
void NoteTraining(ConfigReader& reader) {
  const Json* steps = reader.FindValue("total_step");
  if (steps == nullptr || (steps->is_number() && steps->get<double>() <= 0)) {
    reader.Note(
        "\"total_step\" is missing, without which PEFT refuses the adapter; it "
        "only matters in training");
  }
  const Json* r = reader.FindValue("r");
  if (r != nullptr && *r != 8) {
    reader.Note(
        "\"r\" has no meaning in AdaLoRA: init_r and rank_pattern hold");
  }
}

}  // namespace

absl::Status ParseAdaLoraConfig(const AdapterConfigOptions& options,
                                ConfigReader* reader, AdapterConfig* config) {
  PEFT_RETURN_IF_ERROR(CheckConfigKeys(
      config->json, {BaseKeys(), AdaLoraKeys(), LoraKeys()},
      {options.lenient, options.inspect_only}, *reader, config->ignored_keys));
  PEFT_RETURN_IF_ERROR(RefuseVariants(*reader));
  AdaLoraConfig adalora;
  PEFT_RETURN_IF_ERROR(reader->ReadRank("init_r", &adalora.init_r));
  PEFT_RETURN_IF_ERROR(reader->ReadNumber("lora_alpha", &adalora.lora_alpha));
  PEFT_RETURN_IF_ERROR(ReadRanks(*reader, adalora));
  PEFT_RETURN_IF_ERROR(ReadTargetConfig(*reader, config->targets));
  NoteTraining(*reader);
  config->adalora = std::move(adalora);
  return absl::OkStatus();
}

}  // namespace peft
