#include "peft_cc/methods/lora_variants.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/algebra/linear_algebra.h"
#include "peft_cc/algebra/lora_factors.h"
#include "peft_cc/algebra/matrix.h"
#include "peft_cc/algebra/weight_init.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/methods/weight_norms.h"

namespace peft {
namespace {

absl::Status NoSuchVariant(const char* key, const Layer& layer) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
      absl::StrCat(key, " is set, but layer ", Quoted(layer.name),
                   " is of a kind that PEFT has no such variant for; correct "
                   "target_modules"),
      {key, "", layer.name});
}

absl::Status CannotLower(const Layer& layer, absl::string_view what) {
  return MakeError(absl::StatusCode::kUnimplemented,
                   error_id::kAdapterFeatureUnsupported,
                   absl::StrCat("layer ", Quoted(layer.name), ": ", what),
                   {layer.name, "", ""});
}

bool IsLinear(const Layer& layer) {
  return layer.kind == SiteKind::kLinear || layer.kind == SiteKind::kConv1D;
}

bool CanHaveMagnitude(const Layer& layer) {
  return IsLinear(layer) || layer.kind == SiteKind::kEmbedding ||
         (layer.kind == SiteKind::kConvolution && layer.conv.groups == 1);
}

std::vector<float> RootsOf(const std::vector<double>& squares) {
  std::vector<float> roots;
  for (const double square : squares) {
    roots.push_back(static_cast<float>(std::sqrt(square)));
  }
  return roots;
}

// The weight as (out, in).
absl::StatusOr<Matrix> WeightMatrix(const Layer& layer) {
  PEFT_ASSIGN_OR_RETURN(Matrix weight, MatrixFromTensor(layer.weight));
  return layer.kind == SiteKind::kConv1D ? Transposed(weight) : weight;
}

// The layer with what `init` says as a part of its weight. Not where it says
// nothing, as for an embedding, a convolution or many experts.
absl::StatusOr<Layer> LayerAfterInit(const Layer& layer,
                                     const SiteProgram& init) {
  if (init.empty()) return layer;
  PEFT_ASSIGN_OR_RETURN(Matrix weight, WeightMatrix(layer));
  for (const Form& form : init) {
    const auto& taken = std::get<LowRank>(form);
    PEFT_ASSIGN_OR_RETURN(const Matrix a, MatrixFromTensor(taken.a));
    PEFT_ASSIGN_OR_RETURN(const Matrix b, MatrixFromTensor(taken.b));
    const Matrix product = Product(b, a);
    for (size_t i = 0; i < weight.values.size(); ++i) {
      weight.values[i] += taken.scale * product.values[i];
    }
  }
  Layer after = layer;
  PEFT_ASSIGN_OR_RETURN(
      after.weight,
      TensorFromMatrix(
          layer.kind == SiteKind::kConv1D ? Transposed(weight) : weight,
          DType::kF32));
  return after;
}

absl::StatusOr<LoraFactors> InitialFactors(BaseChangingInit init,
                                           const Layer& layer, int64_t r,
                                           float scale) {
  PEFT_ASSIGN_OR_RETURN(const Matrix weight, WeightMatrix(layer));
  r = RankOfInit(init, layer, r);
  return init == BaseChangingInit::kPissa ? PissaFactors(weight, r, scale)
                                          : OloraFactors(weight, r);
}

}  // namespace

absl::Status CheckLoraVariants(const LoraConfig& config, const Layer& layer) {
  if (!config.alora_invocation_tokens.empty() && !IsLinear(layer)) {
    return NoSuchVariant("alora_invocation_tokens", layer);
  }
  if (!config.alora_invocation_tokens.empty() && config.lora_bias) {
    return CannotLower(layer,
                       "lora_bias beside alora_invocation_tokens, a bias that "
                       "starts at these tokens, is not implemented");
  }
  if (config.use_dora && !CanHaveMagnitude(layer)) {
    return NoSuchVariant("use_dora", layer);
  }
  if (config.init != BaseChangingInit::kNone && !IsLinear(layer) &&
      layer.kind != SiteKind::kEmbedding) {
    return NoSuchVariant("init_lora_weights", layer);
  }
  return absl::OkStatus();
}

std::vector<int64_t> ShapeOfMagnitude(const Layer& layer) {
  if (layer.kind != SiteKind::kConvolution) return {layer.out_features};
  std::vector<int64_t> shape = {1, layer.out_features};
  shape.resize(2 + layer.conv.num_axes, 1);
  return shape;
}

absl::StatusOr<MagnitudeScale> LowerMagnitude(const Layer& layer,
                                              const SiteProgram& init,
                                              const LowRank* factors,
                                              const Tensor* magnitude,
                                              kernels::ThreadPool& pool) {
  if (layer.weight.dtype() == DType::kUnspecified) {
    return CannotLower(layer,
                       "DoRA needs the base's weight, which the program did "
                       "not register");
  }
  PEFT_ASSIGN_OR_RETURN(const Layer below, LayerAfterInit(layer, init));
  WeightNorms norms;
  if (factors != nullptr) {
    norms = ComputeWeightNorms(below, factors->a, factors->b, pool);
  } else {
    norms.weight = SquaredWeightNorms(below, pool);
    norms.cross.resize(norms.weight.size());
    norms.delta.resize(norms.weight.size());
  }
  MagnitudeScale form;
  form.magnitude = magnitude != nullptr
                       ? Floats::Of(*magnitude)
                       : Floats(RootsOf(SquaredWeightNorms(layer, pool)));
  form.norm0 = std::move(norms.weight);
  form.norm1 = std::move(norms.cross);
  form.norm2 = std::move(norms.delta);
  if (factors != nullptr) form.scale = factors->scale;
  return form;
}

InvocationTokens GateOf(const LoraConfig& config) {
  if (config.alora_invocation_tokens.empty()) return nullptr;
  return std::make_shared<const std::vector<int64_t>>(
      config.alora_invocation_tokens);
}

int64_t RankOfInit(BaseChangingInit init, const Layer& layer, int64_t r) {
  // PEFT leaves embeddings alone.
  if (init == BaseChangingInit::kNone || !IsLinear(layer)) return r;
  return std::min({r, layer.in_features, layer.out_features});
}

absl::StatusOr<SiteProgram> LowerInit(BaseChangingInit init, const Layer& layer,
                                      int64_t r, float scale,
                                      const LowRank* factors) {
  // PEFT leaves embeddings alone.
  if (init == BaseChangingInit::kNone || layer.is_after_init ||
      layer.kind == SiteKind::kEmbedding) {
    return SiteProgram();
  }
  if (init == BaseChangingInit::kOwnFactors) {
    if (factors == nullptr) return SiteProgram();
    return SiteProgram{LowRank{factors->a, factors->b, -scale}};
  }
  if (layer.weight.dtype() == DType::kUnspecified) {
    return CannotLower(layer,
                       "init_lora_weights changed the base's weight, which the "
                       "program did not register");
  }
  if (init == BaseChangingInit::kOlora && layer.kind == SiteKind::kConv1D) {
    return CannotLower(layer, "PEFT's olora does not work on a Conv1D");
  }
  PEFT_ASSIGN_OR_RETURN(const LoraFactors initial,
                        InitialFactors(init, layer, r, scale));
  return SiteProgram{LowRank{initial.a, initial.b, -scale}};
}

}  // namespace peft
