// Adapted layers on a CUDA device, for programs that run their model's forward
// there.
#ifndef PEFT_CC_CUDA_CUDA_LAYER_RUNNER_H_
#define PEFT_CC_CUDA_CUDA_LAYER_RUNNER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/lt/device_matrix.h"
#include "kernels/cuda/lt/workspace.h"
#include "kernels/cuda/sites/linear_launcher.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/cuda/cuda_backend.h"
#include "peft_cc/cuda/cuda_options.h"
#include "peft_cc/cuda/plan_slots.h"
#include "peft_cc/models/array_view.h"

namespace peft {

// What a call computes.
enum class CudaLayerMode {
  kWhole,  // y = the adapted layer
  kDelta,  // y += what adapters add
};

// Puts work on streams of the caller and waits for none of it; what is done on
// one stream is done after what was put on the stream before. Calls of a shape
// that it has seen allocate nothing and take no lock. Thread-compatible.
class CudaLayerRunner {
 public:
  // The sites must outlive it. Fails as CudaBackend::Open, with
  // RESOURCE_EXHAUSTED (OUT_OF_MEMORY) and INVALID_ARGUMENT (ARGUMENT).
  static absl::StatusOr<std::unique_ptr<CudaLayerRunner>> Create(
      const SiteTable& sites, const CudaOptions& options);
  // Waits for what calls have put on streams. Graphs that were captured must
  // not run any more.
  ~CudaLayerRunner();
  CudaLayerRunner(const CudaLayerRunner&) = delete;
  CudaLayerRunner& operator=(const CudaLayerRunner&) = delete;

  int device_index() const { return options_.device_index; }

  // Where site `site` has its weight, stored as the site says. Its memory is
  // read by later calls. INVALID_ARGUMENT (TENSOR_SHAPE_MISMATCH, TENSOR_DTYPE,
  // ARGUMENT).
  absl::Status SetWeight(int site, const ArrayView& weight);

  // Puts a call at a site on the stream. `plans` is one for all indexes along
  // the first axis of x or one for each. With `is_models` it is one, what is
  // active on the model; a captured call then follows Update. x and y are (...,
  // in) and (..., out) of the options' dtype, with rows at any distance, and do
  // not overlap.
  // Fails with INVALID_ARGUMENT as SetWeight; FAILED_PRECONDITION
  // (LAYER_WEIGHT, LAYER_NO_DELTA, CUDA_GRAPH); UNIMPLEMENTED (UNIMPLEMENTED);
  // RESOURCE_EXHAUSTED (OUT_OF_MEMORY, CUDA_ACTIVATIONS); and as the driver and
  // cuBLASLt do.
  absl::Status Run(CudaLayerMode mode, int site,
                   absl::Span<const Plan* const> plans, bool is_models,
                   const ArrayView& x, const ArrayView& y,
                   kernels::cuda::StreamHandle stream);

  // Makes the model's plan act in what is put on the stream from now on,
  // captured calls included. Fails as PlanSlots::Write.
  absl::Status Update(const Plan& plan, kernels::cuda::StreamHandle stream);

 private:
  // Consecutive rows that run one slot.
  using Group = std::pair<int, int64_t>;
  using Groups = std::vector<Group>;

  // A table of tiles in device memory, and what it was copied from.
  struct Tiles {
    kernels::cuda::PinnedBuffer host;
    kernels::cuda::DeviceBuffer table;
    int32_t count = 0;
  };

  CudaLayerRunner(const SiteTable& sites, const CudaOptions& options)
      : sites_(sites), options_(options) {}
  absl::Status Start();

  absl::Status CheckArrays(CudaLayerMode mode, int index, const ArrayView& x,
                           const ArrayView& y);
  absl::Status CheckRows(const Site& site, const ArrayView& x,
                         const ArrayView& y);
  absl::Status CheckPlans(CudaLayerMode mode, int site,
                          absl::Span<const Plan* const> plans) const;
  absl::Status UseStream(kernels::cuda::StreamHandle stream);
  absl::Status SetGroups(absl::Span<const Plan* const> plans, bool is_models,
                         const ArrayView& x,
                         kernels::cuda::StreamHandle stream);
  absl::StatusOr<int> SlotFor(const Plan& plan, bool is_models,
                              kernels::cuda::StreamHandle stream);
  absl::StatusOr<const Tiles*> TilesFor(const Groups& groups,
                                        kernels::cuda::StreamHandle stream);
  absl::Status MakeTiles(const Groups& groups, Tiles& tiles,
                         kernels::cuda::StreamHandle stream) const;
  absl::Status ReserveScratch(const kernels::cuda::SiteCall& call);
  absl::Status Launch(const kernels::cuda::SiteCall& call,
                      kernels::cuda::StreamHandle stream);
  absl::StatusOr<kernels::cuda::SiteCall> MakeCall(
      CudaLayerMode mode, int site, const ArrayView& x, const ArrayView& y,
      kernels::cuda::StreamHandle stream);

  const SiteTable& sites_;
  const CudaOptions options_;
  // In the order in which each needs what is above it.
  std::unique_ptr<CudaBackend> backend_;
  std::unique_ptr<PlanSlots> slots_;
  std::unique_ptr<kernels::cuda::LinearLauncher> launcher_;
  std::unique_ptr<kernels::cuda::LtWorkspace> workspace_;
  kernels::cuda::DeviceBuffer counters_;
  kernels::cuda::DeviceBuffer scratch_;
  // Of captured calls, which may still use it.
  std::vector<kernels::cuda::DeviceBuffer> old_scratch_;
  std::map<Groups, Tiles> tiles_;
  std::vector<kernels::cuda::DeviceMatrix> weights_;  // by site

  // What a call on another stream than `last_stream_` waits for. The stream
  // itself may be gone by then.
  kernels::cuda::StreamHandle last_stream_ = nullptr;
  kernels::cuda::Event last_call_;

  // Of the call that runs, kept so that it allocates nothing.
  bool is_captured_ = false;
  ArrayRows x_rows_;
  ArrayRows y_rows_;
  Groups groups_;
  std::vector<int> taken_;
  std::vector<kernels::cuda::SiteGroup> site_groups_;
};

}  // namespace peft

#endif  // PEFT_CC_CUDA_CUDA_LAYER_RUNNER_H_
