// One adapted layer by itself, for programs that run their model's forward.
#ifndef PEFT_CC_MODELS_RUN_LAYER_H_
#define PEFT_CC_MODELS_RUN_LAYER_H_

#include <cstdint>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/linear_plan.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/models/array_view.h"
#include "peft_cc/models/float_buffer.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// What the rows of a call run, rows being the indexes along the first axis of
// x: one plan for all, or one for each.
using RowPlans = absl::Span<const Plan* const>;

// Runs layers in memory that it keeps: calls of a shape that it has seen
// allocate nothing. Thread-compatible.
class LayerRunner {
 public:
  // Both must outlive it.
  LayerRunner(const SiteTable& sites, kernels::ThreadPool& pool)
      : sites_(sites), pool_(pool) {}

  // The shape of what site `site` gives for `x`. x is (..., in) for a linear
  // layer, a norm, a parameter or the in_proj of a MultiheadAttention,
  // (channels, ...) or (batch, channels, ...) for a convolution, ids of any
  // shape for an embedding. INVALID_ARGUMENT (TENSOR_SHAPE_MISMATCH,
  // TENSOR_DTYPE).
  absl::StatusOr<absl::Span<const int64_t>> OutputShape(int site,
                                                        const ArrayView& x);

  // Writes to `y` what the site's torch module would compute. x is F32, BF16 or
  // F16, ids are I64 or I32; y is F32, BF16 or F16. They must not overlap.
  // Fails as OutputShape, with INVALID_ARGUMENT (ARGUMENT, TOKEN_OUT_OF_RANGE),
  // RESOURCE_EXHAUSTED (OUT_OF_MEMORY), FAILED_PRECONDITION (LAYER_WEIGHT),
  // CANCELLED (THREAD_POOL), or UNIMPLEMENTED (UNIMPLEMENTED) for a norm of an
  // opened model, and for adapters that wait for tokens.
  absl::Status Run(int site, RowPlans plans, const ArrayView& x,
                   const ArrayView& y);

  // Adds to `y` what the plans add to it, without the layer's own product and
  // bias. Reads no weight. Fails as Run, and with FAILED_PRECONDITION
  // (LAYER_NO_DELTA) where they do more than add.
  absl::Status AddDelta(int site, RowPlans plans, const ArrayView& x,
                        const ArrayView& y);

 private:
  enum class Mode { kWhole, kDelta };

  // Consecutive rows of one plan.
  struct Group {
    const Plan* plan;
    int64_t rows;
  };

  absl::Status RunAs(Mode mode, int site, RowPlans plans, const ArrayView& x,
                     const ArrayView& y);
  absl::Status SetShape(const ArrayView& x);
  absl::Status SetConvolutionShape(const ArrayView& x);
  absl::Status CheckOutput(const ArrayView& y);
  absl::Status CheckPlans(RowPlans plans) const;
  absl::Status CheckWhole(const Plan& plan) const;
  // The bias that a plan gives the layer differs from the layer's own.
  bool ChangesBias(const Plan& plan) const;
  absl::Status MakeGroups(RowPlans plans, const ArrayView& x);
  absl::Status TakeInput(const ArrayView& x);
  absl::Status TakeIds(const ArrayView& x);
  absl::Status TakeOutput(const ArrayView& y);

  absl::Status RunKind();
  absl::Status RunLinear();
  absl::Status RunEmbedding();
  absl::Status RunConvolution();
  void RunNorm();
  // Adds the change of the bias to y, whose outputs lie `inner` apart.
  absl::Status AddBiasChange(int64_t inner);

  const SiteTable& sites_;
  kernels::ThreadPool& pool_;

  // Of the call that runs.
  Mode mode_ = Mode::kWhole;
  int index_ = 0;
  const Site* site_ = nullptr;
  absl::InlinedVector<int64_t, 8> y_sizes_;
  ArrayRows x_rows_;
  ArrayRows y_rows_;
  const float* x_ = nullptr;
  float* y_ = nullptr;
  int64_t x_stride_ = 0;
  int64_t y_stride_ = 0;
  kernels::ConvAxes conv_input_ = {1, 1, 1};
  kernels::ConvAxes conv_output_ = {1, 1, 1};

  // Kept from call to call.
  std::vector<Group> groups_;
  std::vector<kernels::LinearGroup> linear_groups_;
  std::vector<int64_t> ids_;
  FloatBuffer x_buffer_;
  FloatBuffer y_buffer_;
  FloatBuffer workspace_;
  FloatBuffer bias_;
};

// LayerRunner::Run for a tensor of its own, F32.
absl::StatusOr<Tensor> RunLayer(const SiteTable& sites, int index,
                                RowPlans plans, const Tensor& x,
                                kernels::ThreadPool& pool);

}  // namespace peft

#endif  // PEFT_CC_MODELS_RUN_LAYER_H_
