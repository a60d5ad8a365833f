// hub/fetch.h of a build without network code.
#include "hub/fetch.h"
#include "hub/settings.h"

namespace peft {
namespace hub {

absl::StatusOr<Source> FetchAdapter(const std::string& path,
                                    absl::string_view subfolder,
                                    const FetchOptions& options) {
  return FindSource(path, subfolder, "adapter_config.json", options,
                    SettingsFromProcess());
}

absl::StatusOr<Source> FetchModel(const std::string& path,
                                  absl::string_view subfolder,
                                  const FetchOptions& options) {
  return FindSource(path, subfolder, "config.json", options,
                    SettingsFromProcess());
}

}  // namespace hub
}  // namespace peft
