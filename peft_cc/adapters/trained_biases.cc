#include "peft_cc/adapters/trained_biases.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/tensor_scan.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

constexpr char kBias[] = "bias";
// Of a head that is tied to an embedding with trained tokens.
constexpr char kTiedBias[] = "token_adapter.base_layer.bias";

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
  // PEFT saves what is named "bias", and so not the in_proj_bias of a
  // MultiheadAttention.
  const auto lacks_bias = [&](int index) {
    const Site& site = sites.sites()[index];
    return !site.has_bias() || site.bias_part() != kBias ||
           keys.ModuleInFile(site.name).empty();
  };
  result.erase(std::remove_if(result.begin(), result.end(), lacks_bias),
               result.end());
  return result;
}

// With "lora_only" PEFT saves the bias of such a head as well.
void AddTiedHeads(const SiteTable& sites, const TensorTaker& taker,
                  std::vector<int>& out_sites) {
  for (size_t i = 0; i < sites.sites().size(); ++i) {
    const Site& site = sites.sites()[i];
    if (!site.has_bias() || taker.Peek(site.name, kTiedBias) == nullptr) {
      continue;
    }
    out_sites.push_back(static_cast<int>(i));
  }
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

// The module of site `index` in the file, and whether PEFT has wrapped it.
struct FileModule {
  std::string name;
  bool is_wrapped = false;
};

FileModule ModuleOf(const SiteTable& sites, int index,
                    const std::vector<TargetSite>& targets) {
  for (const TargetSite& target : targets) {
    if (target.site == index) return {target.file_module, true};
  }
  return {sites.sites()[index].name, false};
}

// With bias = "all" a layer may also be wrapped by another adapter that the
// model had when this one was saved, and a tied head by the trained tokens of
// its embedding.
std::string BiasPart(const Site& site, const FileModule& module,
                     const TensorTaker& taker) {
  const std::string plain(site.bias_part());
  const std::string wrapped = absl::StrCat("base_layer.", plain);
  const std::string& usual = module.is_wrapped ? wrapped : plain;
  const std::string& other = module.is_wrapped ? plain : wrapped;
  for (const std::string& part : {usual, other, std::string(kTiedBias)}) {
    if (taker.Peek(module.name, part) != nullptr) return part;
  }
  return usual;
}

bool IsReplaced(const std::map<int, SiteProgram>& programs, int index) {
  const auto found = programs.find(index);
  return found != programs.end() && !found->second.empty() &&
         std::holds_alternative<Replace>(found->second.front());
}

}  // namespace

std::string SecondBiasOwner(const Site& site) {
  const size_t dot = site.name.rfind('.');
  return site.is_output_embedding && dot != std::string::npos
             ? site.name.substr(0, dot)
             : "";
}

void SettleSecondBias(const Site& site, const Tensor& bias,
                      TensorTaker& taker) {
  const std::string owner = SecondBiasOwner(site);
  const Tensor* const second =
      owner.empty() ? nullptr : taker.Peek(owner, site.bias_part());
  if (second == nullptr) return;
  const bool is_same =
      second->dtype() == bias.dtype() && EqualValues(*second, bias);
  taker.Settle(owner, site.bias_part(), is_same ? bias : Tensor(*second));
}

absl::Status TakeTrainedBiases(BiasMode mode, const SiteTable& sites,
                               const std::vector<TargetSite>& targets,
                               const KeyMap& keys, TensorTaker& taker,
                               std::map<int, SiteProgram>& programs) {
  std::vector<int> biased = BiasedSites(mode, sites, targets, keys);
  if (mode == BiasMode::kLoraOnly) AddTiedHeads(sites, taker, biased);
  for (const int index : biased) {
    const Site& site = sites.sites()[index];
    const FileModule module = ModuleOf(sites, index, targets);
    // A module that is replaced has its bias with it.
    if (!module.is_wrapped && IsReplaced(programs, index)) {
      SettleSecondBias(site, site.bias, taker);
      continue;
    }
    const std::string part = BiasPart(site, module, taker);
    PEFT_ASSIGN_OR_RETURN(
        const std::optional<Tensor> bias,
        taker.Take(module.name, part, site.bias.shape(),
                   "the shape of the base model's bias", IfMissing::kBase));
    if (!bias.has_value()) continue;
    SettleSecondBias(site, *bias, taker);
    std::vector<float> delta = Difference(*bias, site.bias);
    if (!delta.empty())
      programs[index].push_back(Bias{std::move(delta), /*of_base=*/true});
  }
  return absl::OkStatus();
}

void AddBaseBiases(BiasMode mode, const SiteTable& sites,
                   const std::vector<TargetSite>& targets,
                   TensorMap& out_tensors) {
  for (const int index : BiasedSites(mode, sites, targets, KeyMap())) {
    const Site& site = sites.sites()[index];
    const FileModule module = ModuleOf(sites, index, targets);
    out_tensors[absl::StrCat(module.name,
                             module.is_wrapped ? ".base_layer." : ".",
                             site.bias_part())] = site.bias;
    const std::string owner = SecondBiasOwner(site);
    if (mode != BiasMode::kAll || owner.empty()) continue;
    out_tensors[absl::StrCat(owner, ".", site.bias_part())] = site.bias;
  }
}

}  // namespace peft
