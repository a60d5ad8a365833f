#include "peft_cc/adapters/lowered_layer.h"

#include <utility>

#include "kernels/linear_plan.h"
#include "kernels/view.h"
#include "peft_cc/methods/forms.h"

namespace peft {
namespace {

using Array = LoweredForm::Array;

Array VectorArray(LoweredForm::Part part, const kernels::VectorView& view) {
  return {part, view.dtype, {view.size}, view.data};
}

Array MatrixArray(LoweredForm::Part part, const kernels::MatrixView& view) {
  return {part, view.dtype, {view.rows, view.cols}, view.data};
}

Array IdsArray(LoweredForm::Part part, const int64_t* ids, int64_t count) {
  return {part, DType::kI64, {count}, ids};
}

const void* OwnBias(const Site& site) {
  return site.has_bias() ? site.bias.data() : nullptr;
}

// One call of LowerLayer.
class Lowering {
 public:
  Lowering(const Site& site, const Plan& plan) : site_(site), plan_(plan) {}

  std::vector<LoweredForm> Linear(const kernels::LinearPlan& linear) {
    if (linear.in_scale.data != nullptr) {
      Add(LoweredForm::kScaleIn,
          VectorArray(LoweredForm::kPartFactor, linear.in_scale));
    }
    AddWeight(linear.weight.data, linear.weight.dtype);
    if (linear.patch.rows.rows > 0) AddRows(linear.patch);
    for (const kernels::LinearStage& stage : linear.stages) AddStage(stage);
    AddBias(linear.bias);
    return std::move(forms_);
  }

  std::vector<LoweredForm> Norm(const NormPlan& norm) {
    AddWeight(norm.weight.data, norm.weight.dtype);
    AddBias(norm.bias);
    return std::move(forms_);
  }

 private:
  LoweredForm& Add(LoweredForm::Kind kind, Array array) {
    LoweredForm form = {kind};
    form.arrays.push_back(std::move(array));
    forms_.push_back(std::move(form));
    return forms_.back();
  }

  // In the layout of the site's own.
  void AddWeight(const void* data, DType dtype) {
    if (data == site_.weight.data()) return;
    const absl::Span<const int64_t> shape = site_.weight_shape();
    Add(LoweredForm::kWeight,
        {LoweredForm::kPartWeight, dtype, {shape.begin(), shape.end()}, data});
  }

  void AddRows(const kernels::RowPatch& patch) {
    Add(LoweredForm::kRows,
        IdsArray(LoweredForm::kPartIds, patch.ids, patch.rows.rows))
        .arrays.push_back(MatrixArray(LoweredForm::kPartRows, patch.rows));
  }

  void AddStage(const kernels::LinearStage& stage) {
    for (const kernels::LowRankSegment& segment : stage.low_rank) {
      AddLowRank(segment);
    }
    if (stage.out_scale.data == nullptr) return;
    Add(LoweredForm::kScaleOut,
        VectorArray(LoweredForm::kPartFactor, stage.out_scale));
  }

  void AddLowRank(const kernels::LowRankSegment& segment) {
    LoweredForm& form =
        Add(LoweredForm::kLowRank, MatrixArray(LoweredForm::kPartA, segment.a));
    form.scale = segment.scale;
    form.arrays.push_back(MatrixArray(LoweredForm::kPartB, segment.b));
    if (segment.rank_scale.data != nullptr) {
      form.arrays.push_back(
          VectorArray(LoweredForm::kPartRankScale, segment.rank_scale));
    }
    if (segment.gate < 0) return;
    const std::vector<int64_t>& tokens = *plan_.gates()[segment.gate];
    form.arrays.push_back(IdsArray(LoweredForm::kPartGate, tokens.data(),
                                   static_cast<int64_t>(tokens.size())));
  }

  void AddBias(const kernels::VectorView& bias) {
    if (bias.data == OwnBias(site_)) return;
    LoweredForm form = {LoweredForm::kBias};
    if (bias.data != nullptr) {
      form.arrays.push_back(VectorArray(LoweredForm::kPartBias, bias));
    }
    forms_.push_back(std::move(form));
  }

  const Site& site_;
  const Plan& plan_;
  std::vector<LoweredForm> forms_;
};

}  // namespace

const LoweredForm::Array* LoweredForm::Find(int32_t part) const {
  for (const Array& array : arrays) {
    if (array.part == part) return &array;
  }
  return nullptr;
}

std::vector<LoweredForm> LowerLayer(const SiteTable& sites, int index,
                                    const Plan& plan) {
  const Site& site = sites.sites()[index];
  Lowering lowering(site, plan);
  return site.kind == SiteKind::kNorm ? lowering.Norm(plan.norm(index))
                                      : lowering.Linear(plan.linear(index));
}

}  // namespace peft
