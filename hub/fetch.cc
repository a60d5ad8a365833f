#include "hub/fetch.h"

#include <memory>

#include "hub/download.h"
#include "hub/https_transport.h"
#include "hub/hub_client.h"
#include "hub/proxy.h"
#include "hub/remote_source.h"
#include "hub/settings.h"
#include "peft_cc/base/error.h"

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
  PEFT_ASSIGN_OR_RETURN(const std::unique_ptr<HttpsTransport> transport,
                        HttpsTransport::Create(TransportOptions(options)));
  PEFT_ASSIGN_OR_RETURN(
      const std::unique_ptr<HubClient> client,
      CreateClient(options, SettingsWith(options), transport.get()));
  DownloadOptions download;
  download.on_progress = options.on_progress;
  if (options.is_cancelled) download.is_cancelled = options.is_cancelled;
  return find(path, subfolder, options, *client, download);
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
