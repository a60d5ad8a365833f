#include "peft_cc/adapters/target_parameters.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/module_names.h"

namespace peft {
namespace {

constexpr char kKey[] = "target_parameters";

// One that is targeted, of the site `first` and those behind it.
struct Match {
  std::string name;  // as the trained model called it
  int first = -1;
  int num_sites = 1;
};

absl::Status Refused(absl::string_view name, absl::string_view problem,
                     absl::StatusCode code, absl::string_view id) {
  return MakeError(code, id,
                   absl::StrCat(kKey, " hits ", Quoted(name), ", ", problem),
                   {kKey, "", std::string(name)});
}

absl::Status Wrong(absl::string_view name, absl::string_view problem) {
  return Refused(name, problem, absl::StatusCode::kInvalidArgument,
                 error_id::kAdapterConfig);
}

class ParameterMatcher {
 public:
  ParameterMatcher(const TargetConfig& config, const SiteTable& sites,
                   const KeyMap& keys, const std::vector<TargetSite>& modules)
      : names_(config.target_parameters),
        sites_(sites),
        keys_(keys),
        modules_(modules) {}

  absl::StatusOr<std::vector<Match>> Find() {
    for (size_t i = 0; i < sites_.sites().size(); ++i) {
      const Site& site = sites_.sites()[i];
      const int index = static_cast<int>(i);
      const int size = NumSites(index);
      if (size == 0) continue;  // a later expert
      PEFT_RETURN_IF_ERROR(Try(index, site.weight_part(), size));
      if (site.has_bias()) {
        PEFT_RETURN_IF_ERROR(Try(index, site.bias_part(), size));
      }
    }
    return std::move(matches_);
  }

 private:
  int NumSites(int index) const {
    const Site& site = sites_.sites()[index];
    if (site.kind != SiteKind::kParameter) return 1;
    const ParameterSites* all = sites_.FindParameter(site.parameter);
    return all->first == index ? all->num_sites : 0;
  }

  absl::Status Try(int index, absl::string_view part, int num_sites) {
    const Site& site = sites_.sites()[index];
    const absl::string_view module = site.module();
    const std::string name = keys_.ModuleInFile(
        module.empty() ? std::string(part) : absl::StrCat(module, ".", part));
    if (name.empty() || !(names_.Has(name) || names_.HasSuffixOf(name))) {
      return absl::OkStatus();
    }
    PEFT_RETURN_IF_ERROR(Check(site, name, part));
    matches_.push_back({name, index, num_sites});
    return absl::OkStatus();
  }

  absl::Status Check(const Site& site, const std::string& name,
                     absl::string_view part) const {
    if (site.module().empty()) {
      return Wrong(name, "a parameter of the model itself, which PEFT refuses");
    }
    if (part != site.weight_part() || site.kind == SiteKind::kNorm) {
      return Wrong(name,
                   "which has one axis; only parameters of two or three axes "
                   "can be adapted");
    }
    const bool is_target = std::any_of(
        modules_.begin(), modules_.end(), [&](const TargetSite& target) {
          return sites_.sites()[target.site].name == site.module();
        });
    if (is_target) {
      return Wrong(name,
                   "whose module is also a target of target_modules; set "
                   "target_modules to [] if it is not meant");
    }
    if (site.kind == SiteKind::kLinear || site.kind == SiteKind::kParameter ||
        site.kind == SiteKind::kMultiheadAttention) {
      return absl::OkStatus();
    }
    return Refused(name,
                   "the weight of a layer that is not linear; that is not "
                   "implemented, use target_modules",
                   absl::StatusCode::kUnimplemented,
                   error_id::kAdapterFeatureUnsupported);
  }

  const ModuleNames names_;
  const SiteTable& sites_;
  const KeyMap& keys_;
  const std::vector<TargetSite>& modules_;
  std::vector<Match> matches_;
};

}  // namespace

absl::Status AddParameterTargets(const TargetConfig& config,
                                 const MethodInfo& method,
                                 const SiteTable& sites, const KeyMap& keys,
                                 std::vector<TargetSite>& targets) {
  if (config.target_parameters.empty()) return absl::OkStatus();
  if (std::find(method.kinds.begin(), method.kinds.end(),
                SiteKind::kParameter) == method.kinds.end()) {
    return Wrong(config.target_parameters[0],
                 absl::StrCat("but ", method.title, " adapts modules only"));
  }
  PEFT_ASSIGN_OR_RETURN(const std::vector<Match> matches,
                        ParameterMatcher(config, sites, keys, targets).Find());
  if (matches.empty() && targets.empty()) {
    return MakeError(
        absl::StatusCode::kInvalidArgument, error_id::kNoTargetMatched,
        absl::StrCat(kKey, " [", ShortList(config.target_parameters),
                     "] matches no parameter of the model"),
        {kKey, "", ""});
  }
  for (size_t i = 0; i < matches.size(); ++i) {
    const absl::string_view module = sites.sites()[matches[i].first].module();
    TargetSite target = {matches[i].first, matches[i].name, std::string(module),
                         true, matches[i].num_sites};
    // Those behind it wrap it.
    for (size_t j = i + 1; j < matches.size(); ++j) {
      if (sites.sites()[matches[j].first].module() != module) continue;
      absl::StrAppend(&target.file_module, ".base_layer");
    }
    targets.push_back(std::move(target));
  }
  return absl::OkStatus();
}

}  // namespace peft
