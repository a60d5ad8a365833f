#include "hub/fetch.h"

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "hub/download.h"
#include "hub/https_transport.h"
#include "hub/hub_client.h"
#include "hub/proxy.h"
#include "hub/remote_source.h"
#include "hub/settings.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace hub {
namespace {

HttpsOptions TransportOptions(const Options& options) {
  HttpsOptions https = HttpsOptionsFromProcess();
  if (!options.proxies.empty()) {
    https.proxies = ProxySettingsOf(options.proxies);
  }
  return https;
}

Settings SettingsWith(const Options& options) {
  Settings settings = SettingsFromProcess();
  if (!options.endpoint.empty()) settings.endpoint = options.endpoint;
  return settings;
}

absl::StatusOr<Source> Fetch(decltype(&FindAdapter) find, const char* file,
                             const std::string& path,
                             absl::string_view subfolder,
                             const FetchOptions& options) {
  PEFT_RETURN_IF_ERROR(CheckOptions(options));
  if (IsLocal(path, subfolder, file)) return Source{path, ""};
  std::shared_ptr<Transport> transport = options.transport;
  if (transport == nullptr) {
    PEFT_ASSIGN_OR_RETURN(transport,
                          HttpsTransport::Create(TransportOptions(options)));
  }
  PEFT_ASSIGN_OR_RETURN(
      const std::unique_ptr<HubClient> client,
      CreateClient(options, SettingsWith(options), transport.get()));
  DownloadOptions download;
  download.on_progress = options.on_progress;
  if (options.is_cancelled) download.is_cancelled = options.is_cancelled;
  const absl::StatusOr<Source> found =
      find(path, subfolder, options, *client, download);
  // A mistyped path may well read as a repository's name, also where the Hub
  // cannot be asked.
  const std::string id = ErrorId(found.status());
  if (absl::StartsWith(id, "HUB_") && id != error_id::kHubLocalEntryNotFound) {
    return WithContext(found.status(),
                       absl::StrCat("there is no folder ", Quoted(path),
                                    " with ", file, ", and on the Hub"));
  }
  return found;
}

}  // namespace

absl::StatusOr<Source> FetchAdapter(const std::string& path,
                                    absl::string_view subfolder,
                                    const FetchOptions& options) {
  return Fetch(&FindAdapter, "adapter_config.json", path, subfolder, options);
}

absl::StatusOr<Source> FetchModel(const std::string& path,
                                  absl::string_view subfolder,
                                  const FetchOptions& options) {
  return Fetch(&FindModel, "config.json", path, subfolder, options);
}

}  // namespace hub
}  // namespace peft
