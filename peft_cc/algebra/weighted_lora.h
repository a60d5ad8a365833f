// `add_weighted_adapter`, one layer at a time. Source: peft 0.21.2,
// tuners/lora/model.py and tuners/ia3/model.py.
//
// The layer of the new adapter has scale 1: PEFT writes lora_alpha = r. (It
// also copies use_rslora from the first source, which makes its scale sqrt(r)
// instead: a defect, not copied here; a caller writes use_rslora: false.)
#ifndef PEFT_CC_ALGEBRA_WEIGHTED_LORA_H_
#define PEFT_CC_ALGEBRA_WEIGHTED_LORA_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "peft_cc/algebra/combination_type.h"
#include "peft_cc/algebra/lora_factors.h"
#include "peft_cc/algebra/merge_operators.h"
#include "peft_cc/algebra/torch_generator.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

struct CombinationOptions {
  CombinationType type = CombinationType::kSvd;
  // As in MergeOptions.
  std::optional<double> density;
  MajoritySignMethod majority_sign_method = MajoritySignMethod::kTotal;
  // CombinedRank's. A layer with less (because it lacks a source, its sources
  // have less there, or its weight is smaller) is filled up with zeros, as PEFT
  // does for kCat: else it makes tensors that do not fit its own config.
  int64_t rank = 0;
  // For the types with a decomposition; see FitLowRank.
  std::optional<double> svd_clamp;
  // The base weight is stored as (in, out), as HF Conv1D's and an embedding's
  // is: which elements the types with a decomposition prune depends on it.
  bool is_transposed = false;
};

// One adapter's part of a layer, in any dtype that converts to f32; see
// LoraFactors for the shapes. `scale` is the layer's current one.
struct CombinationSource {
  Tensor a;
  Tensor b;
  double weight = 1;
  double scale = 1;
};

// The layer of the new adapter, from the sources that have the layer. For dare
// types, `generator` goes from layer to layer in the model's order; PEFT has by
// then drawn a fresh adapter for all layers from it. Fails with
// INVALID_ARGUMENT (ARGUMENT) where shapes differ, a number is not finite, the
// rank is too small, or the layer is a grouped convolution and the type is not
// one on factors; and as MergeElements and TopSvd.
absl::StatusOr<LoraFactors> CombineLora(
    const CombinationOptions& options,
    absl::Span<const CombinationSource> sources, TorchGenerator& generator);

// The types with a decomposition on changes of weights that are given in full,
// each (out, in), or (in, out) with is_transposed.
absl::StatusOr<LoraFactors> CombineDeltas(const CombinationOptions& options,
                                          absl::Span<const Tensor> deltas,
                                          absl::Span<const double> weights,
                                          TorchGenerator& generator);

// IA3: sum_i(weight_i l_i) in f32, in the shape of the sources.
// INVALID_ARGUMENT (ARGUMENT) where shapes or counts differ.
absl::StatusOr<Tensor> CombineIa3(absl::Span<const Tensor> sources,
                                  absl::Span<const double> weights);

}  // namespace peft

#endif  // PEFT_CC_ALGEBRA_WEIGHTED_LORA_H_
