// Adapters and the model's weights: merging, and what adapters do to them.
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "peft_cc/adapters/pool_check.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/model.h"
#include "peft_cc/models/quantized_model.h"

namespace peft {

absl::StatusOr<std::vector<std::string>> Model::MergeAdapter(
    absl::Span<const std::string> names, absl::Span<const float> scales,
    const MergeAdapterOptions& options) {
  PEFT_ASSIGN_OR_RETURN(const WeightsGate::Use use, gate_.Write());
  return registry_.Merge(names, scales, options, *pool_);
}

absl::StatusOr<bool> Model::UnmergeAdapter() {
  PEFT_ASSIGN_OR_RETURN(const WeightsGate::Use use, gate_.Write());
  return registry_.Unmerge();
}

std::vector<std::string> Model::MergedAdapters() const {
  return registry_.MergedNames();
}

absl::Status Model::MergeAndUnload(const std::string& path,
                                   absl::Span<const std::string> names,
                                   absl::Span<const float> scales,
                                   const MergedModelOptions& options) const {
  if (is_host_model()) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     error_id::kModelNotRunnable,
                     "the model was made of a program's own layers, which have "
                     "no folder to write; merge into them in memory, or open a "
                     "model's folder");
  }
  if (base_->is_quantized()) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     error_id::kModelQuantized,
                     "the model's weights are quantised, and what is merged "
                     "would be rounded to their codes; merge into the model as "
                     "it was before, or in memory");
  }
  PEFT_ASSIGN_OR_RETURN(const std::shared_ptr<const Plan> plan,
                        registry_.PlanForMerge(names, scales));
  return WriteMergedModel(*base_, *plan, path, options, *pool_);
}

absl::Status Model::WriteQuantized(
    const std::string& path,
    const std::function<bool(int64_t done, int64_t total)>& on_progress) const {
  if (is_host_model()) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     error_id::kModelNotRunnable,
                     "the model was made of a program's own layers, which have "
                     "no folder to write; open a model's folder");
  }
  return WriteQuantizedModel(*base_, path, on_progress);
}

absl::Status Model::Unload() {
  PEFT_ASSIGN_OR_RETURN(const WeightsGate::Use use, gate_.Write());
  registry_.Clear();
  return absl::OkStatus();
}

absl::Status Model::AddWeightedAdapter(const std::string& new_name,
                                       absl::Span<const std::string> names,
                                       absl::Span<const float> weights,
                                       const CombineOptions& options) {
  std::vector<CombineSource> sources;
  for (size_t i = 0; i < names.size(); ++i) {
    PEFT_ASSIGN_OR_RETURN(AdapterInfo info, registry_.Info(names[i]));
    sources.push_back({names[i], info.adapter, weights[i], info.scale});
  }
  PEFT_RETURN_IF_ERROR(registry_.Reserve(new_name));
  absl::Cleanup cancel = [&] { registry_.CancelReservation(new_name); };
  PEFT_ASSIGN_OR_RETURN(const WeightsGate::Use use, UseBaseWeights());
  const PoolCheck pool_check(*pool_);
  PEFT_ASSIGN_OR_RETURN(
      LoadedAdapter loaded,
      CombineAdapters(sites(), new_name, sources, options, *pool_));
  PEFT_RETURN_IF_ERROR(pool_check.status());
  PEFT_RETURN_IF_ERROR(
      registry_.AddInactive(new_name, std::move(loaded.adapter)));
  std::move(cancel).Cancel();
  return absl::OkStatus();
}

absl::StatusOr<ProbeReport> Model::ProbeAdapter(
    const std::string& name, const ProbeOptions& options) const {
  PEFT_ASSIGN_OR_RETURN(const std::string known, NameOrActive(name));
  PEFT_ASSIGN_OR_RETURN(std::shared_ptr<const Adapter> adapter,
                        registry_.Get(known));
  PEFT_ASSIGN_OR_RETURN(const WeightsGate::Use use, UseBaseWeights());
  const PoolCheck pool_check(*pool_);
  PEFT_ASSIGN_OR_RETURN(
      ProbeReport report,
      peft::ProbeAdapter(sites(), known, std::move(adapter), options, *pool_));
  PEFT_RETURN_IF_ERROR(pool_check.status());
  return report;
}

}  // namespace peft
