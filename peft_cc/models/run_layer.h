// One adapted layer by itself, for programs that run their model's forward.
#ifndef PEFT_CC_MODELS_RUN_LAYER_H_
#define PEFT_CC_MODELS_RUN_LAYER_H_

#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// What site `index` of `sites` computes from `x` under `plan`, as its torch
// module would: F32. x is F32, BF16 or F16: (..., in) for a linear layer, a
// norm, a parameter or the in_proj of a MultiheadAttention, (channels, ...) or
// (batch, channels, ...) for a convolution; I64 or I32 ids of any shape for an
// embedding. Fails with INVALID_ARGUMENT (TENSOR_SHAPE_MISMATCH, TENSOR_DTYPE,
// TOKEN_OUT_OF_RANGE), RESOURCE_EXHAUSTED (OUT_OF_MEMORY), or UNIMPLEMENTED
// (UNIMPLEMENTED) for a norm of an opened model, and for adapters that wait for
// tokens.
absl::StatusOr<Tensor> RunLayer(const SiteTable& sites, int index,
                                const Plan& plan, const Tensor& x,
                                kernels::ThreadPool& pool);

}  // namespace peft

#endif  // PEFT_CC_MODELS_RUN_LAYER_H_
