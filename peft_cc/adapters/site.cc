#include "peft_cc/adapters/site.h"

#include <utility>

namespace peft {

absl::string_view Site::module() const {
  if (kind != SiteKind::kParameter) return name;
  const size_t dot = parameter.rfind('.');
  return dot == std::string::npos ? absl::string_view()
                                  : absl::string_view(parameter).substr(0, dot);
}

absl::string_view Site::weight_part() const {
  if (kind == SiteKind::kMultiheadAttention) return "in_proj_weight";
  if (kind != SiteKind::kParameter) return "weight";
  return absl::string_view(parameter).substr(parameter.rfind('.') + 1);
}

absl::string_view Site::bias_part() const {
  return kind == SiteKind::kMultiheadAttention ? "in_proj_bias" : "bias";
}

SiteTable::SiteTable(std::vector<Site> sites,
                     std::vector<std::string> module_names,
                     std::string model_type, LayerRanges layer_replication)
    : sites_(std::move(sites)),
      module_names_(std::move(module_names)),
      model_type_(std::move(model_type)),
      layer_replication_(std::move(layer_replication)) {
  index_.reserve(sites_.size());
  for (size_t i = 0; i < sites_.size(); ++i) {
    index_.emplace(sites_[i].name, static_cast<int>(i));
    if (sites_[i].kind != SiteKind::kParameter) continue;
    const std::string& parameter = sites_[i].parameter;
    if (parameters_.empty() || parameters_.back().name != parameter) {
      parameters_.push_back({parameter, static_cast<int>(i), 0});
    }
    ++parameters_.back().num_sites;
  }
}

int FindInputEmbedding(const SiteTable& sites) {
  constexpr absl::string_view kUsual = "embed_tokens";
  for (size_t i = 0; i < sites.sites().size(); ++i) {
    const Site& site = sites.sites()[i];
    if (site.kind != SiteKind::kEmbedding) continue;
    const absl::string_view name = site.name;
    const bool is_usual = name.substr(name.rfind('.') + 1) == kUsual;
    if (is_usual || !sites.model_type().empty()) return static_cast<int>(i);
  }
  return -1;
}

std::vector<int> FindTiedHeads(const SiteTable& sites, int embedding) {
  std::vector<int> heads;
  if (embedding < 0 || sites.model_type().empty()) return heads;
  const void* const weight = sites.sites()[embedding].weight.data();
  for (size_t i = 0; i < sites.sites().size(); ++i) {
    const Site& site = sites.sites()[i];
    const bool is_head = site.is_output_embedding &&
                         site.kind == SiteKind::kLinear &&
                         site.weight.data() == weight;
    if (is_head) heads.push_back(static_cast<int>(i));
  }
  return heads;
}

const ParameterSites* SiteTable::FindParameter(absl::string_view name) const {
  for (const ParameterSites& parameter : parameters_) {
    if (parameter.name == name) return &parameter;
  }
  return nullptr;
}

int SiteTable::Find(absl::string_view name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? -1 : it->second;
}

}  // namespace peft
