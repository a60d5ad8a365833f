#include "peft_cc/adapters/trained_biases.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

// A targeted layer is wrapped, so its bias has another name.
constexpr char kWrapped[] = "base_layer.bias";
constexpr char kPlain[] = "bias";

// Sites whose bias the adapter has, in order.
std::vector<int> BiasedSites(BiasMode mode, const SiteTable& sites,
                             const std::vector<TargetSite>& targets,
                             const KeyMap& keys) {
  std::vector<int> result;
  if (mode == BiasMode::kLoraOnly) {
    for (const TargetSite& target : targets) result.push_back(target.site);
  } else if (mode == BiasMode::kAll) {
    for (size_t i = 0; i < sites.sites().size(); ++i) {
      result.push_back(static_cast<int>(i));
    }
  }
  const auto lacks_bias = [&](int index) {
    const Site& site = sites.sites()[index];
    return !site.has_bias() || keys.ModuleInFile(site.name).empty();
  };
  result.erase(std::remove_if(result.begin(), result.end(), lacks_bias),
               result.end());
  return result;
}

// With bias = "all" a layer may also be wrapped by another adapter that the
// model had when this one was saved.
const char* BiasPart(const Site& site, bool is_target,
                     const TensorTaker& taker) {
  const char* usual = is_target ? kWrapped : kPlain;
  const char* other = is_target ? kPlain : kWrapped;
  const bool only_other = taker.Peek(site.name, usual) == nullptr &&
                          taker.Peek(site.name, other) != nullptr;
  return only_other ? other : usual;
}

// What the file's bias changes; empty for nothing, as PEFT saves every bias,
// also of layers that training left alone.
std::vector<float> Difference(const Tensor& trained, const Tensor& base) {
  std::vector<float> delta = trained.ToF32();
  const std::vector<float> from = base.ToF32();
  bool changed = false;
  for (size_t i = 0; i < delta.size(); ++i) {
    delta[i] -= from[i];
    changed |= delta[i] != 0.0f;
  }
  return changed ? delta : std::vector<float>();
}

}  // namespace

absl::Status TakeTrainedBiases(BiasMode mode, const SiteTable& sites,
                               const std::vector<TargetSite>& targets,
                               const KeyMap& keys, TensorTaker& taker,
                               std::map<int, SiteProgram>& programs) {
  std::vector<bool> is_target(sites.sites().size(), false);
  for (const TargetSite& target : targets) is_target[target.site] = true;
  for (const int index : BiasedSites(mode, sites, targets, keys)) {
    const Site& site = sites.sites()[index];
    const char* part = BiasPart(site, is_target[index], taker);
    PEFT_ASSIGN_OR_RETURN(const std::optional<Tensor> bias,
                          taker.Take(site.name, part, site.bias.shape(),
                                     "the shape of the base model's bias"));
    if (!bias.has_value()) continue;
    std::vector<float> delta = Difference(*bias, site.bias);
    if (delta.empty()) continue;
    programs[index].push_back(Bias{std::move(delta)});
  }
  return absl::OkStatus();
}

}  // namespace peft
