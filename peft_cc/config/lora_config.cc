#include "peft_cc/config/lora_config.h"

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
#include "peft_cc/config/config_keys.h"
#include "peft_cc/config/lora_keys.h"
#include "peft_cc/config/target_config.h"

namespace peft {
namespace {

constexpr int64_t kMaxRank = std::numeric_limits<int32_t>::max();

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
  absl::Status ReadRank(absl::string_view key, int64_t* out);
  absl::Status CheckRank(absl::string_view key, const Json& value,
                         int64_t* out);
  absl::Status ReadInit();
  absl::Status ReadPatterns();
  absl::StatusOr<const Json*> FindPattern(absl::string_view key);

  const AdapterConfigOptions& options_;
  ConfigReader& reader_;
  AdapterConfig& config_;
  LoraConfig lora_;
};

absl::Status LoraParser::Parse() {
  PEFT_RETURN_IF_ERROR(CheckConfigKeys(
      config_.json, {LoraKeys()}, {options_.lenient, options_.inspect_only},
      reader_, config_.ignored_keys));
  PEFT_RETURN_IF_ERROR(ReadNumbers());
  PEFT_RETURN_IF_ERROR(ReadInit());
  PEFT_RETURN_IF_ERROR(ReadTargetConfig(reader_, config_.targets));
  PEFT_RETURN_IF_ERROR(ReadPatterns());
  config_.lora = std::move(lora_);
  return absl::OkStatus();
}

absl::Status LoraParser::ReadNumbers() {
  PEFT_RETURN_IF_ERROR(ReadRank("r", &lora_.r));
  PEFT_RETURN_IF_ERROR(reader_.ReadNumber("lora_alpha", &lora_.lora_alpha));
  PEFT_RETURN_IF_ERROR(reader_.ReadBool("use_rslora", &lora_.use_rslora));
  return reader_.ReadBool("lora_bias", &lora_.lora_bias);
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

}  // namespace

absl::Status ParseLoraConfig(const AdapterConfigOptions& options,
                             ConfigReader* reader, AdapterConfig* config) {
  return LoraParser(options, reader, config).Parse();
}

}  // namespace peft
