#include "peft_cc/config/adapter_config.h"

#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/adalora_config.h"
#include "peft_cc/config/config_reader.h"
#include "peft_cc/config/ia3_config.h"
#include "peft_cc/config/lora_config.h"
#include "peft_cc/config/peft_types.h"

namespace peft {
namespace {

constexpr char kFileName[] = "adapter_config.json";

// Real files have some KB, those with a rank for every expert some MB.
constexpr uint64_t kMaxFileSize = 16 << 20;

// Python's json module writes NaN and Infinity; no key has a use for them.
// `path` is the dotted name of `value`.
absl::Status CheckFinite(const std::string& path, const Json& value) {
  if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    return ConfigTypeError(path, value, "a finite number");
  }
  if (!value.is_structured()) return absl::OkStatus();
  for (const auto& [name, child] : value.items()) {
    PEFT_RETURN_IF_ERROR(CheckFinite(
        path.empty() ? name : absl::StrCat(path, ".", name), child));
  }
  return absl::OkStatus();
}

// The methods that can run, and who reads their fields.
struct MethodParser {
  absl::string_view peft_type;
  absl::Status (*parse)(const AdapterConfigOptions& options,
                        ConfigReader* reader, AdapterConfig* config);
};
constexpr MethodParser kParsers[] = {{"ADALORA", ParseAdaLoraConfig},
                                     {"IA3", ParseIa3Config},
                                     {"LORA", ParseLoraConfig}};

const MethodParser* FindParser(absl::string_view type) {
  for (const MethodParser& parser : kParsers) {
    if (parser.peft_type == type) return &parser;
  }
  return nullptr;
}

std::string ParsedTypes() {
  return absl::StrJoin(kParsers, ", ",
                       [](std::string* out, const MethodParser& parser) {
                         absl::StrAppend(out, parser.peft_type);
                       });
}

absl::Status CheckPeftType(const AdapterConfigOptions& options,
                           const std::string& type) {
  if (FindParser(type) != nullptr) return absl::OkStatus();
  const bool bone = type == "BONE";
  if (!bone && !IsPeftType(type)) {
    const std::string upper = absl::AsciiStrToUpper(type);
    return ConfigError(
        "peft_type",
        absl::StrCat(
            "is ", Quoted(type), ", which is no PEFT method",
            IsPeftType(upper) ? absl::StrCat("; is it ", upper, "?") : ""));
  }
  if (options.inspect_only) return absl::OkStatus();
  return MakeError(absl::StatusCode::kUnimplemented,
                   error_id::kAdapterMethodUnsupported,
                   absl::StrCat("PEFT method ", type,
                                bone ? " (which PEFT has renamed to MISS)" : "",
                                " cannot run yet, only ", ParsedTypes()),
                   {"peft_type", ParsedTypes(), type});
}

absl::Status ReadPeftType(const ConfigReader& reader, std::string* out) {
  const Json* type = reader.FindValue("peft_type");
  if (type == nullptr) {
    return ConfigError("peft_type",
                       "is missing: this is no adapter config of PEFT");
  }
  if (!type->is_string()) {
    return ConfigTypeError("peft_type", *type, "a string such as \"LORA\"");
  }
  *out = type->get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadBase(ConfigReader* reader, AdapterConfigBase* base) {
  PEFT_RETURN_IF_ERROR(reader->ReadString("task_type", &base->task_type));
  PEFT_RETURN_IF_ERROR(reader->ReadString("base_model_name_or_path",
                                          &base->base_model_name_or_path));
  PEFT_RETURN_IF_ERROR(reader->ReadString("peft_version", &base->peft_version));
  PEFT_RETURN_IF_ERROR(
      reader->ReadBool("inference_mode", &base->inference_mode));
  if (!base->task_type.empty() && !IsTaskType(base->task_type)) {
    reader->Note(absl::StrCat("\"task_type\" is ", Quoted(base->task_type),
                              ", which PEFT does not know"));
  }
  if (IsNewerThanKnown(base->peft_version)) {
    reader->Note(absl::StrCat("\"peft_version\" is ",
                              Quoted(base->peft_version), ", newer than the ",
                              kNewestPeftVersion, " that is known"));
  }
  return absl::OkStatus();
}

}  // namespace

bool ModuleSelector::IsAllLinear() const {
  return is_regex && absl::EqualsIgnoreCase(regex, "all-linear");
}

absl::StatusOr<AdapterConfig> ParseAdapterConfig(
    absl::string_view text, const AdapterConfigOptions& options) {
  AdapterConfig config;
  PEFT_ASSIGN_OR_RETURN(config.json, ParseJson(text, kFileName, JsonLimits(),
                                               /*allow_nan=*/true));
  if (!config.json.is_object()) {
    return MakeError(absl::StatusCode::kInvalidArgument,
                     error_id::kAdapterConfig,
                     absl::StrCat(kFileName, ": is ", DescribeJson(config.json),
                                  ", expected an object"));
  }
  PEFT_RETURN_IF_ERROR(CheckFinite("", config.json));
  ConfigReader reader(config.json, &config.notes);
  PEFT_RETURN_IF_ERROR(ReadPeftType(reader, &config.base.peft_type));
  PEFT_RETURN_IF_ERROR(CheckPeftType(options, config.base.peft_type));
  PEFT_RETURN_IF_ERROR(ReadBase(&reader, &config.base));
  const MethodParser* parser = FindParser(config.base.peft_type);
  if (parser != nullptr) {
    PEFT_RETURN_IF_ERROR(parser->parse(options, &reader, &config));
  }
  return config;
}

absl::StatusOr<AdapterConfig> ReadAdapterConfig(
    const Folder& folder, const AdapterConfigOptions& options) {
  PEFT_ASSIGN_OR_RETURN(const std::string text,
                        ReadTextFile(folder.At(kFileName), kMaxFileSize));
  absl::StatusOr<AdapterConfig> config = ParseAdapterConfig(text, options);
  if (!config.ok()) {
    return WithContext(config.status(), folder.is_given() ? folder.Description()
                                                          : folder.path());
  }
  return config;
}

}  // namespace peft
