// How adapters come into a model, and what the rows of a batch run.
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/adapter_size.h"
#include "peft_cc/adapters/fresh.h"
#include "peft_cc/adapters/pool_check.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/models/base_name.h"
#include "peft_cc/models/model.h"

namespace peft {
namespace {

std::string FolderText(const std::string& path,
                       const AdapterLoadOptions& options) {
  return options.subfolder.empty() ? path
                                   : absl::StrCat(path, "/", options.subfolder);
}

absl::StatusOr<AdapterConfig> ParseConfig(const std::string& name,
                                          const std::string& text,
                                          const AdapterConfigOptions& options) {
  absl::StatusOr<AdapterConfig> config = ParseAdapterConfig(text, options);
  if (config.ok()) return config;
  return WithContext(config.status(), absl::StrCat("adapter ", Quoted(name)));
}

}  // namespace

absl::StatusOr<LoadReport> Model::Add(
    const std::string& name, bool is_trainable,
    absl::FunctionRef<absl::StatusOr<LoadedAdapter>()> load) {
  PEFT_RETURN_IF_ERROR(registry_.Reserve(name));
  // Also when memory runs out on the way.
  absl::Cleanup cancel = [&] { registry_.CancelReservation(name); };
  PEFT_ASSIGN_OR_RETURN(const WeightsGate::Use use, UseBaseWeights());
  const PoolCheck pool_check(*pool_);
  PEFT_ASSIGN_OR_RETURN(LoadedAdapter loaded, load());
  PEFT_RETURN_IF_ERROR(pool_check.status());
  NoteOtherBase(loaded);
  NoteUntrainedHead(loaded);
  PEFT_RETURN_IF_ERROR(registry_.Add(name, std::move(loaded.adapter),
                                     {std::move(loaded.folder), is_trainable}));
  std::move(cancel).Cancel();
  return std::move(loaded.report);
}

absl::StatusOr<LoadReport> Model::Replace(
    const std::string& name, const ReplaceOptions& how,
    absl::FunctionRef<absl::StatusOr<LoadedAdapter>()> load) {
  PEFT_RETURN_IF_ERROR(
      registry_.CheckReplaceable(name, how.expected_generation));
  PEFT_ASSIGN_OR_RETURN(const WeightsGate::Use use, UseBaseWeights());
  const PoolCheck pool_check(*pool_);
  PEFT_ASSIGN_OR_RETURN(LoadedAdapter loaded, load());
  PEFT_RETURN_IF_ERROR(pool_check.status());
  NoteOtherBase(loaded);
  NoteUntrainedHead(loaded);
  PEFT_RETURN_IF_ERROR(registry_.Replace(
      name, std::move(loaded.adapter),
      {std::move(loaded.folder), how.is_trainable}, how.expected_generation));
  return std::move(loaded.report);
}

void Model::NoteOtherBase(LoadedAdapter& loaded) const {
  // A program's own layers, or files, that have no name.
  if (is_host_model() || name_.empty()) return;
  const std::string& named =
      loaded.adapter->config().base.base_model_name_or_path;
  const std::string& own_name = base_->config().name_or_path;
  if (MayBeBase(named, name_, own_name) ||
      MayBeBase(named, base_->folder().path(), own_name)) {
    return;
  }
  loaded.report.lines.push_back(
      {ReportKind::kNote, "base_model_name_or_path",
       absl::StrCat("is ", Quoted(named), ", and the model is ",
                    Quoted(name_))});
}

void Model::NoteUntrainedHead(LoadedAdapter& loaded) const {
  if (is_host_model()) return;
  const TensorMap& brought = loaded.adapter->state_dict();
  for (const std::string& name : base_->fresh_weights()) {
    if (brought.count(name) > 0) continue;
    loaded.report.lines.push_back(
        {ReportKind::kNote, name,
         "is not in the model's weight files, and the adapter does not bring "
         "it: untrained"});
  }
}

// What cannot be estimated cannot be loaded either, and the load says why.
absl::Status Model::CheckRoom(const Folder& folder,
                              const AdapterLoadOptions& options,
                              const std::string& replaced) const {
  if (!registry_.HasLimit()) return absl::OkStatus();
  const auto estimate = EstimateAdapter(folder, options.subfolder);
  if (!estimate.ok()) return absl::OkStatus();
  return registry_.CheckRoom(estimate->size_bytes, replaced);
}

AdapterLoadOptions Model::WithMeans(const AdapterLoadOptions& options) const {
  AdapterLoadOptions with_means = options;
  if (with_means.pool == nullptr) with_means.pool = pool_.get();
  with_means.blocks = &registry_.blocks();
  return with_means;
}

absl::StatusOr<LoadedAdapter> Model::Build(
    const std::string& name, const std::string& config, TensorMap tensors,
    const AdapterLoadOptions& options) const {
  AdapterConfigOptions parse_options;
  parse_options.lenient = options.lenient;
  parse_options.allow_unconverted_init = options.allow_unconverted_init;
  PEFT_ASSIGN_OR_RETURN(AdapterConfig parsed,
                        ParseConfig(name, config, parse_options));
  return BuildAdapter(sites(), name, std::move(parsed), std::move(tensors),
                      WithMeans(options));
}

absl::StatusOr<LoadedAdapter> Model::Read(const std::string& name,
                                          const Folder& folder,
                                          const AdapterLoadOptions& options,
                                          const std::string& replaced) const {
  PEFT_RETURN_IF_ERROR(CheckRoom(folder, options, replaced));
  return peft::LoadAdapter(sites(), name, folder, WithMeans(options));
}

absl::StatusOr<LoadedAdapter> Model::Fetch(const std::string& name,
                                           const std::string& path,
                                           const AdapterLoadOptions& options,
                                           const std::string& replaced) const {
  if (options.files != nullptr) {
    return Read(name, Folder(options.files), options, replaced);
  }
  const absl::StatusOr<hub::Source> source =
      hub::FetchAdapter(path, options.subfolder, options.hub);
  if (!source.ok()) {
    return WithContext(source.status(), absl::StrCat("adapter ", Quoted(name)));
  }
  const std::string& folder = source->folder;
  PEFT_ASSIGN_OR_RETURN(LoadedAdapter loaded,
                        Read(name, folder, options, replaced));
  loaded.folder = FolderText(folder, options);
  const std::string unused = options.hub.Given();
  if (source->commit.empty() && !unused.empty()) {
    loaded.report.lines.push_back(
        {ReportKind::kNote, "",
         absl::StrCat("a local folder was read: without effect are ", unused)});
  }
  return loaded;
}

absl::StatusOr<LoadReport> Model::LoadAdapter(const std::string& name,
                                              const std::string& path,
                                              const AdapterLoadOptions& options,
                                              bool is_trainable) {
  return Add(name, is_trainable,
             [&] { return Fetch(name, path, options, ""); });
}

absl::StatusOr<LoadReport> Model::LoadAdapterFromMemory(
    const std::string& name, const std::string& config, TensorMap tensors,
    const AdapterLoadOptions& options, bool is_trainable) {
  return Add(name, is_trainable,
             [&] { return Build(name, config, std::move(tensors), options); });
}

absl::StatusOr<LoadReport> Model::AddAdapter(const std::string& name,
                                             const std::string& config,
                                             uint64_t seed) {
  const auto make = [&]() -> absl::StatusOr<LoadedAdapter> {
    AdapterConfigOptions parse_options;
    parse_options.is_new = true;
    PEFT_ASSIGN_OR_RETURN(const AdapterConfig parsed,
                          ParseConfig(name, config, parse_options));
    FreshOptions options;
    options.seed = seed;
    options.base_name = name_;
    options.services.pool = pool_.get();
    absl::StatusOr<FreshAdapter> fresh =
        MakeFreshAdapter(sites(), parsed, options);
    if (!fresh.ok()) {
      return WithContext(fresh.status(),
                         absl::StrCat("adapter ", Quoted(name)));
    }
    return BuildAdapter(sites(), name, std::move(fresh->config),
                        std::move(fresh->tensors), WithMeans({}));
  };
  return Add(name, /*is_trainable=*/true, make);
}

absl::StatusOr<LoadReport> Model::ReplaceAdapter(
    const std::string& name, const std::string& path,
    const AdapterLoadOptions& options, const ReplaceOptions& how) {
  return Replace(name, how, [&] { return Fetch(name, path, options, name); });
}

absl::StatusOr<LoadReport> Model::ReplaceAdapterFromMemory(
    const std::string& name, const std::string& config, TensorMap tensors,
    const AdapterLoadOptions& options, const ReplaceOptions& how) {
  return Replace(name, how, [&] {
    return Build(name, config, std::move(tensors), options);
  });
}

absl::StatusOr<HeldPlan> Model::MakePlan(absl::Span<const std::string> names,
                                         absl::Span<const float> scales) {
  PEFT_ASSIGN_OR_RETURN(const WeightsGate::Use use, UseBaseWeights());
  return registry_.PlanOf(names, scales);
}

absl::StatusOr<BatchPlan> Model::PlanRows(absl::Span<const std::string> names) {
  PEFT_ASSIGN_OR_RETURN(const std::vector<std::shared_ptr<const Plan>> plans,
                        registry_.PlansOfRows(names));
  return BatchPlan(plans);
}

absl::StatusOr<BatchPlan> Model::PlanRows(
    absl::Span<const std::shared_ptr<const Plan>> plans) {
  PEFT_RETURN_IF_ERROR(registry_.CheckNotMerged());
  PEFT_ASSIGN_OR_RETURN(const std::shared_ptr<const Plan> base,
                        registry_.BasePlan());
  const bool enabled = adapters_enabled();
  std::vector<std::shared_ptr<const Plan>> rows;
  rows.reserve(plans.size());
  for (const std::shared_ptr<const Plan>& plan : plans) {
    rows.push_back(enabled && plan != nullptr ? plan : base);
  }
  return rows.size() == 1 ? BatchPlan(rows[0]) : BatchPlan(rows);
}

}  // namespace peft
