#include "kernels/cuda/lt/adapted_linear.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

int64_t RanksOf(absl::Span<const RankGroup> groups) {
  int64_t ranks = 0;
  for (const RankGroup& group : groups) ranks += group.rank;
  return ranks;
}

absl::Span<const RankGroup> GroupsOf(const AdaptedLinearSpec& spec,
                                     const AdaptedOutput& output) {
  return absl::MakeConstSpan(spec.groups)
      .subspan(output.first_group, output.num_groups);
}

absl::Status CheckOutput(const AdaptedLinearSpec& spec,
                         const AdaptedOutput& output) {
  const int64_t in = spec.x.cols;
  const int64_t out = output.y.cols;
  PEFT_RETURN_IF_ERROR(CheckShape("y", output.y, spec.x.rows, out));
  const auto num_groups = static_cast<int>(spec.groups.size());
  if (output.first_group < 0 || output.num_groups < 0 ||
      output.first_group > num_groups - output.num_groups) {
    return ArgumentError(absl::StrCat(
        "a layer has groups ", output.first_group, " to ",
        output.first_group + output.num_groups, " of ", num_groups));
  }
  if (output.weight.data != 0) {
    PEFT_RETURN_IF_ERROR(CheckShape("weight", output.weight,
                                    output.transposed ? in : out,
                                    output.transposed ? out : in));
  } else if (output.bias != 0 || output.out_scale != 0 ||
             output.num_groups == 0) {
    // Whoever computed the base's part has added its bias as well.
    return ArgumentError(
        "a layer without a weight has a bias or factors, or no adapters "
        "either");
  }
  if (output.num_groups == 0) return absl::OkStatus();
  return CheckShape("b", output.b, out, RanksOf(GroupsOf(spec, output)));
}

absl::Status CheckSpec(const AdaptedLinearSpec& spec) {
  PEFT_RETURN_IF_ERROR(CheckShape("x", spec.x, spec.x.rows, spec.x.cols));
  for (const RankGroup& group : spec.groups) {
    if (group.rank <= 0) {
      return ArgumentError(absl::StrCat("a group has rank ", group.rank));
    }
  }
  for (const AdaptedOutput& output : spec.outputs) {
    PEFT_RETURN_IF_ERROR(CheckOutput(spec, output));
  }
  if (spec.groups.empty()) return absl::OkStatus();
  const int64_t ranks = RanksOf(spec.groups);
  PEFT_RETURN_IF_ERROR(CheckShape("a", spec.a, ranks, spec.x.cols));
  PEFT_RETURN_IF_ERROR(CheckShape("t", spec.t, spec.x.rows, ranks));
  if (spec.rank_scales == 0) {
    return ArgumentError("an adapted linear with groups has no scales");
  }
  return absl::OkStatus();
}

bool AllUniform(const AdaptedLinearSpec& spec) {
  return std::all_of(spec.groups.begin(), spec.groups.end(),
                     [](const RankGroup& group) { return group.uniform; });
}

// A scale for each column of t serves several groups of a layer by one launch;
// for one group, its scale can wait until t is multiplied by B.
bool WantsScaledT(const AdaptedLinearSpec& spec) {
  return !AllUniform(spec) ||
         std::any_of(
             spec.outputs.begin(), spec.outputs.end(),
             [](const AdaptedOutput& output) { return output.num_groups > 1; });
}

Product BaseOf(const AdaptedLinearSpec& spec, const AdaptedOutput& output) {
  Product product = ProductOf(spec.x, output.weight, output.y);
  product.right_transposed = !output.transposed;
  product.bias = output.bias;
  if (output.out_scale != 0) {
    product.scale = GemmScale::kDevicePerColumn;
    product.scale_data = output.out_scale;
  }
  if (output.num_groups == 0) product.activation = output.activation;
  return product;
}

Product ShrinkOf(const AdaptedLinearSpec& spec) {
  Product product = ProductOf(spec.x, spec.a, spec.t);
  product.right_transposed = true;
  return product;
}

constexpr char kOwnKernels[] = "a scale per column, which own kernels compute";

// Adds t = x A^T, scaled if that serves and the library can.
absl::Status AddShrink(const AdaptedLinearSpec& spec, PlanCache* cache,
                       Launches* launches, bool* scaled) {
  const Product product = ShrinkOf(spec);
  *scaled = false;
  if (WantsScaledT(spec)) {
    Product with_scales = product;
    with_scales.scale = GemmScale::kDevicePerColumn;
    with_scales.scale_data = spec.rank_scales;
    const absl::Status status = launches->Add(cache, with_scales);
    *scaled = status.ok();
    if (!absl::IsUnimplemented(status)) return status;
    if (!AllUniform(spec)) return WithContext(status, kOwnKernels);
  }
  return launches->Add(cache, product);
}

absl::Status AddBase(const AdaptedLinearSpec& spec, const AdaptedOutput& output,
                     PlanCache* cache, Launches* launches) {
  const absl::Status status = launches->Add(cache, BaseOf(spec, output));
  const bool wants_scale =
      output.out_scale != 0 && absl::IsUnimplemented(status);
  return wants_scale ? WithContext(status, kOwnKernels) : status;
}

// Adds t B^T of all groups of a layer to y: at once where t is scaled, else one
// after the other, each with its scale.
absl::Status AddExpand(const AdaptedLinearSpec& spec,
                       const AdaptedOutput& output, bool scaled,
                       PlanCache* cache, Launches* launches) {
  const absl::Span<const RankGroup> groups = GroupsOf(spec, output);
  int64_t first_of_t =
      RanksOf(absl::MakeConstSpan(spec.groups).first(output.first_group));
  int64_t first_of_b = 0;
  const int steps = scaled ? 1 : output.num_groups;
  for (int i = 0; i < steps; ++i) {
    const int64_t ranks = scaled ? RanksOf(groups) : groups[i].rank;
    Product product =
        ProductOf(ColumnsOf(spec.t, first_of_t, ranks),
                  ColumnsOf(output.b, first_of_b, ranks), output.y);
    product.right_transposed = true;
    product.accumulate = true;
    if (!scaled) {
      product.scale = GemmScale::kDevice;
      product.scale_data = spec.rank_scales + first_of_t * sizeof(float);
    }
    if (i == steps - 1) product.activation = output.activation;
    PEFT_RETURN_IF_ERROR(launches->Add(cache, product));
    first_of_t += ranks;
    first_of_b += ranks;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AdaptedLinear> AdaptedLinear::Plan(
    PlanCache* cache, const AdaptedLinearSpec& spec) {
  AdaptedLinear result;
  if (spec.x.rows == 0) return result;
  PEFT_RETURN_IF_ERROR(CheckSpec(spec));
  if (!spec.groups.empty()) {
    PEFT_RETURN_IF_ERROR(
        AddShrink(spec, cache, &result.launches_, &result.scales_t_));
  }
  for (const AdaptedOutput& output : spec.outputs) {
    if (output.weight.data != 0) {
      PEFT_RETURN_IF_ERROR(AddBase(spec, output, cache, &result.launches_));
    }
    if (output.num_groups != 0) {
      PEFT_RETURN_IF_ERROR(
          AddExpand(spec, output, result.scales_t_, cache, &result.launches_));
    }
  }
  return result;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
