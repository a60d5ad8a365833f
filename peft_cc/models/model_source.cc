#include "peft_cc/models/model_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/models/base_name.h"

namespace peft {
namespace {

// A base by the word of an adapter.
struct NamedBase {
  std::string name;
  std::string revision;  // "" for none
  std::string by;        // the adapter's folder
};

absl::StatusOr<std::string> Joined(const std::string& folder,
                                   const std::string& subfolder) {
  if (subfolder.empty()) return folder;
  return JoinInside(folder, subfolder);
}

absl::StatusOr<NamedBase> BaseOf(const std::string& adapter) {
  AdapterConfigOptions options;
  options.lenient = options.inspect_only = true;
  PEFT_ASSIGN_OR_RETURN(const AdapterConfig config,
                        ReadAdapterConfig(adapter, options));
  NamedBase base = {config.base.base_model_name_or_path, "", adapter};
  const auto revision = config.json.find("revision");
  if (revision != config.json.end() && revision->is_string()) {
    base.revision = revision->get<std::string>();
  }
  return base;
}

absl::Status NoBase() {
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
      "no model was named, and no adapter_config.json of options.for_adapters "
      "has a base_model_name_or_path; name the model",
      {"base_model_name_or_path", "a folder or a Hub id", "nothing"});
}

absl::Status TwoBases(const NamedBase& first, const NamedBase& second) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kBaseMismatch,
      absl::StrCat("no model was named, and the base is ", Quoted(first.name),
                   " by adapter ", Quoted(first.by), " and ",
                   Quoted(second.name), " by ", Quoted(second.by),
                   "; name the one to open"),
      {"base_model_name_or_path", first.name, second.name});
}

absl::Status NoSuchBase(const NamedBase& base) {
  return MakeError(
      absl::StatusCode::kNotFound, error_id::kFileNotFound,
      absl::StrCat("no model was named, and the base by adapter ",
                   Quoted(base.by), " is ", Quoted(base.name),
                   ", which is no folder here and no Hub id; name the model"),
      {base.name, "a folder or a Hub id", ""});
}

// The one base that the adapters in these folders are for.
absl::StatusOr<NamedBase> CommonBase(absl::Span<const std::string> adapters) {
  NamedBase common;
  for (const std::string& adapter : adapters) {
    PEFT_ASSIGN_OR_RETURN(NamedBase base, BaseOf(adapter));
    if (base.name.empty()) continue;
    if (common.name.empty()) {
      common = std::move(base);
    } else if (!MayBeBase(base.name, common.name, "")) {
      return TwoBases(common, base);
    }
  }
  if (common.name.empty()) return NoBase();
  return common;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> FindAdapters(
    const ModelSourceOptions& options) {
  hub::FetchOptions fetch = options.hub;
  fetch.revision = options.adapter_revision;
  std::vector<std::string> folders;
  for (const std::string& path : options.for_adapters) {
    absl::StatusOr<hub::Source> source =
        hub::FetchAdapter(path, options.adapter_subfolder, fetch);
    if (!source.ok()) {
      return WithContext(source.status(),
                         absl::StrCat("adapter ", Quoted(path)));
    }
    PEFT_ASSIGN_OR_RETURN(std::string folder,
                          Joined(source->folder, options.adapter_subfolder));
    folders.push_back(std::move(folder));
  }
  return folders;
}

absl::StatusOr<ModelSource> FindModelSource(const std::string& path,
                                            const ModelSourceOptions& options) {
  ModelSource source;
  PEFT_ASSIGN_OR_RETURN(source.adapters, FindAdapters(options));
  if (options.files != nullptr) {
    source.folder = Folder(options.files);
    source.name = path;
    return source;
  }
  NamedBase base = {path, "", ""};
  if (path.empty()) {
    PEFT_ASSIGN_OR_RETURN(base, CommonBase(source.adapters));
  }
  hub::FetchOptions fetch = options.hub;
  if (fetch.revision.empty()) fetch.revision = base.revision;
  absl::StatusOr<hub::Source> found =
      hub::FetchModel(base.name, options.subfolder, fetch);
  if (!found.ok() && path.empty()) {
    return WithContext(found.status(),
                       absl::StrCat("the base by adapter ", Quoted(base.by)));
  }
  PEFT_RETURN_IF_ERROR(found.status());
  PEFT_ASSIGN_OR_RETURN(std::string folder,
                        Joined(found->folder, options.subfolder));
  if (path.empty() && !DirectoryExists(folder)) return NoSuchBase(base);
  source.folder = std::move(folder);
  source.name = std::move(base.name);
  source.is_local = found->commit.empty();
  return source;
}

}  // namespace peft
