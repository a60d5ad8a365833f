#include "tools/peft/fetch.h"

#include "hub/repo_id.h"
#include "hub/settings.h"
#include "hub/source.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "tools/peft/download_bar.h"
#include "tools/peft/handles.h"

namespace peft_tool {

namespace hub = peft::hub;

absl::Status Fetcher::MakeClient() {
  if (client_ != nullptr) return absl::OkStatus();
  PEFT_ASSIGN_OR_RETURN(
      transport_, hub::HttpsTransport::Create(hub::HttpsOptionsFromProcess()));
  PEFT_ASSIGN_OR_RETURN(
      client_,
      hub::CreateClient({}, hub::SettingsFromProcess(), transport_.get()));
  return absl::OkStatus();
}

absl::StatusOr<std::string> Fetcher::Find(Finder find, const std::string& path,
                                          const std::string& revision) {
  PEFT_RETURN_IF_ERROR(MakeClient());
  hub::Options options;
  options.revision = revision;
  DownloadBar bar;
  hub::DownloadOptions download;
  download.on_progress = bar.Callback();
  PEFT_ASSIGN_OR_RETURN(const hub::Source source,
                        find(path, "", options, *client_, download));
  return source.folder;
}

int Fetcher::Fetch(Finder find, const char* file, const std::string& path,
                   const std::string& revision, std::string* out_folder) {
  *out_folder = path;
  // What is no repository is a path, and its own errors say more.
  if (peft::FileExists(path + "/" + file) || !hub::IsOwnedName(path)) {
    return kExitOk;
  }
  const absl::StatusOr<std::string> folder = Find(find, path, revision);
  if (!folder.ok()) return Fail(folder.status());
  *out_folder = *folder;
  return kExitOk;
}

int Fetcher::Model(const std::string& path, const std::string& revision,
                   std::string* out_folder) {
  return Fetch(&hub::FindModel, "config.json", path, revision, out_folder);
}

int Fetcher::Adapter(const std::string& path, const std::string& revision,
                     std::string* out_folder) {
  return Fetch(&hub::FindAdapter, "adapter_config.json", path, revision,
               out_folder);
}

}  // namespace peft_tool
