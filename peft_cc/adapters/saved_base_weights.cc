#include "peft_cc/adapters/saved_base_weights.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/tensor_scan.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

absl::Status ReplacesBaseError(const TensorKey& key, const Site& site,
                               const Tensor& tensor) {
  const std::string expected = ShapeToString(site.weight.shape());
  const std::string found = ShapeToString(tensor.shape());
  const bool resized = tensor.shape() != site.weight.shape();
  return MakeError(
      absl::StatusCode::kUnimplemented, error_id::kAdapterFeatureUnsupported,
      absl::StrCat(
          "tensor ", Quoted(key.file_name), " replaces the base model's ",
          resized ? absl::StrCat("weight of shape ", expected,
                                 " with one of shape ", found,
                                 ": was the vocabulary resized in training?")
                  : std::string("weight with other values: was it trained "
                                "too, or is this another base model?"),
          " Adapters that replace base weights are not implemented"),
      {key.file_name, expected, found});
}

absl::Status SettleWeight(const TensorKey& key, const Site& site,
                          TensorTaker& taker, LoadReport& report) {
  const Tensor* tensor = taker.Peek(key.module, key.part);
  if (!EqualValues(*tensor, site.weight)) {
    return ReplacesBaseError(key, site, *tensor);
  }
  // The base's own tensor stands for it, so that it is in memory once.
  const bool same_dtype = tensor->dtype() == site.weight.dtype();
  taker.Settle(key.module, key.part, same_dtype ? site.weight : *tensor);
  report.lines.push_back({ReportKind::kNote, key.file_name,
                          "equals the base model's weight and is not used"});
  return absl::OkStatus();
}

// The second where the adapter targets the layer too, which is then wrapped.
bool IsBaseWeight(const TensorKey& key) {
  return key.part == "weight" || key.part == "base_layer.weight";
}

}  // namespace

absl::Status SettleSavedBaseWeights(const SiteTable& sites, TensorTaker& taker,
                                    LoadReport& report) {
  bool any = false;
  for (const TensorKey* key : taker.Unused()) {
    if (!IsBaseWeight(*key)) continue;
    const int index = sites.Find(key->module);
    if (index < 0) continue;
    PEFT_RETURN_IF_ERROR(
        SettleWeight(*key, sites.sites()[index], taker, report));
    any = true;
  }
  // Such a weight is often a hundred times larger than the adapter: let go of
  // the memory into which the file was read.
  return any ? taker.CopyRemaining() : absl::OkStatus();
}

}  // namespace peft
