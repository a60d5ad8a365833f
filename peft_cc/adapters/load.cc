// LoadAdapter: from a PEFT folder.
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/adapter_folder.h"
#include "peft_cc/adapters/base_fingerprint.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

struct AdapterFiles {
  AdapterConfig config;
  TensorMap tensors;
  std::string base_fingerprint;  // "" where the file has none
};

absl::StatusOr<AdapterFiles> ReadFiles(const Folder& outer,
                                       const AdapterLoadOptions& options) {
  AdapterFiles files;
  PEFT_ASSIGN_OR_RETURN(const Folder folder,
                        FindAdapterFolder(outer, options.subfolder));
  AdapterConfigOptions config_options;
  config_options.lenient = options.lenient;
  config_options.allow_unconverted_init = options.allow_unconverted_init;
  PEFT_ASSIGN_OR_RETURN(files.config,
                        ReadAdapterConfig(folder, config_options));
  std::map<std::string, std::string> metadata;
  PEFT_ASSIGN_OR_RETURN(
      files.tensors,
      ReadAdapterTensors(
          folder, options.read_mode,
          options.pool != nullptr ? *options.pool : kernels::InlineThreadPool(),
          &metadata, options.blocks));
  files.base_fingerprint = std::move(metadata[kBaseFingerprintKey]);
  return files;
}

}  // namespace

absl::StatusOr<LoadedAdapter> LoadAdapter(const SiteTable& sites,
                                          const std::string& name,
                                          const Folder& folder,
                                          const AdapterLoadOptions& options) {
  absl::StatusOr<AdapterFiles> files = ReadFiles(folder, options);
  if (!files.ok()) {
    return WithContext(files.status(), absl::StrCat("adapter ", Quoted(name)));
  }
  PEFT_ASSIGN_OR_RETURN(LoadedAdapter loaded,
                        BuildAdapter(sites, name, std::move(files->config),
                                     std::move(files->tensors), options));
  const absl::Status base =
      CheckBaseFingerprint(files->base_fingerprint, sites, *loaded.adapter,
                           options.lenient, loaded.report);
  if (!base.ok()) {
    return WithContext(base, absl::StrCat("adapter ", Quoted(name)));
  }
  return loaded;
}

}  // namespace peft
