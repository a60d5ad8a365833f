#include "peft_cc/cuda/cuda_layer_runner.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "kernels/cuda/lt/descriptors.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/models/layer_checks.h"

namespace peft {
namespace {

using kernels::cuda::DeviceMatrix;
using kernels::cuda::DevicePtr;
using kernels::cuda::DeviceScope;
using kernels::cuda::DriverTable;
using kernels::cuda::RowGroup;
using kernels::cuda::RowTile;
using kernels::cuda::SiteCall;
using kernels::cuda::StreamHandle;

// Rows of a call: those of a grid, 16 at a time.
constexpr int64_t kMaxRows = 65535 * int64_t{kernels::cuda::kTileRows};
// Tables of tiles that are kept.
constexpr size_t kMaxTiles = 1024;

DevicePtr AddressOf(const ArrayView& view) {
  return reinterpret_cast<uintptr_t>(view.data);
}

DeviceMatrix MatrixOf(const ArrayView& view, const ArrayRows& rows) {
  return {AddressOf(view), view.dtype, rows.rows, rows.cols, rows.stride};
}

absl::Status NeedsWarmUp(absl::string_view what) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kCudaGraph,
      absl::StrCat("a call that is captured may not ", what,
                   "; run the same calls once before, uncaptured"));
}

absl::Status CheckKind(const Site& site) {
  if (IsLinear(site.kind)) return absl::OkStatus();
  return UnimplementedLayer(site,
                            "layers of this kind do not run on CUDA devices");
}

absl::Status CheckElements(const Site& site, absl::string_view what,
                           DType expected, const ArrayView& view) {
  if (view.dtype != expected) {
    return WrongDType(site, what, DTypeName(expected), view.dtype);
  }
  if (AddressOf(view) % DTypeSize(expected) == 0) return absl::OkStatus();
  return ArgumentError(absl::StrCat(what, " of layer ", Quoted(site.name),
                                    " is at an address that is no multiple of ",
                                    DTypeSize(expected)),
                       {site.name, "", ""});
}

}  // namespace

absl::StatusOr<std::unique_ptr<CudaLayerRunner>> CudaLayerRunner::Create(
    const SiteTable& sites, const CudaOptions& options) {
  std::unique_ptr<CudaLayerRunner> runner(new CudaLayerRunner(sites, options));
  PEFT_ASSIGN_OR_RETURN(runner->backend_, CudaBackend::Open(options));
  PEFT_RETURN_IF_ERROR(runner->Start());
  return runner;
}

absl::Status CudaLayerRunner::Start() {
  using kernels::cuda::LinearLauncher;
  using kernels::cuda::LtWorkspace;
  const kernels::cuda::Device& device = backend_->device();
  PEFT_ASSIGN_OR_RETURN(slots_, PlanSlots::Create(device, sites_, options_));
  launcher_ =
      std::make_unique<LinearLauncher>(backend_->kernels(), backend_->plans());
  PEFT_ASSIGN_OR_RETURN(const kernels::cuda::Stream stream,
                        device.CreateStream());
  PEFT_ASSIGN_OR_RETURN(LtWorkspace workspace,
                        LtWorkspace::Create(device, stream.handle(),
                                            backend_->plans().settings()));
  workspace_ = std::make_unique<LtWorkspace>(std::move(workspace));
  PEFT_ASSIGN_OR_RETURN(counters_,
                        device.Allocate(2 * sizeof(uint32_t), "two counters"));
  PEFT_RETURN_IF_ERROR(
      device.Call("clearing two counters", &DriverTable::cuMemsetD8Async,
                  counters_.address(), 0, counters_.bytes(), stream.handle()));
  PEFT_ASSIGN_OR_RETURN(last_call_, device.CreateEvent());
  weights_.resize(sites_.sites().size());
  return stream.Synchronize();
}

CudaLayerRunner::~CudaLayerRunner() {
  if (last_call_.handle() != nullptr) (void)last_call_.Synchronize();
}

absl::Status CudaLayerRunner::SetWeight(int index, const ArrayView& weight) {
  const Site& site = sites_.sites()[index];
  PEFT_RETURN_IF_ERROR(CheckKind(site));
  PEFT_RETURN_IF_ERROR(CheckElements(site, "weight", options_.dtype, weight));
  int64_t sizes[] = {site.out_features, site.in_features};
  if (site.is_transposed()) std::swap(sizes[0], sizes[1]);
  if (weight.sizes != absl::MakeConstSpan(sizes)) {
    return WrongShape(site, "weight", ShapeToString(sizes), weight);
  }
  const std::optional<ArrayRows> rows = RowsOf(weight, 1);
  if (!rows.has_value()) return WrongStrides(site, "weight");
  weights_[index] = MatrixOf(weight, *rows);
  return absl::OkStatus();
}

absl::Status CudaLayerRunner::CheckArrays(CudaLayerMode mode, int index,
                                          const ArrayView& x,
                                          const ArrayView& y) {
  const Site& site = sites_.sites()[index];
  PEFT_RETURN_IF_ERROR(CheckKind(site));
  PEFT_RETURN_IF_ERROR(CheckElements(site, "input", options_.dtype, x));
  PEFT_RETURN_IF_ERROR(CheckElements(site, "output", options_.dtype, y));
  if (x.rank() == 0 || x.sizes.back() != site.in_features) {
    return WrongShape(site, "input",
                      absl::StrCat("[..., ", site.in_features, "]"), x);
  }
  const auto leading = x.sizes.first(x.rank() - 1);
  if (y.rank() != x.rank() || y.sizes.first(y.rank() - 1) != leading ||
      y.sizes.back() != site.out_features) {
    std::vector<int64_t> expected(x.sizes.begin(), x.sizes.end());
    expected.back() = site.out_features;
    return WrongShape(site, "output", ShapeToString(expected), y);
  }
  PEFT_RETURN_IF_ERROR(CheckRows(site, x, y));
  if (mode == CudaLayerMode::kDelta || weights_[index].data != 0) {
    return absl::OkStatus();
  }
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kLayerWeight,
      absl::StrCat("layer ", Quoted(site.name),
                   ": its weight is not on the device; say where it is "
                   "(peft_layer_runner_set_weight), or add the delta"),
      {site.name, "a weight on the device", "none"});
}

absl::Status CudaLayerRunner::CheckRows(const Site& site, const ArrayView& x,
                                        const ArrayView& y) {
  const std::optional<ArrayRows> x_rows = RowsOf(x, 1);
  const std::optional<ArrayRows> y_rows = RowsOf(y, 1);
  if (!x_rows.has_value()) return WrongStrides(site, "input");
  if (!y_rows.has_value()) return WrongStrides(site, "output");
  x_rows_ = *x_rows;
  y_rows_ = *y_rows;
  if (x_rows_.rows > kMaxRows) {
    return WrongShape(site, "input",
                      absl::StrCat("at most ", kMaxRows, " rows"), x);
  }
  if (Overlap(x, x_rows_.extent(), y, y_rows_.extent())) {
    return ArgumentError("x and y overlap", {"y", "", ""});
  }
  return absl::OkStatus();
}

absl::Status CudaLayerRunner::CheckPlans(
    CudaLayerMode mode, int index, absl::Span<const Plan* const> plans) const {
  const Site& site = sites_.sites()[index];
  const Plan* checked = nullptr;
  for (const Plan* plan : plans) {
    if (plan == checked) continue;
    checked = plan;
    PEFT_RETURN_IF_ERROR(CheckGates(site, plan->linear(index)));
    if (mode == CudaLayerMode::kDelta) {
      PEFT_RETURN_IF_ERROR(CheckOnlyAdds(site, index, *plan));
    }
  }
  return absl::OkStatus();
}

absl::Status CudaLayerRunner::UseStream(StreamHandle stream) {
  int status = 0;
  const kernels::cuda::Device& device = backend_->device();
  PEFT_RETURN_IF_ERROR(device.Call("asking whether a stream is captured",
                                   &DriverTable::cuStreamIsCapturing, stream,
                                   &status));
  is_captured_ = status != 0;
  // Where graphs run is their program's to order.
  if (is_captured_ || last_stream_ == stream) return absl::OkStatus();
  PEFT_RETURN_IF_ERROR(last_call_.MakeWait(stream));
  last_stream_ = stream;
  return absl::OkStatus();
}

absl::StatusOr<int> CudaLayerRunner::SlotFor(const Plan& plan, bool is_models,
                                             StreamHandle stream) {
  if (is_models && slots_->Holds(kModelSlot, plan)) return kModelSlot;
  int slot = is_models ? kModelSlot : slots_->Find(plan);
  if (slot > kModelSlot) return slot;
  if (is_captured_) {
    return is_models
               ? MakeError(absl::StatusCode::kFailedPrecondition,
                           error_id::kCudaGraph,
                           "what is active on the model has changed; call "
                           "peft_layer_runner_update before a capture")
               : NeedsWarmUp("copy the activations that it names");
  }
  if (!is_models) {
    PEFT_ASSIGN_OR_RETURN(slot, slots_->Choose(taken_));
  }
  PEFT_RETURN_IF_ERROR(slots_->Write(slot, plan, stream));
  return slot;
}

absl::Status CudaLayerRunner::SetGroups(absl::Span<const Plan* const> plans,
                                        bool is_models, const ArrayView& x,
                                        StreamHandle stream) {
  const int64_t batch = x.rank() > 1 ? x.sizes[0] : 1;
  const auto count = static_cast<int64_t>(plans.size());
  if (count != 1 && count != batch) {
    return ArgumentError(absl::StrCat("adapters are given for ", count,
                                      " rows, but the input has ", batch),
                         {"x", absl::StrCat(batch), absl::StrCat(count)});
  }
  groups_.clear();
  taken_.clear();
  const int64_t rows = count == 1 ? x_rows_.rows : x_rows_.rows / batch;
  for (const Plan* plan : plans) {
    PEFT_ASSIGN_OR_RETURN(const int slot, SlotFor(*plan, is_models, stream));
    if (!groups_.empty() && groups_.back().first == slot) {
      groups_.back().second += rows;
      continue;
    }
    groups_.emplace_back(slot, rows);
    taken_.push_back(slot);
  }
  return absl::OkStatus();
}

absl::Status CudaLayerRunner::MakeTiles(const Groups& groups, Tiles& tiles,
                                        StreamHandle stream) const {
  std::vector<RowGroup> rows;
  const kernels::cuda::AdapterPool& pool = slots_->pool();
  for (const Group& group : groups) {
    rows.push_back(
        {group.second, pool.first_term(group.first), pool.num_terms()});
  }
  const std::vector<RowTile> table = kernels::cuda::MakeTiles(rows);
  const size_t bytes = table.size() * sizeof(RowTile);
  const kernels::cuda::Device& device = backend_->device();
  tiles.count = static_cast<int32_t>(table.size());
  PEFT_ASSIGN_OR_RETURN(tiles.host, device.AllocatePinned(bytes, "rows"));
  PEFT_ASSIGN_OR_RETURN(tiles.table, device.Allocate(bytes, "rows"));
  std::memcpy(tiles.host.data(), table.data(), bytes);
  return device.Call("copying a table of rows",
                     &DriverTable::cuMemcpyHtoDAsync_v2, tiles.table.address(),
                     tiles.host.data(), bytes, stream);
}

absl::StatusOr<const CudaLayerRunner::Tiles*> CudaLayerRunner::TilesFor(
    const Groups& groups, StreamHandle stream) {
  const auto found = tiles_.find(groups);
  if (found != tiles_.end()) return &found->second;
  if (is_captured_) return NeedsWarmUp("copy a table of its rows");
  // Freeing them waits for the device, and captured calls read them.
  if (tiles_.size() >= kMaxTiles && !slots_->has_pins()) tiles_.clear();
  Tiles tiles;
  PEFT_RETURN_IF_ERROR(MakeTiles(groups, tiles, stream));
  return &tiles_.emplace(groups, std::move(tiles)).first->second;
}

absl::Status CudaLayerRunner::ReserveScratch(const SiteCall& call) {
  // Also for the same call when it is captured, which may launch other kernels.
  SiteCall captured = call;
  captured.has_terms = true;
  captured.only_term = {};
  const size_t bytes = std::max(launcher_->ScratchBytes(call),
                                launcher_->ScratchBytes(captured));
  if (bytes <= scratch_.bytes()) return absl::OkStatus();
  if (is_captured_) return NeedsWarmUp("allocate its workspace");
  PEFT_ASSIGN_OR_RETURN(
      kernels::cuda::DeviceBuffer scratch,
      backend_->device().Allocate(bytes, "the workspace of a layer"));
  std::swap(scratch, scratch_);
  if (slots_->has_pins()) old_scratch_.push_back(std::move(scratch));
  return absl::OkStatus();
}

absl::Status CudaLayerRunner::Launch(const SiteCall& call,
                                     StreamHandle stream) {
  PEFT_RETURN_IF_ERROR(ReserveScratch(call));
  kernels::cuda::SiteScratch scratch;
  scratch.data = scratch_.address();
  scratch.counters = counters_.address();
  scratch.lt = workspace_->stream();
  scratch.lt.stream = stream;
  return launcher_->Run(call, scratch);
}

absl::StatusOr<SiteCall> CudaLayerRunner::MakeCall(CudaLayerMode mode, int site,
                                                   const ArrayView& x,
                                                   const ArrayView& y,
                                                   StreamHandle stream) {
  const bool is_delta = mode == CudaLayerMode::kDelta;
  SiteCall call;
  call.x = MatrixOf(x, x_rows_);
  call.y = MatrixOf(y, y_rows_);
  if (!is_delta) call.weight = weights_[site];
  call.transposed = sites_.sites()[site].is_transposed();
  site_groups_.clear();
  for (const auto& [slot, rows] : groups_) {
    const SiteEffect& effect = slots_->effect(slot, site);
    if (effect.unsupported != nullptr) {
      return UnimplementedLayer(sites_.sites()[site], effect.unsupported);
    }
    call.has_terms |= effect.has_terms;
    site_groups_.push_back({rows, slots_->Factors(slot, site, is_delta)});
  }
  call.groups = site_groups_;
  if (is_captured_) {
    // Other terms may be in the slot when the graph runs.
    call.has_terms = true;
  } else if (groups_.size() == 1) {
    const auto& term = slots_->OnlyTerm(groups_[0].first, site);
    call.only_term = {term.a, term.b, term.scale, term.rank};
  }
  PEFT_ASSIGN_OR_RETURN(const Tiles* const tiles, TilesFor(groups_, stream));
  const kernels::cuda::AdapterPool& pool = slots_->pool();
  call.tiles = tiles->table.address();
  call.num_tiles = tiles->count;
  call.terms = pool.terms(site);
  call.columns = pool.columns();
  call.chunks = pool.chunks();
  call.units = pool.units();
  call.adapter_dtype = options_.adapter_dtype;
  return call;
}

absl::Status CudaLayerRunner::Run(CudaLayerMode mode, int site,
                                  absl::Span<const Plan* const> plans,
                                  bool is_models, const ArrayView& x,
                                  const ArrayView& y, StreamHandle stream) {
  PEFT_RETURN_IF_ERROR(CheckArrays(mode, site, x, y));
  PEFT_RETURN_IF_ERROR(CheckPlans(mode, site, plans));
  const DeviceScope scope(backend_->device());
  PEFT_RETURN_IF_ERROR(scope.status());
  PEFT_RETURN_IF_ERROR(UseStream(stream));
  return Recorded(Enqueue(mode, site, plans, is_models, x, y, stream), stream);
}

absl::Status CudaLayerRunner::Enqueue(CudaLayerMode mode, int site,
                                      absl::Span<const Plan* const> plans,
                                      bool is_models, const ArrayView& x,
                                      const ArrayView& y, StreamHandle stream) {
  PEFT_RETURN_IF_ERROR(SetGroups(plans, is_models, x, stream));
  if (x_rows_.rows == 0) return absl::OkStatus();
  PEFT_ASSIGN_OR_RETURN(const SiteCall call,
                        MakeCall(mode, site, x, y, stream));
  PEFT_RETURN_IF_ERROR(Launch(call, stream));
  if (!is_captured_) return absl::OkStatus();
  for (const Group& group : groups_) slots_->Pin(group.first, site);
  return absl::OkStatus();
}

// A call that has failed may have copied before.
absl::Status CudaLayerRunner::Recorded(const absl::Status& status,
                                       StreamHandle stream) const {
  if (is_captured_) return status;
  const absl::Status recorded = last_call_.Record(stream);
  return status.ok() ? recorded : status;
}

absl::Status CudaLayerRunner::Update(const Plan& plan, StreamHandle stream) {
  const DeviceScope scope(backend_->device());
  PEFT_RETURN_IF_ERROR(scope.status());
  PEFT_RETURN_IF_ERROR(UseStream(stream));
  if (is_captured_) return NeedsWarmUp("copy what is active on the model");
  if (slots_->Holds(kModelSlot, plan)) return absl::OkStatus();
  return Recorded(slots_->Write(kModelSlot, plan, stream), stream);
}

}  // namespace peft
