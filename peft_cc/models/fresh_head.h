// Heads that a base model's files lack, as transformers makes them for a model
// that is yet to be trained for a task.
#ifndef PEFT_CC_MODELS_FRESH_HEAD_H_
#define PEFT_CC_MODELS_FRESH_HEAD_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/algebra/torch_generator.h"
#include "peft_cc/base/dtype.h"
#include "peft_cc/models/description.h"
#include "peft_cc/models/model_config.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// True for a weight that belongs to the model's head: one outside the bare
// model, or of BERT's pooler, which not every checkpoint has.
bool IsOfHead(const Description& description, const WeightInfo& weight);

// Makes the weights of one head, in module order: those of layers normal with
// the config's initializer_range, the numbers that torch.manual_seed(0) gives
// transformers; norms 1, biases 0. Thread-compatible.
class FreshHead {
 public:
  // Weights are `dtype`, one of the compute types, as those of the model are.
  // None has more than `max_elements`, or than 2^26 where that is more: a
  // config alone must not take all memory.
  FreshHead(const ModelConfig& config, DType dtype, int64_t max_elements);

  // `kind` is that of the weight's site. INVALID_ARGUMENT (MODEL_CONFIG) for
  // one that is too large, RESOURCE_EXHAUSTED (OUT_OF_MEMORY).
  absl::StatusOr<Tensor> Make(const WeightInfo& weight, SiteKind kind);

 private:
  const double range_;
  const DType dtype_;
  const int64_t max_elements_;
  TorchGenerator generator_;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_FRESH_HEAD_H_
