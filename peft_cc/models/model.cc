#include "peft_cc/models/model.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// Far beyond any machine; a larger number is a mistake of the caller.
constexpr int kMaxThreads = 4096;

}  // namespace

Model::Model(std::unique_ptr<BaseModel> base, const ModelOptions& options)
    : base_(std::move(base)),
      owned_pool_(options.thread_pool == nullptr
                      ? kernels::CreateThreadPool(options.num_threads)
                      : nullptr),
      pool_(options.thread_pool == nullptr ? owned_pool_.get()
                                           : options.thread_pool),
      registry_(&base_->sites()) {}

absl::StatusOr<std::unique_ptr<Model>> Model::Open(
    const std::string& path, const ModelOptions& options) {
  if (options.num_threads < 0 || options.num_threads > kMaxThreads) {
    return ArgumentError(absl::StrCat("num_threads is ", options.num_threads,
                                      ", expected 0 to ", kMaxThreads));
  }
  PEFT_ASSIGN_OR_RETURN(std::unique_ptr<BaseModel> base,
                        BaseModel::Open(path, options.read_mode));
  return std::unique_ptr<Model>(new Model(std::move(base), options));
}

absl::Status Model::SetAdapter(absl::Span<const std::string> names,
                               absl::Span<const float> scales) {
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
  return peft::SaveAdapter(*adapter, path, options);
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

std::shared_ptr<const Plan> Model::CurrentPlan() const {
  return registry_.CurrentPlan();
}

}  // namespace peft
