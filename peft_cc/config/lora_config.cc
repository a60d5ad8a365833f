#include "peft_cc/config/lora_config.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/config_keys.h"
#include "peft_cc/config/method_keys.h"
#include "peft_cc/config/target_config.h"

namespace peft {
namespace {

class LoraParser {
 public:
  LoraParser(const AdapterConfigOptions& options, ConfigReader* reader,
             AdapterConfig* config)
      : options_(options), reader_(*reader), config_(*config) {}

  absl::Status Parse();

 private:
  absl::Status Refuse(absl::string_view key, absl::string_view problem) {
    return RefuseFeature(key, problem, options_.inspect_only, reader_);
  }
  absl::Status ReadNumbers();
  absl::Status ReadVariants();
  absl::Status ReadInit();
  absl::Status UnconvertedInit(const std::string& name);
  absl::Status ReadPatterns();
  absl::StatusOr<const Json*> FindPattern(absl::string_view key);

  const AdapterConfigOptions& options_;
  ConfigReader& reader_;
  AdapterConfig& config_;
  LoraConfig lora_;
};

absl::Status LoraParser::Parse() {
  PEFT_RETURN_IF_ERROR(
      CheckConfigKeys(config_.json, {BaseKeys(), LoraKeys()},
                      {options_.lenient, options_.inspect_only}, reader_,
                      config_.ignored_keys));
  PEFT_RETURN_IF_ERROR(ReadNumbers());
  PEFT_RETURN_IF_ERROR(ReadInit());
  PEFT_RETURN_IF_ERROR(ReadVariants());
  PEFT_RETURN_IF_ERROR(ReadTargetConfig(reader_, config_.targets));
  PEFT_RETURN_IF_ERROR(ReadPatterns());
  config_.lora = std::move(lora_);
  return absl::OkStatus();
}

absl::Status LoraParser::ReadNumbers() {
  PEFT_RETURN_IF_ERROR(reader_.ReadRank("r", &lora_.r));
  PEFT_RETURN_IF_ERROR(reader_.ReadNumber("lora_alpha", &lora_.lora_alpha));
  PEFT_RETURN_IF_ERROR(reader_.ReadBool("use_rslora", &lora_.use_rslora));
  return reader_.ReadBool("lora_bias", &lora_.lora_bias);
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
  if (name == "pissa" || lower == "olora") {
    lora_.init =
        name == "pissa" ? BaseChangingInit::kPissa : BaseChangingInit::kOlora;
    return absl::OkStatus();
  }
  if (absl::StartsWith(name, "pissa") || absl::StartsWith(name, "corda") ||
      name == "loftq" || name == "lora_ga") {
    return UnconvertedInit(name);
  }
  return ConfigTypeError(
      kKey, *value,
      "true, false, gaussian, eva, olora, pissa, pissa_niter_<n>, corda, "
      "loftq, orthogonal, lora_ga or mica");
}

absl::Status LoraParser::ReadPatterns() {
  PEFT_ASSIGN_OR_RETURN(const Json* const ranks, FindPattern("rank_pattern"));
  if (ranks != nullptr) {
    for (const auto& [name, value] : ranks->items()) {
      auto& entry = lora_.rank_pattern.emplace_back(name, 0);
      PEFT_RETURN_IF_ERROR(reader_.ToRank(absl::StrCat("rank_pattern.", name),
                                          value, &entry.second));
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

// What these took away from the base is neither in the file nor to be had from
// the base alone.
absl::Status LoraParser::UnconvertedInit(const std::string& name) {
  constexpr char kKey[] = "init_lora_weights";
  if (options_.is_new) {
    if (absl::StartsWith(name, "pissa_niter_")) {
      lora_.init = BaseChangingInit::kOwnFactors;
    }
    return absl::OkStatus();
  }
  if (options_.allow_unconverted_init) {
    reader_.Note(absl::StrCat(Quoted(kKey), " is ", Quoted(name),
                              ", which changed the base model; the adapter was "
                              "loaded as a plain LoRA, as was asked for, and "
                              "does not compute what was trained"));
    return absl::OkStatus();
  }
  return RefuseFeature(
      kKey,
      absl::StrCat("is ", Quoted(name),
                   ", which changed the base model's weights in a way that "
                   "cannot be computed again; save the adapter with PEFT's "
                   "path_initial_model_for_weight_conversion to make it a "
                   "plain LoRA, or allow it to be loaded as one"),
      options_.inspect_only, reader_);
}

// What PEFT calls variants; a layer can have one.
absl::Status LoraParser::ReadVariants() {
  PEFT_RETURN_IF_ERROR(reader_.ReadBool("use_dora", &lora_.use_dora));
  PEFT_RETURN_IF_ERROR(reader_.ReadInts("alora_invocation_tokens",
                                        &lora_.alora_invocation_tokens));
  const char* first = nullptr;
  for (const char* key : {"alora_invocation_tokens", "monteclora_config",
                          "use_dora", "velora_config"}) {
    const Json* value = reader_.FindValue(key);
    if (value == nullptr || IsEmptyValue(*value)) continue;
    if (first != nullptr) {
      return ConfigError(key, absl::StrCat("cannot be used beside ",
                                           Quoted(first), "; remove one"));
    }
    first = key;
  }
  if (lora_.use_dora && lora_.lora_bias) {
    return ConfigError("lora_bias", "cannot be used beside \"use_dora\"");
  }
  if (!lora_.alora_invocation_tokens.empty() &&
      config_.base.task_type != "CAUSAL_LM") {
    reader_.Note(
        "\"alora_invocation_tokens\" is only meant for a task_type of "
        "CAUSAL_LM");
  }
  return absl::OkStatus();
}

absl::StatusOr<const Json*> LoraParser::FindPattern(absl::string_view key) {
  const Json* value = reader_.FindValue(key);
  if (value == nullptr || value->is_object()) return value;
  return ConfigTypeError(key, *value, "an object");
}

}  // namespace

absl::Status ParseLoraConfig(const AdapterConfigOptions& options,
                             ConfigReader* reader, AdapterConfig* config) {
  return LoraParser(options, reader, config).Parse();
}

}  // namespace peft
