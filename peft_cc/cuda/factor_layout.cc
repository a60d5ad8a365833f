#include "peft_cc/cuda/factor_layout.h"

#include <algorithm>

#include "peft_cc/base/round_up.h"
#include "peft_cc/cuda/site_effect.h"

namespace peft {
namespace {

constexpr size_t kAlignment = 256;

float* FloatsAt(char* block, size_t offset) {
  return reinterpret_cast<float*>(block + offset);
}

void FillVector(const kernels::VectorView& vector, int64_t size, float none,
                float* to) {
  if (vector.data == nullptr) {
    std::fill_n(to, size, none);
  } else {
    ConvertToF32(vector.dtype, vector.data, size, to);
  }
}

}  // namespace

FactorLayout::FactorLayout(const SiteTable& sites, DType dtype)
    : dtype_(dtype) {
  const auto take = [this](int64_t elements, DType type) {
    const size_t offset = bytes_;
    bytes_ += RoundUp<size_t>(elements * DTypeSize(type), kAlignment);
    return offset;
  };
  for (const Site& site : sites.sites()) {
    FactorOffsets& at = offsets_.emplace_back();
    if (!IsLinear(site.kind)) continue;
    at.in_scale = take(site.in_features, DType::kF32);
    at.out_scale = take(site.out_features, DType::kF32);
    at.bias = take(site.out_features, DType::kF32);
    at.bias_change = take(site.out_features, DType::kF32);
    at.bias_in_dtype = take(site.out_features, dtype);
  }
}

void FactorLayout::Fill(const Site& site, int index,
                        const kernels::LinearPlan& plan, char* block) const {
  if (!IsLinear(site.kind)) return;
  const FactorOffsets& at = offsets_[index];
  const int64_t out = site.out_features;
  FillVector(plan.in_scale, site.in_features, 1.0f,
             FloatsAt(block, at.in_scale));
  FillVector(plan.stages.empty() ? kernels::VectorView()
                                 : plan.stages.back().out_scale,
             out, 1.0f, FloatsAt(block, at.out_scale));
  float* const bias = FloatsAt(block, at.bias);
  FillVector(plan.bias, out, 0.0f, bias);
  ConvertFromF32(bias, out, dtype_, block + at.bias_in_dtype);
  float* const change = FloatsAt(block, at.bias_change);
  FillVector(VectorOf(site.bias), out, 0.0f, change);
  for (int64_t i = 0; i < out; ++i) change[i] = bias[i] - change[i];
}

}  // namespace peft
