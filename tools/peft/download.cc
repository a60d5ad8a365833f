#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "hub/https_transport.h"
#include "hub/hub_client.h"
#include "hub/local_dir.h"
#include "hub/repo_id.h"
#include "hub/settings.h"
#include "hub/snapshot.h"
#include "peft_cc/base/error.h"
#include "tools/peft/args.h"
#include "tools/peft/commands.h"
#include "tools/peft/download_bar.h"
#include "tools/peft/handles.h"
#include "tools/peft/interrupt.h"

namespace peft_tool {
namespace {

const char kUsage[] = "peft download ID [OPTIONS]";

std::vector<OptionSpec> Specs() {
  return {
      {"--revision", "R", "a branch, a tag, a commit or refs/pr/N (main)"},
      {"--include", "P", "only files that match, as *.json; may be repeated"},
      {"--exclude", "P", "no files that match; may be repeated"},
      {"--type", "T", "model, dataset or space (model)"},
      {"--local-dir", "D", "into this folder instead of the cache"},
      {"--cache-dir", "D", "the cache (HF_HUB_CACHE, HF_HOME)"},
      {"--token", "T", "instead of HF_TOKEN and the token file"},
      {"--force", nullptr, "also what is there already"},
      {"--help", nullptr, "show this text"},
  };
}

absl::StatusOr<peft::hub::RepoType> TypeOf(const std::string& name) {
  if (name == "model") return peft::hub::RepoType::kModel;
  if (name == "dataset") return peft::hub::RepoType::kDataset;
  if (name == "space") return peft::hub::RepoType::kSpace;
  return peft::ArgumentError("--type \"" + name +
                             "\" is not model, dataset or space");
}

peft::hub::SnapshotOptions OptionsOf(const Args& args, DownloadBar* bar) {
  peft::hub::SnapshotOptions options;
  options.cache_dir = args.Get("--cache-dir");
  options.force = args.Has("--force");
  options.allow = args.GetAll("--include");
  options.ignore = args.GetAll("--exclude");
  // What was fetched is kept: the next call goes on there.
  options.is_cancelled = Interrupted;
  options.on_progress = bar->Callback();
  return options;
}

// The folder that has the files then.
absl::StatusOr<std::string> Download(const Args& args) {
  namespace hub = peft::hub;
  PEFT_ASSIGN_OR_RETURN(const hub::RepoType type,
                        TypeOf(args.Get("--type", "model")));
  PEFT_ASSIGN_OR_RETURN(const hub::RepoId repo,
                        hub::RepoId::Create(args.positional()[0], type));
  PEFT_ASSIGN_OR_RETURN(
      const std::unique_ptr<hub::HttpsTransport> transport,
      hub::HttpsTransport::Create(hub::HttpsOptionsFromProcess()));
  hub::ClientOptions client_options;
  client_options.token = args.Get("--token");
  client_options.user_agent = "peft";
  PEFT_ASSIGN_OR_RETURN(
      const std::unique_ptr<hub::HubClient> client,
      hub::HubClient::Create(hub::SettingsFromProcess(), client_options,
                             transport.get()));
  DownloadBar bar;
  const hub::SnapshotOptions options = OptionsOf(args, &bar);
  const std::string revision = args.Get("--revision", "main");
  const std::string folder = args.Get("--local-dir");
  PEFT_ASSIGN_OR_RETURN(
      const hub::Snapshot snapshot,
      folder.empty()
          ? hub::DownloadSnapshot(*client, repo, revision, options)
          : hub::DownloadToFolder(*client, repo, revision, folder, options));
  return snapshot.folder;
}

}  // namespace

int RunDownload(const std::vector<std::string>& words) {
  const Args args(words, Specs());
  if (args.Has("--help")) {
    return PrintHelp(HelpText(
        kUsage, "Fetches a repository of the Hugging Face Hub.", Specs(),
        "Prints the folder that has its files. What is there is not fetched\n"
        "again, and a download that was broken off goes on where it was."));
  }
  if (!args.error().empty()) return FailUsage("download", args.error());
  if (args.positional().size() != 1) {
    return FailUsage("download", "expected one repository, \"owner/name\"");
  }
  CatchInterrupts();
  const absl::StatusOr<std::string> folder = Download(args);
  if (!folder.ok()) return Fail(folder.status());
  std::printf("%s\n", folder->c_str());
  return kExitOk;
}

}  // namespace peft_tool
