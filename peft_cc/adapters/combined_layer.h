// One layer of an adapter that several LoRA become.
#ifndef PEFT_CC_ADAPTERS_COMBINED_LAYER_H_
#define PEFT_CC_ADAPTERS_COMBINED_LAYER_H_

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/combine.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/adapters/target_site.h"
#include "peft_cc/algebra/torch_generator.h"
#include "peft_cc/algebra/weighted_lora.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// True for a source whose change of some weight is no product of its factors:
// DoRA, and an init that takes a part of the base away.
bool IsFolded(const CombineSource& source);

// How each layer is combined.
struct LayerCombineOptions {
  CombinationOptions combination;  // but for is_transposed
  // The sources take part with what they change in the weight, not with their
  // factors.
  bool is_folding = false;
  uint64_t seed = 0;  // of torch's generator, for the dare types
};

// Combines layer after layer, in PEFT's order: the generator goes on from one
// to the next.
class LayerCombiner {
 public:
  // `sites`, `sources` and `pool` must outlive this.
  LayerCombiner(const SiteTable& sites, absl::Span<const CombineSource> sources,
                const LayerCombineOptions& options, kernels::ThreadPool& pool);

  // Adds the factors of one target of the result, which some source has.
  // INVALID_ARGUMENT (ADAPTER_NOT_COMBINABLE) where theirs cannot be combined.
  absl::Status Combine(const TargetSite& target, TensorMap& out_tensors);

 private:
  // A source's factors of one layer, in the shapes of its file.
  struct Factors {
    Tensor a;
    Tensor b;
  };

  absl::StatusOr<LoraFactors> CombineFactors(const TargetSite& target);
  absl::StatusOr<LoraFactors> CombineFolded(const TargetSite& target);
  absl::Status CheckFactors(const CombineSource& source, const Site& site,
                            const CombinationSource& first,
                            const CombinationSource& part) const;
  absl::StatusOr<Tensor> DeltaOf(const CombineSource& source, int site);
  CombinationOptions OptionsAt(const Site& site) const;

  const SiteTable& sites_;
  const absl::Span<const CombineSource> sources_;
  const LayerCombineOptions options_;
  kernels::ThreadPool& pool_;
  TorchGenerator generator_;
  std::vector<std::map<int, Factors>> factors_;  // by source and site
};

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_COMBINED_LAYER_H_
