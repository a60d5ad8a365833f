#include "peft_cc/adapters/inspect_json.h"

#include <map>
#include <string>
#include <utility>

#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

// Names come from strangers' files, and JSON must be valid UTF-8.
std::string Text(const std::string& text) {
  return IsValidUtf8(text) ? text : Quoted(text);
}

Json TextOrNull(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(Text(text));
}

Json TextList(const std::vector<std::string>& texts) {
  Json list = Json::array();
  for (const std::string& text : texts) list.push_back(Text(text));
  return list;
}

Json Modules(const AdapterSummary& summary) {
  Json list = Json::array();
  for (const InspectedModule& module : summary.modules) {
    Json entry = Json::object();
    entry["name"] = Text(module.name);
    entry["rank"] = module.rank > 0 ? Json(module.rank) : Json(nullptr);
    entry["num_parameters"] = module.num_parameters;
    list.push_back(std::move(entry));
  }
  return list;
}

Json Ranks(const AdapterSummary& summary) {
  std::map<int64_t, int64_t> counts;
  for (const InspectedModule& module : summary.modules) {
    if (module.rank > 0) ++counts[module.rank];
  }
  Json list = Json::array();
  for (const auto& [rank, count] : counts) {
    // Not by a list of pairs: where memory runs out in it, it leaks.
    Json entry = Json::object();
    entry["rank"] = rank;
    entry["num_modules"] = count;
    list.push_back(std::move(entry));
  }
  return list;
}

// A field as the file has it.
Json FieldOf(const AdapterSummary& summary, const char* key) {
  const Json& json = summary.config.json;
  return json.is_object() ? json.value(key, Json(nullptr)) : Json(nullptr);
}

Json Fit(const AdapterFit& fit) {
  Json json = Json::object();
  json["matched"] = TextList(fit.matched);
  json["unmatched"] = TextList(fit.unmatched);
  json["loads"] = fit.loads;
  json["reason_id"] = TextOrNull(fit.reason_id);
  json["reason"] = TextOrNull(fit.reason);
  return json;
}

void AddConfig(const AdapterSummary& summary, Json& json) {
  const AdapterConfigBase& base = summary.config.base;
  json["folder"] = Text(summary.folder);
  json["peft_type"] = Text(base.peft_type);
  json["task_type"] = TextOrNull(base.task_type);
  json["peft_version"] = TextOrNull(base.peft_version);
  json["base_model_name_or_path"] = TextOrNull(base.base_model_name_or_path);
  json["runnable"] = summary.runnable;
  json["reason_id"] = TextOrNull(summary.reason_id);
  json["reason"] = TextOrNull(summary.reason);
  json["rank"] = nullptr;
  json["lora_alpha"] = nullptr;
  if (const auto& lora = summary.config.lora; lora.has_value()) {
    json["rank"] = lora->r;
    json["lora_alpha"] = lora->lora_alpha;
  }
  if (const auto& adalora = summary.config.adalora; adalora.has_value()) {
    json["rank"] = adalora->init_r;
    json["lora_alpha"] = adalora->lora_alpha;
  }
  json["target_modules"] = FieldOf(summary, "target_modules");
  json["layer_replication"] = FieldOf(summary, "layer_replication");
}

}  // namespace

Json SummaryToJson(const AdapterSummary& summary, const AdapterFit* fit) {
  Json json = Json::object();
  AddConfig(summary, json);
  json["ranks"] = Ranks(summary);
  json["modules"] = Modules(summary);
  json["num_tensors"] = summary.tensors.size();
  json["num_parameters"] = summary.num_parameters;
  json["size_bytes"] = summary.size_bytes;
  json["dtypes"] = summary.dtypes;
  json["ignored_keys"] = TextList(summary.config.ignored_keys);
  json["notes"] = TextList(summary.config.notes);
  if (fit != nullptr) json["model"] = Fit(*fit);
  return json;
}

}  // namespace peft
