#include "peft_cc/adapters/saved_modules.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

constexpr char kReason[] = "the shape of the base model's own";

class SavedModules {
 public:
  SavedModules(const TargetConfig& config, const SiteTable& sites,
               const std::vector<TargetSite>& targets, const KeyMap& keys,
               TensorTaker& taker, std::map<int, SiteProgram>& programs)
      : config_(config),
        sites_(sites),
        targets_(targets),
        keys_(keys),
        taker_(taker),
        programs_(programs) {}

  absl::Status Take() {
    for (const std::string& module : sites_.module_names()) {
      const std::string name = keys_.ModuleInFile(module);
      const bool is_saved = std::any_of(
          config_.modules_to_save.begin(), config_.modules_to_save.end(),
          [&](const std::string& end) { return absl::EndsWith(name, end); });
      if (is_saved) PEFT_RETURN_IF_ERROR(TakeModule(module));
    }
    return config_.ensure_weight_tying ? Tie() : absl::OkStatus();
  }

 private:
  // The module and all below it.
  absl::Status TakeModule(const std::string& module) {
    const std::string below = absl::StrCat(module, ".");
    for (size_t i = 0; i < sites_.sites().size(); ++i) {
      const absl::string_view name = sites_.sites()[i].module();
      if (name != module && !absl::StartsWith(name, below)) continue;
      PEFT_RETURN_IF_ERROR(CheckIsNoTarget(module, static_cast<int>(i)));
      PEFT_RETURN_IF_ERROR(TakeSite(static_cast<int>(i)));
    }
    return absl::OkStatus();
  }

  absl::Status CheckIsNoTarget(const std::string& module, int site) const {
    for (const TargetSite& target : targets_) {
      if (site < target.site || site >= target.site + target.num_sites) {
        continue;
      }
      return MakeError(absl::StatusCode::kInvalidArgument,
                       error_id::kAdapterConfig,
                       absl::StrCat("modules_to_save hits ", Quoted(module),
                                    ", but target_modules adapts ",
                                    Quoted(sites_.sites()[site].name),
                                    " there; a module can only be one of both"),
                       {"modules_to_save", "", module});
    }
    return absl::OkStatus();
  }

  absl::Status TakeSite(int index) {
    if (programs_.count(index) > 0) return absl::OkStatus();  // in two modules
    const Site& site = sites_.sites()[index];
    if (site.kind == SiteKind::kParameter) return TakeParameter(site);
    PEFT_ASSIGN_OR_RETURN(std::optional<Tensor> weight,
                          taker_.Take(site.name, site.weight_part(),
                                      site.weight.shape(), kReason));
    Tensor bias;
    if (site.has_bias()) {
      PEFT_ASSIGN_OR_RETURN(
          std::optional<Tensor> taken,
          taker_.Take(site.name, site.bias_part(), site.bias.shape(), kReason));
      bias = taken.value_or(site.bias);
      IgnoreOriginal(site);
    }
    programs_[index] = {Replace{weight.value_or(site.weight), std::move(bias)}};
    return absl::OkStatus();
  }

  // With bias = "all" PEFT saves these as well: the base's own bias, and the
  // module's once more.
  void IgnoreOriginal(const Site& site) {
    for (const char* copy : {".original_module", ".modules_to_save"}) {
      const std::string module = absl::StrCat(site.name, copy);
      const Tensor* const bias = taker_.Peek(module, site.bias_part());
      if (bias != nullptr) taker_.Settle(module, site.bias_part(), *bias);
    }
  }

  // All experts of a parameter, which are one tensor.
  absl::Status TakeParameter(const Site& site) {
    const ParameterSites& all = *sites_.FindParameter(site.parameter);
    std::vector<int64_t> shape(site.weight.shape().begin(),
                               site.weight.shape().end());
    if (site.name != site.parameter) shape.insert(shape.begin(), all.num_sites);
    PEFT_ASSIGN_OR_RETURN(
        const std::optional<Tensor> tensor,
        taker_.Take(site.module(), site.weight_part(), shape, kReason));
    for (int i = 0; i < all.num_sites; ++i) {
      const Tensor& base = sites_.sites()[all.first + i].weight;
      programs_[all.first + i] = {
          Replace{tensor.has_value() ? Slice(*tensor, base, i) : base, {}}};
    }
    return absl::OkStatus();
  }

  static Tensor Slice(const Tensor& all, const Tensor& like, int index) {
    const int64_t bytes = like.num_elements() * DTypeSize(all.dtype());
    return Tensor(all.dtype(), {like.dim(0), like.dim(1)},
                  static_cast<const char*>(all.data()) + index * bytes,
                  all.owner());
  }

  // One copy for the embedding and its heads. PEFT saves it under each name.
  absl::Status Tie() {
    const int embedding = FindInputEmbedding(sites_);
    const std::vector<int> heads = FindTiedHeads(sites_, embedding);
    const auto is_saved = [&](int site) { return programs_.count(site) > 0; };
    if (heads.empty() || (!is_saved(embedding) &&
                          std::none_of(heads.begin(), heads.end(), is_saved))) {
      return absl::OkStatus();
    }
    PEFT_RETURN_IF_ERROR(TakeSite(embedding));
    const Tensor weight =
        std::get<Replace>(programs_[embedding].front()).weight;
    for (const int head : heads) {
      const Site& site = sites_.sites()[head];
      if (taker_.Peek(site.name, site.weight_part()) != nullptr) {
        taker_.Settle(site.name, site.weight_part(), weight);
      }
      programs_[head] = {Replace{weight, site.bias}};
    }
    return absl::OkStatus();
  }

  const TargetConfig& config_;
  const SiteTable& sites_;
  const std::vector<TargetSite>& targets_;
  const KeyMap& keys_;
  TensorTaker& taker_;
  std::map<int, SiteProgram>& programs_;
};

}  // namespace

absl::Status TakeSavedModules(const TargetConfig& config,
                              const SiteTable& sites,
                              const std::vector<TargetSite>& targets,
                              const KeyMap& keys, TensorTaker& taker,
                              std::map<int, SiteProgram>& programs) {
  return SavedModules(config, sites, targets, keys, taker, programs).Take();
}

}  // namespace peft
