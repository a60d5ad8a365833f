#include "peft_cc/models/model.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/base_fingerprint.h"
#include "peft_cc/adapters/pool_check.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/models/adapter_labels.h"
#include "peft_cc/models/layer_replication.h"
#include "peft_cc/models/run_layer.h"

namespace peft {
namespace {

// Far beyond any machine; a larger number is a mistake of the caller.
constexpr int kMaxThreads = 4096;
constexpr int64_t kMaxLabels = int64_t{1} << 24;

absl::Status CheckProcessors(const ModelOptions& options) {
  if (options.processors.empty()) return absl::OkStatus();
  if (options.thread_pool != nullptr) {
    return ArgumentError(
        "processors are given together with a thread_pool, whose threads are "
        "the program's own; leave out one of the two");
  }
  const int refused = kernels::FirstRefusedProcessor(options.processors);
  if (refused < 0) return absl::OkStatus();
  return ArgumentError(absl::StrCat(
      "processors[", refused, "] is ", options.processors[refused],
      ", on which the system lets no thread of this process run; expected one "
      "of those that nproc and taskset -p name"));
}

absl::Status CheckOptions(const ModelOptions& options) {
  if (options.num_threads < 0 || options.num_threads > kMaxThreads) {
    return ArgumentError(absl::StrCat("num_threads is ", options.num_threads,
                                      ", expected 0 to ", kMaxThreads));
  }
  if (options.head.num_labels < 0 || options.head.num_labels > kMaxLabels) {
    return ArgumentError(absl::StrCat("num_labels is ", options.head.num_labels,
                                      ", expected 0 to ", kMaxLabels));
  }
  return CheckProcessors(options);
}

std::shared_ptr<kernels::ThreadPool> PoolOf(const ModelOptions& options) {
  if (options.thread_pool != nullptr) return options.thread_pool;
  return kernels::CreateThreadPool(options.num_threads, options.processors);
}

absl::Status NoSuchLayer(const std::string& name) {
  return MakeError(
      absl::StatusCode::kNotFound, error_id::kLayerNotFound,
      absl::StrCat("the model has no layer ", Quoted(name),
                   " that adapters attach to; name it as named_modules(), or "
                   "named_parameters() for a parameter, does"),
      {name, "", ""});
}

// `adapters` are the folders of options.for_adapters.
absl::StatusOr<LayerRanges> RangesOf(const ModelOptions& options,
                                     absl::Span<const std::string> adapters) {
  if (!options.layer_replication.empty()) return options.layer_replication;
  return LayerReplicationOf(adapters);
}

absl::StatusOr<HeadChoice> HeadOf(const ModelOptions& options,
                                  absl::Span<const std::string> adapters) {
  HeadChoice head = options.head;
  if (head.num_labels > 0 || !head.task || !Classifies(*head.task)) return head;
  PEFT_ASSIGN_OR_RETURN(head.adapter_labels, LabelsOfAdapters(adapters));
  return head;
}

bool HasWritable(const SiteTable& sites) {
  return std::any_of(sites.sites().begin(), sites.sites().end(),
                     [](const Site& site) { return site.is_writable; });
}

// What the rows of a call run.
std::vector<const Plan*> RowsOf(const BatchPlan& plans) {
  std::vector<const Plan*> rows = {plans.groups()[0].plan};
  rows.resize(std::max<int64_t>(1, plans.batch()));
  for (int64_t row = 0; row < plans.batch(); ++row) {
    rows[row] = &plans.OfRow(row);
  }
  return rows;
}

// With the threads that the model will have.
absl::Status QuantizeWeights(const ModelOptions& options, BaseModel& base) {
  if (options.weight_format == WeightFormat::kAsStored) return absl::OkStatus();
  const std::shared_ptr<kernels::ThreadPool> pool = PoolOf(options);
  const PoolCheck check(*pool);
  PEFT_RETURN_IF_ERROR(base.QuantizeWeights(options.weight_format,
                                            options.quantize_head, *pool));
  return check.status();
}

}  // namespace

absl::StatusOr<int> Model::FindLayer(const std::string& name,
                                     int64_t expert) const {
  const SiteTable& sites = *sites_;
  const ParameterSites* const parameter = sites.FindParameter(name);
  const int64_t count = parameter == nullptr ? 0 : parameter->num_sites;
  const int index = sites.Find(name);
  if (index < 0 && count == 0) return NoSuchLayer(name);
  if (index >= 0 && expert == -1) return index;
  if (index < 0 && expert >= 0 && expert < count) {
    return parameter->first + static_cast<int>(expert);
  }
  const std::string expected =
      index >= 0 ? "-1, as it has none" : absl::StrCat("0 to ", count - 1);
  return ArgumentError(absl::StrCat("expert is ", expert, ", expected ",
                                    expected, " for layer ", Quoted(name)),
                       {name, expected, absl::StrCat(expert)});
}

Model::Model(std::unique_ptr<BaseModel> base, SiteTable host_sites,
             std::string name, const ModelOptions& options)
    : name_(std::move(name)),
      base_(std::move(base)),
      host_sites_(std::move(host_sites)),
      sites_(base_ == nullptr ? &host_sites_ : &base_->sites()),
      pool_(PoolOf(options)),
      gate_(HasWritable(*sites_)),
      registry_(sites_) {}

absl::StatusOr<std::unique_ptr<Model>> Model::Open(
    const std::string& path, const ModelOptions& options) {
  PEFT_RETURN_IF_ERROR(CheckOptions(options));
  PEFT_ASSIGN_OR_RETURN(ModelSource source, FindModelSource(path, options));
  PEFT_ASSIGN_OR_RETURN(const LayerRanges ranges,
                        RangesOf(options, source.adapters));
  PEFT_ASSIGN_OR_RETURN(const HeadChoice head,
                        HeadOf(options, source.adapters));
  PEFT_ASSIGN_OR_RETURN(
      std::unique_ptr<BaseModel> base,
      BaseModel::Open(source.folder, options.read_mode, ranges, head));
  PEFT_RETURN_IF_ERROR(QuantizeWeights(options, *base));
  std::unique_ptr<Model> model(
      new Model(std::move(base), {}, std::move(source.name), options));
  model->notes_ = model->base_->notes();
  const std::string unused = options.hub.Given();
  if (source.is_local && options.for_adapters.empty() && !unused.empty()) {
    model->notes_.push_back(
        absl::StrCat("a local folder was opened: without effect are ", unused));
  }
  return model;
}

absl::StatusOr<std::unique_ptr<Model>> Model::Create(
    const std::vector<HostLayer>& layers, const ModelOptions& options) {
  PEFT_RETURN_IF_ERROR(CheckOptions(options));
  PEFT_ASSIGN_OR_RETURN(const std::vector<std::string> adapters,
                        FindAdapters(options));
  PEFT_ASSIGN_OR_RETURN(const LayerRanges ranges, RangesOf(options, adapters));
  PEFT_ASSIGN_OR_RETURN(SiteTable sites,
                        BuildHostSites(layers, Simplified(ranges)));
  return std::unique_ptr<Model>(
      new Model(nullptr, std::move(sites), "", options));
}

absl::Status Model::SetAdapter(absl::Span<const std::string> names,
                               absl::Span<const float> scales) {
  if (registry_.IsMergedInPlace()) {
    PEFT_ASSIGN_OR_RETURN(const WeightsGate::Use use, gate_.Write());
    return registry_.SetActive(names, scales);
  }
  return registry_.SetActive(names, scales);
}

void Model::DisableAdapters() { registry_.SetEnabled(false); }

void Model::EnableAdapters() { registry_.SetEnabled(true); }

bool Model::adapters_enabled() const { return registry_.enabled(); }

std::vector<std::string> Model::ActiveAdapters() const {
  return registry_.Active();
}

std::vector<std::string> Model::AdapterNames() const {
  return registry_.Names();
}

absl::Status Model::DeleteAdapter(absl::Span<const std::string> names) {
  return registry_.Delete(names);
}

absl::StatusOr<std::string> Model::NameOrActive(const std::string& name) const {
  if (!name.empty()) return name;
  const std::vector<std::string> active = registry_.Active();
  if (!active.empty()) return active.front();
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   error_id::kAdapterNotFound,
                   "no adapter is active; name one or activate one");
}

absl::StatusOr<std::shared_ptr<const Adapter>> Model::GetAdapter(
    const std::string& name) const {
  PEFT_ASSIGN_OR_RETURN(const std::string known, NameOrActive(name));
  return registry_.Get(known);
}

absl::StatusOr<AdapterInfo> Model::GetAdapterInfo(
    const std::string& name) const {
  PEFT_ASSIGN_OR_RETURN(const std::string known, NameOrActive(name));
  return registry_.Info(known);
}

absl::Status Model::SaveAdapter(const std::string& name,
                                const std::string& path,
                                const AdapterSaveOptions& options) const {
  PEFT_ASSIGN_OR_RETURN(const std::shared_ptr<const Adapter> adapter,
                        GetAdapter(name));
  PEFT_ASSIGN_OR_RETURN(const WeightsGate::Use use, UseBaseWeights());
  AdapterSaveOptions with_base = options;
  with_base.base_fingerprint = BaseFingerprint(sites(), *adapter);
  return peft::SaveAdapter(*adapter, path, with_base);
}

bool Model::HasAdapter(const std::string& name) const {
  return registry_.Get(name).ok();
}

absl::Status Model::RenameAdapter(const std::string& name,
                                  const std::string& new_name) {
  return registry_.Rename(name, new_name);
}

absl::Status Model::SetScale(const std::string& name, float scale) {
  return registry_.SetScale(name, scale);
}

absl::Status Model::SetAdapterLimit(const AdapterLimit& limit) {
  return registry_.SetLimit(limit);
}

absl::Status Model::PinAdapter(const std::string& name, bool pinned) {
  return registry_.SetPinned(name, pinned);
}

AdapterUsage Model::GetAdapterUsage() const { return registry_.Usage(); }

absl::StatusOr<WeightsGate::Use> Model::UseBaseWeights() const {
  PEFT_ASSIGN_OR_RETURN(WeightsGate::Use use, gate_.Read());
  if (!registry_.IsMergedInPlace()) return use;
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kMerged,
      absl::StrCat("adapter ", Quoted(registry_.MergedNames().front()),
                   " is merged into the program's own weights, and the base's "
                   "are needed; unmerge first"));
}

absl::StatusOr<Tensor> Model::RunLayer(const std::string& name, int64_t expert,
                                       const Tensor& x,
                                       const BatchPlan* plans) const {
  PEFT_ASSIGN_OR_RETURN(const int index, FindLayer(name, expert));
  PEFT_ASSIGN_OR_RETURN(const WeightsGate::Use use, UseWeights());
  const BatchPlan current(plans == nullptr ? CurrentPlan() : nullptr);
  return peft::RunLayer(sites(), index,
                        RowsOf(plans == nullptr ? current : *plans), x, pool());
}

absl::StatusOr<AdapterRegistry::Running> Model::GetRunning() const {
  return registry_.GetRunning();
}

std::shared_ptr<const Plan> Model::CurrentPlan() const {
  return registry_.CurrentPlan();
}

}  // namespace peft
