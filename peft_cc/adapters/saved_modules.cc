#include "peft_cc/adapters/saved_modules.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/trained_biases.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

constexpr char kReason[] = "the shape of the base model's own";

// True if modules_to_save names `module`, as the trained model called it.
bool IsSaved(const TargetConfig& config, const std::string& module) {
  return std::any_of(
      config.modules_to_save.begin(), config.modules_to_save.end(),
      [&](const std::string& end) { return absl::EndsWith(module, end); });
}

// True if the embedding and its heads are saved as one: PEFT looks for these
// names only, so that with others (GPT-2's wte, BERT's decoder) each module
// that is named stands for itself.
bool SavesTied(const TargetConfig& config) {
  const auto is_usual = [](absl::string_view name) {
    const absl::string_view last = name.substr(name.rfind('.') + 1);
    return last == "embed_tokens" || last == "lm_head";
  };
  return config.ensure_weight_tying &&
         std::any_of(config.modules_to_save.begin(),
                     config.modules_to_save.end(), is_usual);
}

// The sites of the module and of all below it, in order.
std::vector<int> SitesOf(const SiteTable& sites, const std::string& module) {
  const std::string below = absl::StrCat(module, ".");
  std::vector<int> found;
  for (size_t i = 0; i < sites.sites().size(); ++i) {
    const absl::string_view name = sites.sites()[i].module();
    if (name == module || absl::StartsWith(name, below)) {
      found.push_back(static_cast<int>(i));
    }
  }
  return found;
}

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
      if (!IsSaved(config_, keys_.ModuleInFile(module))) continue;
      PEFT_RETURN_IF_ERROR(TakeModule(module));
    }
    return SavesTied(config_) ? Tie() : absl::OkStatus();
  }

 private:
  // The module and all below it.
  absl::Status TakeModule(const std::string& module) {
    for (const int site : SitesOf(sites_, module)) {
      PEFT_RETURN_IF_ERROR(CheckIsNoTarget(module, site));
      PEFT_RETURN_IF_ERROR(TakeSite(site));
      SettleSecond(module, site);
    }
    IgnoreCopies(module);
    return absl::OkStatus();
  }

  // The bias of BERT's head under the name of the module around it, where that
  // is saved as well.
  void SettleSecond(const std::string& module, int index) {
    const Site& site = sites_.sites()[index];
    const std::string owner = SecondBiasOwner(site);
    if (owner.size() < module.size()) return;
    SettleSecondBias(site, std::get<Replace>(programs_[index].front()).bias,
                     taker_);
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
    const auto reason = [&] { return ReasonOf(site); };
    PEFT_ASSIGN_OR_RETURN(
        std::optional<Tensor> weight,
        taker_.Take(site.name, site.weight_part(), site.weight_shape(), reason,
                    IfMissing::kBase));
    Tensor bias;
    if (site.has_bias()) {
      PEFT_ASSIGN_OR_RETURN(
          std::optional<Tensor> taken,
          taker_.Take(site.name, site.bias_part(), site.bias.shape(), reason,
                      IfMissing::kBase));
      bias = taken.value_or(site.bias);
    }
    programs_[index] = {Replace{weight.value_or(site.weight), std::move(bias)}};
    return absl::OkStatus();
  }

  // Where the shape of the site's tensors comes from; the classifier's rows are
  // the labels, which whoever opens the model chooses.
  std::string ReasonOf(const Site& site) const {
    const Tensor* const own = taker_.Peek(site.name, site.weight_part());
    if (!site.is_classifier || own == nullptr || own->rank() != 2) {
      return kReason;
    }
    return absl::StrCat("the model has ", site.out_features,
                        " labels and the adapter ", own->dim(0),
                        "; open the base model with num_labels ", own->dim(0));
  }

  // With bias = "all" PEFT saves these as well: the base's own biases of the
  // module, and the module's once more, beneath the adapter's name.
  void IgnoreCopies(const std::string& module) {
    for (const char* copy : {".original_module.", ".modules_to_save."}) {
      const std::string begin = absl::StrCat(module, copy);
      for (const TensorKey* key : taker_.Unused()) {
        const std::string name = absl::StrCat(key->module, ".", key->part);
        if (key->part != "bias" || !absl::StartsWith(name, begin)) continue;
        taker_.Settle(key->module, key->part,
                      *taker_.Peek(key->module, key->part));
      }
    }
  }

  // All experts of a parameter, which are one tensor.
  absl::Status TakeParameter(const Site& site) {
    const ParameterSites& all = *sites_.FindParameter(site.parameter);
    std::vector<int64_t> shape(site.weight_shape().begin(),
                               site.weight_shape().end());
    if (site.name != site.parameter) shape.insert(shape.begin(), all.num_sites);
    PEFT_ASSIGN_OR_RETURN(const std::optional<Tensor> tensor,
                          taker_.Take(site.module(), site.weight_part(), shape,
                                      kReason, IfMissing::kBase));
    for (int i = 0; i < all.num_sites; ++i) {
      const Tensor& base = sites_.sites()[all.first + i].weight;
      programs_[all.first + i] = {Replace{
          tensor.has_value() ? Slice(*tensor, site.weight_shape(), i) : base,
          {}}};
    }
    return absl::OkStatus();
  }

  // Matrix `index` of `all`, of the shape of one.
  static Tensor Slice(const Tensor& all, absl::Span<const int64_t> shape,
                      int index) {
    const int64_t bytes = shape[0] * shape[1] * DTypeSize(all.dtype());
    return Tensor(all.dtype(), {shape.begin(), shape.end()},
                  static_cast<const char*>(all.data()) + index * bytes,
                  all.owner());
  }

  // One copy for the embedding and its heads. PEFT saves it under each name.
  // A head with a bias (BERT's) has none in PEFT, in training too.
  absl::Status Tie() {
    const int embedding = FindInputEmbedding(sites_);
    const std::vector<int> heads = FindTiedHeads(sites_, embedding);
    if (heads.empty()) return absl::OkStatus();
    PEFT_RETURN_IF_ERROR(TakeSite(embedding));
    const Tensor weight =
        std::get<Replace>(programs_[embedding].front()).weight;
    for (const int head : heads) {
      const Site& site = sites_.sites()[head];
      if (taker_.Peek(site.name, site.weight_part()) != nullptr) {
        taker_.Settle(site.name, site.weight_part(), weight);
      }
      if (site.has_bias()) IgnoreCopies(site.name);
      programs_[head] = {Replace{weight, {}}};
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

// All experts of a parameter, which the file has as one tensor.
absl::StatusOr<Tensor> StackedExperts(const SiteTable& sites,
                                      const ParameterSites& all) {
  const Tensor& first = sites.sites()[all.first].weight;
  if (sites.sites()[all.first].name == all.name) return first.Contiguous();
  void* data = nullptr;
  PEFT_ASSIGN_OR_RETURN(
      Tensor stacked,
      Tensor::Allocate(first.dtype(),
                       {all.num_sites, first.dim(0), first.dim(1)}, &data));
  for (int i = 0; i < all.num_sites; ++i) {
    sites.sites()[all.first + i].weight.CopyTo(static_cast<char*>(data) +
                                               i * first.size_bytes());
  }
  return stacked;
}

// What a file has of a weight: numbers, one behind the other.
absl::StatusOr<Tensor> AsNumbers(const Tensor& weight) {
  return weight.is_quantized() ? weight.Cast(DType::kF32) : weight.Contiguous();
}

// Adds the tensors of one site of `module`. With bias = "all" PEFT saves the
// bias of a module that is such a site three times.
absl::Status AddBaseSite(const SiteTable& sites, const std::string& module,
                         const Site& site, bool has_copies,
                         TensorMap& out_tensors) {
  const std::string weight =
      absl::StrCat(site.module(), ".", site.weight_part());
  if (site.kind == SiteKind::kParameter) {
    if (out_tensors.count(weight) > 0) return absl::OkStatus();
    PEFT_ASSIGN_OR_RETURN(
        out_tensors[weight],
        StackedExperts(sites, *sites.FindParameter(site.parameter)));
    return absl::OkStatus();
  }
  PEFT_ASSIGN_OR_RETURN(out_tensors[weight], AsNumbers(site.weight));
  if (!site.has_bias()) return absl::OkStatus();
  out_tensors[absl::StrCat(site.name, ".", site.bias_part())] = site.bias;
  const std::string owner = SecondBiasOwner(site);
  if (owner.size() >= module.size()) {
    out_tensors[absl::StrCat(owner, ".", site.bias_part())] = site.bias;
  }
  if (!has_copies) return absl::OkStatus();
  for (const char* copy : {".original_module.", ".modules_to_save."}) {
    out_tensors[absl::StrCat(site.name, copy, site.bias_part())] = site.bias;
  }
  return absl::OkStatus();
}

// The heads are saved with their embedding, under each name. In PEFT the bias
// of such a head is gone, but that of the base is saved with bias = "all".
absl::Status AddTiedModules(const SiteTable& sites, TensorMap& out_tensors) {
  for (const int head : FindTiedHeads(sites, FindInputEmbedding(sites))) {
    const Site& site = sites.sites()[head];
    PEFT_ASSIGN_OR_RETURN(out_tensors[absl::StrCat(site.name, ".weight")],
                          AsNumbers(site.weight));
    if (out_tensors.erase(absl::StrCat(site.name, ".bias")) > 0) {
      out_tensors[absl::StrCat(site.name, ".original_module.bias")] = site.bias;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AddBaseModules(const TargetConfig& config, const SiteTable& sites,
                            TensorMap& out_tensors) {
  for (const std::string& module : sites.module_names()) {
    if (!IsSaved(config, module)) continue;
    for (const int index : SitesOf(sites, module)) {
      const Site& site = sites.sites()[index];
      if (!site.has_weight()) {
        return MakeError(
            absl::StatusCode::kUnimplemented,
            error_id::kAdapterFeatureUnsupported,
            absl::StrCat("modules_to_save hits ", Quoted(site.name),
                         ", whose weight the program did not register; "
                         "register it, as the new adapter begins with a copy"),
            {"modules_to_save", "", site.name});
      }
      const bool has_copies =
          config.bias == BiasMode::kAll && site.name == module;
      PEFT_RETURN_IF_ERROR(
          AddBaseSite(sites, module, site, has_copies, out_tensors));
    }
  }
  if (SavesTied(config)) return AddTiedModules(sites, out_tensors);
  return absl::OkStatus();
}

absl::Status TakeSavedModules(const TargetConfig& config,
                              const SiteTable& sites,
                              const std::vector<TargetSite>& targets,
                              const KeyMap& keys, TensorTaker& taker,
                              std::map<int, SiteProgram>& programs) {
  return SavedModules(config, sites, targets, keys, taker, programs).Take();
}

}  // namespace peft
