#include "peft_cc/models/layer_checks.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

absl::Status Wrong(const Site& site, absl::string_view id,
                   absl::string_view what, absl::string_view expected,
                   absl::string_view found) {
  return MakeError(absl::StatusCode::kInvalidArgument, id,
                   absl::StrCat(what, " of layer ", Quoted(site.name),
                                ": expected ", expected, ", found ", found),
                   {site.name, std::string(expected), std::string(found)});
}

absl::Status NoDelta(const Site& site, absl::string_view why) {
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   error_id::kLayerNoDelta,
                   absl::StrCat("layer ", Quoted(site.name),
                                ": there is nothing to add to its output, as ",
                                why, "; run the layer, or merge"),
                   {site.name, "what only adds", ""});
}

// Terms that count for some rows only.
bool HasGates(const kernels::LinearPlan& plan) {
  for (const kernels::LinearStage& stage : plan.stages) {
    for (const kernels::LowRankSegment& segment : stage.low_rank) {
      if (segment.gate >= 0) return true;
    }
  }
  return false;
}

bool HasOutScale(const kernels::LinearPlan& plan) {
  return std::any_of(plan.stages.begin(), plan.stages.end(),
                     [](const kernels::LinearStage& stage) {
                       return stage.out_scale.data != nullptr;
                     });
}

}  // namespace

absl::Status WrongShape(const Site& site, absl::string_view what,
                        absl::string_view expected, const ArrayView& view) {
  return Wrong(site, error_id::kTensorShapeMismatch, what, expected,
               ShapeToString(view.sizes));
}

absl::Status WrongDType(const Site& site, absl::string_view what,
                        absl::string_view expected, DType found) {
  return Wrong(site, error_id::kTensorDType, what, expected, DTypeName(found));
}

absl::Status WrongStrides(const Site& site, absl::string_view what) {
  return ArgumentError(
      absl::StrCat(what, " of layer ", Quoted(site.name),
                   ": its strides are not those of contiguous rows at a "
                   "regular distance; copy it to an array whose are"),
      {site.name, "contiguous rows", "other strides"});
}

absl::Status UnimplementedLayer(const Site& site, absl::string_view what) {
  return MakeError(absl::StatusCode::kUnimplemented, error_id::kUnimplemented,
                   absl::StrCat("layer ", Quoted(site.name), ": ", what),
                   {site.name, "", ""});
}

absl::Status MissingWeight(const Site& site) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kLayerWeight,
      absl::StrCat("layer ", Quoted(site.name),
                   ": the program kept its weight to itself; run it there and "
                   "add the delta, or register the weight"),
      {site.name, "a weight", "none"});
}

absl::Status CheckGates(const Site& site, const kernels::LinearPlan& plan) {
  if (!HasGates(plan)) return absl::OkStatus();
  return UnimplementedLayer(
      site,
      "an adapter with alora_invocation_tokens is active, which needs the "
      "tokens of the whole sequence");
}

absl::Status CheckOnlyAdds(const Site& site, int index, const Plan& plan) {
  if (site.kind == SiteKind::kNorm) {
    return NoDelta(site, "it is a norm, which adapters replace");
  }
  const kernels::LinearPlan& linear = plan.linear(index);
  if (linear.weight.data != site.weight.data()) {
    return NoDelta(site, plan.overlay() != nullptr
                             ? "adapters are merged into its weight"
                             : "an adapter replaces its weight");
  }
  if (linear.patch.rows.rows > 0) {
    return NoDelta(site, "an adapter replaces rows of its weight");
  }
  if (linear.in_scale.data != nullptr) {
    return NoDelta(site, "an adapter scales its input");
  }
  if (HasOutScale(linear)) {
    return NoDelta(site, "an adapter scales its output");
  }
  return absl::OkStatus();
}

}  // namespace peft
