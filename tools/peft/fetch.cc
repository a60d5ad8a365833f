#include "tools/peft/fetch.h"

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "hub/https_transport.h"
#include "hub/hub_client.h"
#include "hub/remote_source.h"
#include "hub/repo_id.h"
#include "hub/settings.h"
#include "hub/source.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "tools/peft/download_bar.h"
#include "tools/peft/handles.h"

namespace peft_tool {
namespace {

namespace hub = peft::hub;

using Finder = decltype(&hub::FindModel);

absl::StatusOr<std::string> Find(Finder find, const std::string& path,
                                 const std::string& revision) {
  hub::Options options;
  options.revision = revision;
  PEFT_ASSIGN_OR_RETURN(
      const std::unique_ptr<hub::HttpsTransport> transport,
      hub::HttpsTransport::Create(hub::HttpsOptionsFromProcess()));
  PEFT_ASSIGN_OR_RETURN(
      const std::unique_ptr<hub::HubClient> client,
      hub::CreateClient(options, hub::SettingsFromProcess(), transport.get()));
  DownloadBar bar;
  hub::DownloadOptions download;
  download.on_progress = [&bar](const hub::Progress& progress) {
    DownloadState state;
    state.bytes = progress.bytes;
    state.total_bytes = progress.total_bytes;
    state.files = progress.files;
    state.total_files = progress.total_files;
    bar.Show(state);
  };
  PEFT_ASSIGN_OR_RETURN(const hub::Source source,
                        find(path, "", options, *client, download));
  return source.folder;
}

int Fetch(Finder find, const char* file, const std::string& path,
          const std::string& revision, std::string* out_folder) {
  *out_folder = path;
  // What is no repository is a path, and its own errors say more.
  if (peft::FileExists(path + "/" + file) || !hub::IsOwnedName(path)) {
    return kExitOk;
  }
  const absl::StatusOr<std::string> folder = Find(find, path, revision);
  if (!folder.ok()) {
    return Fail(std::string(folder.status().message()) + " [" +
                peft::ErrorId(folder.status()) + "]");
  }
  *out_folder = *folder;
  return kExitOk;
}

}  // namespace

int FetchModel(const std::string& path, const std::string& revision,
               std::string* out_folder) {
  return Fetch(&hub::FindModel, "config.json", path, revision, out_folder);
}

int FetchAdapter(const std::string& path, const std::string& revision,
                 std::string* out_folder) {
  return Fetch(&hub::FindAdapter, "adapter_config.json", path, revision,
               out_folder);
}

}  // namespace peft_tool
