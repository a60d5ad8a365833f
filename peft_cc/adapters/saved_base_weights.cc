#include "peft_cc/adapters/saved_base_weights.h"

#include <algorithm>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/tensor_scan.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

absl::Status Unsupported(const TensorKey& key, const Site& site,
                         const Tensor& tensor, absl::string_view problem) {
  const std::string expected = ShapeToString(site.weight_shape());
  const std::string found = ShapeToString(tensor.shape());
  return MakeError(absl::StatusCode::kUnimplemented,
                   error_id::kAdapterFeatureUnsupported,
                   absl::StrCat("tensor ", Quoted(key.file_name), " ", problem),
                   {key.file_name, expected, found});
}

// Rows more or less, in a layer that has one for each token.
bool HasOtherVocabulary(const Site& site, const Tensor& tensor) {
  const absl::Span<const int64_t> shape = site.weight_shape();
  return (site.kind == SiteKind::kEmbedding || site.is_output_embedding) &&
         tensor.rank() == 2 && shape.size() == 2 && tensor.dim(1) == shape[1];
}

absl::Status CheckReplacement(const TensorKey& key, const Site& site,
                              const Tensor& tensor, bool is_changed) {
  if (tensor.shape() != site.weight_shape()) {
    return Unsupported(
        key, site, tensor,
        absl::StrCat("replaces the base model's weight of shape ",
                     ShapeToString(site.weight_shape()), " with one of shape ",
                     ShapeToString(tensor.shape()),
                     HasOtherVocabulary(site, tensor)
                         ? ": was the vocabulary resized in training? That is "
                           "not implemented"
                         : ": was it trained for another base model?"));
  }
  if (is_changed) {
    return Unsupported(key, site, tensor,
                       "replaces a weight of which the adapter changes rows or "
                       "that it replaces otherwise; that is not implemented");
  }
  return absl::OkStatus();
}

// Settles `tensor`, which is the base's `own`.
void SettleEqual(const TensorKey& key, const Tensor& tensor, const Tensor& own,
                 absl::string_view what, TensorTaker& taker,
                 LoadReport& report) {
  // The base's own tensor stands for it, so that it is in memory once.
  const bool is_same = tensor.dtype() == own.dtype() && own.is_contiguous();
  taker.Settle(key.module, key.part, is_same ? own : tensor);
  report.lines.push_back(
      {ReportKind::kNote, key.file_name,
       absl::StrCat("equals the base model's ", what, " and is not used")});
}

// Settles the weight of site `index`; true if it is not the base's.
absl::StatusOr<bool> SettleWeight(const TensorKey& key, const Site& site,
                                  int index, TensorTaker& taker,
                                  LoadReport& report,
                                  std::map<int, SiteProgram>& programs) {
  const Tensor tensor = *taker.Peek(key.module, key.part);
  if (EqualValues(tensor, site.weight)) {
    SettleEqual(key, tensor, site.weight, "weight", taker, report);
    return false;
  }
  PEFT_RETURN_IF_ERROR(
      CheckReplacement(key, site, tensor, programs.count(index) > 0));
  PEFT_ASSIGN_OR_RETURN(
      const std::optional<Tensor> taken,
      taker.Take(key.module, key.part, site.weight_shape(), ""));
  programs[index] = {Replace{taken.value_or(tensor), site.bias}};
  report.lines.push_back(
      {ReportKind::kNote, key.file_name,
       "differs from the base model's weight and replaces it while the adapter "
       "is active"});
  return true;
}

// The second where the adapter targets the layer too, which is then wrapped.
constexpr char kWrappedWeight[] = "base_layer.weight";

bool IsBaseWeight(const TensorKey& key) {
  return key.part == "weight" || key.part == kWrappedWeight;
}

bool IsBaseBias(const TensorKey& key) {
  return key.part == "bias" || key.part == "base_layer.bias";
}

}  // namespace

std::vector<int> SitesOfWrappedWeights(const SiteTable& sites,
                                       const TensorTaker& taker) {
  std::vector<int> wrapped;
  for (const TensorKey* key : taker.Unused()) {
    if (key->part != kWrappedWeight) continue;
    const int index = sites.Find(key->module);
    if (index >= 0) wrapped.push_back(index);
  }
  return wrapped;
}

absl::Status SettleSavedBaseWeights(const SiteTable& sites, TensorTaker& taker,
                                    LoadReport& report,
                                    std::map<int, SiteProgram>& programs) {
  bool any = false;
  bool embedding_changed = false;
  std::vector<int> settled;
  const int embedding = FindInputEmbedding(sites);
  for (const TensorKey* key : taker.Unused()) {
    if (!IsBaseWeight(*key)) continue;
    const int index = sites.Find(key->module);
    if (index < 0) continue;
    PEFT_ASSIGN_OR_RETURN(const bool is_changed,
                          SettleWeight(*key, sites.sites()[index], index, taker,
                                       report, programs));
    embedding_changed |= is_changed && index == embedding;
    settled.push_back(index);
    any = true;
  }
  for (const int head : FindTiedHeads(sites, embedding)) {
    const bool is_settled =
        std::find(settled.begin(), settled.end(), head) != settled.end();
    if (!embedding_changed || is_settled || programs.count(head) > 0) continue;
    programs[head] = {
        Replace{std::get<Replace>(programs[embedding].front()).weight,
                sites.sites()[head].bias}};
  }
  // Such a weight is often a hundred times larger than the adapter: let go of
  // the memory into which the file was read.
  return any ? taker.CopyRemaining() : absl::OkStatus();
}

void SettleSavedBaseBiases(const SiteTable& sites, TensorTaker& taker,
                           LoadReport& report) {
  for (const TensorKey* key : taker.Unused()) {
    if (!IsBaseBias(*key)) continue;
    const int index = sites.Find(key->module);
    if (index < 0 || !sites.sites()[index].has_bias()) continue;
    const Tensor& own = sites.sites()[index].bias;
    const Tensor tensor = *taker.Peek(key->module, key->part);
    if (!EqualValues(tensor, own)) continue;
    SettleEqual(*key, tensor, own, "bias", taker, report);
  }
}

}  // namespace peft
