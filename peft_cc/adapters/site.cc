#include "peft_cc/adapters/site.h"

#include <utility>

namespace peft {

SiteTable::SiteTable(std::vector<Site> sites,
                     std::vector<std::string> module_names,
                     std::string model_type)
    : sites_(std::move(sites)),
      module_names_(std::move(module_names)),
      model_type_(std::move(model_type)) {
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
