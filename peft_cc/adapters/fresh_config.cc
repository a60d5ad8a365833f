#include "peft_cc/adapters/fresh_config.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/adapters/target_sites.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/config/default_targets.h"
#include "peft_cc/config/module_names.h"
#include "peft_cc/config/python_regex.h"

namespace peft {
namespace {

// Of the PEFT whose fields these are.
constexpr char kPeftVersion[] = "0.21.2";
// PEFT leaves shorter lists alone.
constexpr size_t kMinForShortening = 20;

// The fields of every config.
constexpr absl::string_view kBaseDefaults = R"({
  "auto_mapping": null, "base_model_name_or_path": null,
  "inference_mode": false, "revision": null, "task_type": null,
  "exclude_modules": null, "fan_in_fan_out": false, "modules_to_save": null,
  "target_modules": null})";

constexpr absl::string_view kLoraDefaults = R"({
  "alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null,
  "bias": "none", "corda_config": null, "ensure_weight_tying": false,
  "eva_config": null, "init_lora_weights": true, "kasa_config": null,
  "layer_replication": null, "layers_pattern": null,
  "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 8,
  "lora_bias": false, "lora_dropout": 0.0, "lora_ga_config": null,
  "megatron_config": null, "megatron_core": "megatron.core",
  "monteclora_config": null, "qalora_group_size": 16, "r": 8,
  "rank_pattern": {}, "target_parameters": null,
  "trainable_token_indices": null, "use_bdlora": null, "use_dora": false,
  "use_qalora": false, "use_rslora": false, "velora_config": null})";

// Before those of LoRA, which it has too.
constexpr absl::string_view kAdaLoraDefaults = R"({
  "beta1": 0.85, "beta2": 0.85, "deltaT": 1, "init_r": 12,
  "orth_reg_weight": 0.5, "rank_pattern": null, "target_r": 8, "tfinal": 0,
  "tinit": 0, "total_step": null})";

constexpr absl::string_view kIa3Defaults = R"({
  "feedforward_modules": null, "init_ia3_weights": true})";

Json ToJson(const std::vector<std::string>& names) {
  Json list = Json::array();
  for (const std::string& name : names) list.push_back(name);
  return list;
}

Json ToJson(const ModuleSelector& selector) {
  return selector.is_regex ? Json(selector.regex) : ToJson(selector.names);
}

// `text` with a backslash before what Python's re.escape escapes in names of
// modules.
std::string RegexEscaped(absl::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '.' || c == '-') escaped.push_back('\\');
    escaped.push_back(c);
  }
  return escaped;
}

// True if `name` is a whole component of `module`, or several.
bool IsPartOf(absl::string_view name, absl::string_view module) {
  return absl::StrContains(absl::StrCat(".", module, "."),
                           absl::StrCat(".", name, "."));
}

// The only names of tied modules that PEFT looks for.
constexpr absl::string_view kTiedNames[] = {"embed_tokens", "lm_head"};

// True if one of `names` ends with such a name.
bool NamesTied(const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [](absl::string_view name) {
    const absl::string_view last = name.substr(name.rfind('.') + 1);
    return last == kTiedNames[0] || last == kTiedNames[1];
  });
}

class ConfigWriter {
 public:
  ConfigWriter(const AdapterConfig& config, const SiteTable& sites)
      : config_(config), sites_(sites), json_(config.json) {}

  absl::StatusOr<Json> Write(const std::string& base_name) {
    PEFT_RETURN_IF_ERROR(AddDefaults());
    json_["base_model_name_or_path"] =
        base_name.empty() ? Json() : Json(base_name);
    json_["peft_version"] = kPeftVersion;
    if (!config_.targets.modules_to_save.empty()) {
      json_["modules_to_save"] = ToJson(config_.targets.modules_to_save);
    }
    if (config_.targets.ensure_weight_tying) {
      PEFT_RETURN_IF_ERROR(WriteTied());
    }
    WriteTargets();
    return std::move(json_);
  }

 private:
  absl::Status AddDefaults() {
    std::vector<absl::string_view> tables = {kBaseDefaults};
    if (config_.ia3.has_value()) tables.push_back(kIa3Defaults);
    if (config_.adalora.has_value()) tables.push_back(kAdaLoraDefaults);
    if (!config_.ia3.has_value()) tables.push_back(kLoraDefaults);
    for (const absl::string_view table : tables) {
      PEFT_ASSIGN_OR_RETURN(const Json defaults, ParseJson(table, "defaults"));
      for (const auto& [key, value] : defaults.items()) {
        if (!json_.contains(key)) json_[key] = value;
      }
    }
    return absl::OkStatus();
  }

  void WriteTargets() {
    std::optional<ModuleSelector> targets = config_.targets.target_modules;
    if (targets.has_value() && !targets->is_regex) {
      targets->names = json_["target_modules"].get<std::vector<std::string>>();
    } else if (!targets.has_value()) {
      targets = DefaultTargets(config_.base.peft_type, sites_.model_type());
    }
    if (targets.has_value() && targets->IsAllLinear()) {
      targets->is_regex = false;
      targets->names = AllLinearNames(sites_, config_.base.task_type);
    }
    if (targets.has_value() && !targets->is_regex) {
      Shorten(targets->names);
      json_["target_modules"] = ToJson(targets->names);
    } else if (targets.has_value() && !config_.targets.target_modules) {
      json_["target_modules"] = targets->regex;
    }
    if (!config_.ia3.has_value() || config_.ia3->feedforward_modules) return;
    const auto modules = DefaultFeedforward(sites_.model_type());
    if (modules.has_value()) json_["feedforward_modules"] = ToJson(*modules);
  }

  // IA3's are coupled with its feedforward_modules.
  void Shorten(std::vector<std::string>& names) const {
    if (names.size() < kMinForShortening || config_.ia3.has_value()) return;
    const std::vector<absl::string_view> all(sites_.module_names().begin(),
                                             sites_.module_names().end());
    std::vector<std::string> fewer = MinimalNames(ModuleNames(names), all);
    if (fewer.size() < names.size()) names = std::move(fewer);
  }

  // The embedding stands for its heads.
  absl::Status WriteTied() {
    const int embedding = FindInputEmbedding(sites_);
    std::vector<std::string> heads;
    for (const int head : FindTiedHeads(sites_, embedding)) {
      heads.push_back(sites_.sites()[head].name);
    }
    if (heads.empty()) return absl::OkStatus();
    const std::string& name = sites_.sites()[embedding].name;
    if (NamesTied(config_.targets.modules_to_save)) {
      ReplaceHeads("modules_to_save", name, heads);
      return absl::OkStatus();
    }
    const auto& targets = config_.targets.target_modules;
    if (!targets.has_value()) return absl::OkStatus();
    if (!targets->is_regex) {
      if (NamesTied(targets->names)) {
        ReplaceHeads("target_modules", name, heads);
      }
      return absl::OkStatus();
    }
    PEFT_ASSIGN_OR_RETURN(const PythonRegex regex,
                          PythonRegex::Compile(targets->regex));
    for (const absl::string_view usual : kTiedNames) {
      PEFT_ASSIGN_OR_RETURN(const bool matches, regex.FullMatch(usual));
      if (!matches) continue;
      json_["target_modules"] =
          absl::StrCat("(?:", targets->regex, "|^", RegexEscaped(name), "$)");
      break;
    }
    return absl::OkStatus();
  }

  static void AddName(Json& list, const std::string& name) {
    for (const Json& item : list) {
      if (item.get_ref<const std::string&>() == name) return;
    }
    list.push_back(name);
  }

  void ReplaceHeads(const char* key, const std::string& embedding,
                    const std::vector<std::string>& heads) {
    Json& list = json_[key];
    AddName(list, embedding);
    if (!NamesTied({embedding})) return;
    for (const std::string& head : heads) {
      const auto found =
          std::find_if(list.begin(), list.end(), [&](const Json& item) {
            return IsPartOf(item.get_ref<const std::string&>(), head);
          });
      if (found != list.end()) list.erase(found);
    }
  }

  const AdapterConfig& config_;
  const SiteTable& sites_;
  Json json_;
};

}  // namespace

absl::StatusOr<AdapterConfig> FreshConfig(const AdapterConfig& config,
                                          const SiteTable& sites,
                                          const std::string& base_name) {
  PEFT_ASSIGN_OR_RETURN(const Json json,
                        ConfigWriter(config, sites).Write(base_name));
  AdapterConfigOptions options;
  options.is_new = true;
  return ParseAdapterConfig(DumpJson(json), options);
}

// At each layer PEFT makes it right for that one, so the last one decides.
void CorrectFanInFanOut(const SiteTable& sites,
                        const std::vector<TargetSite>& targets,
                        AdapterConfig& config) {
  bool& flag = config.targets.fan_in_fan_out;
  for (const TargetSite& target : targets) {
    if (target.is_parameter) continue;
    const SiteKind kind = sites.sites()[target.site].kind;
    if (kind == SiteKind::kLinear) flag = false;
    if (kind == SiteKind::kConv1D) flag = true;
  }
  config.json["fan_in_fan_out"] = flag;
}

}  // namespace peft
