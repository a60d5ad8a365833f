#include "peft_cc/adapters/merge.h"

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "kernels/merge.h"
#include "peft_cc/adapters/tensor_scan.h"
#include "peft_cc/base/dtype.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

kernels::WeightLayout LayoutOf(const Site& site,
                               const kernels::LinearPlan& plan) {
  if (site.kind == SiteKind::kEmbedding) return kernels::WeightLayout::kTable;
  return plan.transposed ? kernels::WeightLayout::kInputsFirst
                         : kernels::WeightLayout::kOutputsFirst;
}

// `merged` as what it is: the kernel has written it in the order of the plan's
// weight. Only what is exchanged with a program's own columns stays by columns.
absl::StatusOr<Tensor> InOrderOf(const Site& site,
                                 const kernels::LinearPlan& plan,
                                 const Tensor& merged) {
  if (plan.transposed == site.is_transposed()) return merged;
  const Tensor by_columns = Tensor::InLines(
      merged.dtype(), {merged.dim(0), merged.dim(1)}, merged.data(),
      merged.owner(), Tensor::Lines::kColumns, merged.dim(0));
  if (site.is_writable) return by_columns;
  return by_columns.Contiguous();
}

absl::Status NoWeight(const Site& site) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kAdapterNotMergeable,
      absl::StrCat("module ", Quoted(site.name),
                   " has no weight here that adapters could be merged into"),
      {site.name, "a weight", "none"});
}

absl::Status NotFinite(const Site& site, const Plan& plan) {
  std::string names;
  for (const Activation::Entry& entry : plan.activation().entries) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", Quoted(entry.name));
  }
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kMergeNotFinite,
      absl::StrCat("merging ", names, ": the weight of module ",
                   Quoted(site.name),
                   " would hold a NaN or an infinity; are the adapters' "
                   "tensors damaged, or their values too large for ",
                   DTypeName(site.weight.dtype()), "?"),
      {site.name, "finite values", "NaN or infinity"});
}

// True if the plan leaves the weight as the base has it.
bool KeepsWeight(const Site& site, const kernels::LinearPlan& plan) {
  return plan.weight.data == site.weight.data() && plan.stages.empty() &&
         plan.in_scale.data == nullptr && plan.patch.rows.rows == 0;
}

kernels::VectorView PartOf(kernels::VectorView all, int64_t groups, int64_t g) {
  if (all.data == nullptr) return all;
  all.size /= groups;
  all.data = static_cast<const float*>(all.data) + g * all.size;
  return all;
}

// Group `g` of a convolution as a layer of its own. CheckMergeable has seen
// that there are no low-rank terms where there are several.
kernels::LinearPlan GroupPlan(const kernels::LinearPlan& plan, int64_t groups,
                              int64_t g) {
  kernels::LinearPlan part = plan;
  if (groups == 1) return part;
  part.weight.rows /= groups;
  part.weight.data =
      static_cast<const char*>(plan.weight.data) +
      g * part.weight.rows * plan.weight.stride * DTypeSize(plan.weight.dtype);
  part.in_scale = PartOf(plan.in_scale, groups, g);
  for (kernels::LinearStage& stage : part.stages) {
    stage.out_scale = PartOf(stage.out_scale, groups, g);
  }
  return part;
}

absl::StatusOr<Tensor> MergeDense(const Site& site,
                                  const kernels::LinearPlan& plan, DType dtype,
                                  MergeMemory& memory,
                                  kernels::ThreadPool& pool) {
  void* data = nullptr;
  const absl::Span<const int64_t> shape = site.weight.shape();
  PEFT_ASSIGN_OR_RETURN(
      Tensor merged,
      memory.Allocate(dtype, {shape.begin(), shape.end()}, &data));
  float* const workspace =
      memory.Workspace(kernels::MergeWorkspaceFloats(plan));
  const int64_t groups = site.conv.groups;
  const int64_t part_size =
      plan.weight.rows / groups * plan.weight.cols * DTypeSize(merged.dtype());
  for (int64_t g = 0; g < groups; ++g) {
    kernels::MergeWeight(
        GroupPlan(plan, groups, g), LayoutOf(site, plan), merged.dtype(),
        static_cast<char*>(data) + g * part_size, workspace, pool);
  }
  return InOrderOf(site, plan, merged);
}

// Codes are made to numbers first.
absl::StatusOr<Tensor> MergeWeight(const Site& site,
                                   const kernels::LinearPlan& plan, DType dtype,
                                   MergeMemory& memory,
                                   kernels::ThreadPool& pool) {
  if (plan.weight.codes == nullptr) {
    return MergeDense(site, plan, dtype, memory, pool);
  }
  PEFT_ASSIGN_OR_RETURN(const Tensor numbers, site.weight.Cast(DType::kF32));
  kernels::LinearPlan dense = plan;
  dense.weight = numbers.AsMatrix();
  return MergeDense(site, dense, dtype, memory, pool);
}

// The element type of merged weights: the base's, and of a quantised one f32,
// so that what is merged is not rounded away.
DType MergedDType(const Site& site) {
  return site.weight.is_quantized() ? DType::kF32 : site.weight.dtype();
}

// The elements of `vector` as `base` has them, or `base` where they are its
// own. A layer without such a tensor gets one of `fallback`.
absl::StatusOr<Tensor> MergeVector(const Tensor& base,
                                   const kernels::VectorView& vector,
                                   DType fallback) {
  if (vector.data == nullptr) return Tensor();
  if (base.dtype() != DType::kUnspecified && vector.data == base.data()) {
    return base;
  }
  const DType dtype =
      base.dtype() == DType::kUnspecified ? fallback : base.dtype();
  std::vector<float> values(vector.size);
  ConvertToF32(vector.dtype, vector.data, vector.size, values.data());
  void* data = nullptr;
  PEFT_ASSIGN_OR_RETURN(Tensor merged,
                        Tensor::Allocate(dtype, {vector.size}, &data));
  ConvertFromF32(values.data(), vector.size, dtype, data);
  return merged;
}

absl::StatusOr<BaseOverlay::Weights> Merge(const Site& site, const Plan& plan,
                                           int index, MergeMemory& memory,
                                           kernels::ThreadPool& pool) {
  const DType dtype = MergedDType(site);
  BaseOverlay::Weights merged;
  if (site.kind == SiteKind::kNorm) {
    const NormPlan& norm = plan.norm(index);
    PEFT_ASSIGN_OR_RETURN(merged.weight,
                          MergeVector(site.weight, norm.weight, dtype));
    PEFT_ASSIGN_OR_RETURN(merged.bias,
                          MergeVector(site.bias, norm.bias, dtype));
    return merged;
  }
  const kernels::LinearPlan& linear = plan.linear(index);
  if (KeepsWeight(site, linear)) {
    merged.weight = site.weight;
  } else {
    PEFT_ASSIGN_OR_RETURN(merged.weight,
                          MergeWeight(site, linear, dtype, memory, pool));
  }
  PEFT_ASSIGN_OR_RETURN(merged.bias,
                        MergeVector(site.bias, linear.bias, dtype));
  return merged;
}

// A low-rank term of a grouped convolution reads all groups, its weight one:
// there is no place for the product.
bool HasNoPlace(const Site& site, const SiteProgram& program) {
  if (site.kind != SiteKind::kConvolution || site.conv.groups == 1) {
    return false;
  }
  return std::any_of(program.begin(), program.end(), [](const Form& form) {
    return std::holds_alternative<LowRank>(form);
  });
}

absl::Status NotMergeable(const Activation::Entry& entry, const Site& site,
                          absl::string_view why, absl::string_view found) {
  return MakeError(absl::StatusCode::kInvalidArgument,
                   error_id::kAdapterNotMergeable,
                   absl::StrCat("adapter ", Quoted(entry.name),
                                " cannot be merged: at module ",
                                Quoted(site.name), " ", why),
                   {entry.name, "a change of weights", std::string(found)});
}

bool HasGate(const SiteProgram& program) {
  return std::any_of(program.begin(), program.end(), [](const Form& form) {
    const auto* const low_rank = std::get_if<LowRank>(&form);
    return low_rank != nullptr && low_rank->gate != nullptr;
  });
}

}  // namespace

std::vector<int> ChangedSites(const Activation& activation) {
  std::vector<int> changed;
  for (const Activation::Entry& entry : activation.entries) {
    for (const Adapter::SiteEntry& site : entry.adapter->entries()) {
      changed.push_back(site.site);
    }
  }
  std::sort(changed.begin(), changed.end());
  changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
  return changed;
}

absl::Status CheckMergeable(const SiteTable& sites,
                            const Activation& activation) {
  for (const Activation::Entry& entry : activation.entries) {
    for (const Adapter::SiteEntry& part : entry.adapter->entries()) {
      const Site& site = sites.sites()[part.site];
      if (HasGate(part.program)) {
        return NotMergeable(entry, site,
                            "it acts behind its invocation tokens only, which "
                            "no weight can do",
                            "alora_invocation_tokens");
      }
      if (HasNoPlace(site, part.program)) {
        return NotMergeable(entry, site,
                            "its product reads all groups of a convolution "
                            "whose weight reads one",
                            absl::StrCat(site.conv.groups, " groups"));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<BaseOverlay::Weights> MergeSite(
    const SiteTable& sites, const Plan& plan, int site,
    const MergeAdapterOptions& options, MergeMemory& memory,
    kernels::ThreadPool& pool) {
  const Site& found = sites.sites()[site];
  if (!found.has_weight()) return NoWeight(found);
  PEFT_ASSIGN_OR_RETURN(BaseOverlay::Weights merged,
                        Merge(found, plan, site, memory, pool));
  if (options.check_finite &&
      (HasNonFinite(merged.weight) || HasNonFinite(merged.bias))) {
    return NotFinite(found, plan);
  }
  return merged;
}

absl::StatusOr<Tensor> MergeWeightF32(const SiteTable& sites, const Plan& plan,
                                      int site, kernels::ThreadPool& pool) {
  const Site& found = sites.sites()[site];
  if (!found.has_weight()) return NoWeight(found);
  MergeMemory memory(/*expected_bytes=*/0);
  PEFT_ASSIGN_OR_RETURN(
      const Tensor merged,
      MergeWeight(found, plan.linear(site), DType::kF32, memory, pool));
  return merged.Contiguous();
}

absl::StatusOr<std::shared_ptr<const BaseOverlay>> MergePlan(
    const SiteTable& sites, const Plan& plan,
    const MergeAdapterOptions& options, kernels::ThreadPool& pool) {
  PEFT_RETURN_IF_ERROR(CheckMergeable(sites, plan.activation()));
  const std::vector<int> changed = ChangedSites(plan.activation());
  int64_t size = 0;
  for (const int index : changed) {
    const Site& site = sites.sites()[index];
    size += site.weight.num_elements() * DTypeSize(MergedDType(site));
  }
  MergeMemory memory(size);
  auto overlay = std::make_shared<BaseOverlay>();
  for (const int site : changed) {
    PEFT_ASSIGN_OR_RETURN(overlay->sites[site],
                          MergeSite(sites, plan, site, options, memory, pool));
  }
  return std::shared_ptr<const BaseOverlay>(std::move(overlay));
}

}  // namespace peft
