// Asks a Hub from the command line, for tests against a server:
//
//   hub_driver download REPO FILE [OPTIONS]
//   hub_driver snapshot REPO [OPTIONS]
//   hub_driver info REPO [OPTIONS]     the commit
//   hub_driver refs REPO [OPTIONS]     a line "ref commit" each
//   hub_driver tree REPO [OPTIONS]     a line "path size etag" each
//
// Options: --revision R, --cache-dir D, --token T, --type dataset|space,
// --include P and --exclude P (repeated), --force, --local-files-only,
// --local-dir D (snapshot), --lock-limit-ms N, --retry-wait-ms N (the first
// wait, and the longest),
// --max-retries N, --workers N, --connections N (for one file of at least
// --parallel-from BYTES), --progress (a line for each call on stderr),
// --memory (at the end, a line on stderr that ends with the most memory that
// was in use).
//
// Prints the path, or "ERROR <id> <message>" and exits with 1.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "hub/download.h"
#include "hub/https_transport.h"
#include "hub/hub_client.h"
#include "hub/local_dir.h"
#include "hub/repo_id.h"
#include "hub/settings.h"
#include "hub/snapshot.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

// The command line: words, and the values of options.
struct Command {
  std::vector<std::string> words;
  std::map<std::string, std::vector<std::string>> options;

  std::string Get(const std::string& name, const std::string& fallback) const {
    const auto found = options.find(name);
    return found == options.end() ? fallback : found->second.back();
  }
  std::vector<std::string> GetAll(const std::string& name) const {
    const auto found = options.find(name);
    return found == options.end() ? std::vector<std::string>() : found->second;
  }
  bool Has(const std::string& name) const { return options.count(name) > 0; }
};

bool IsFlag(const std::string& name) {
  return name == "--force" || name == "--local-files-only" ||
         name == "--progress" || name == "--memory";
}

Command ParseCommand(int argc, char** argv) {
  Command command;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.rfind("--", 0) != 0) {
      command.words.push_back(word);
    } else {
      const bool has_value = !IsFlag(word) && i + 1 < argc;
      command.options[word].push_back(has_value ? argv[++i] : "");
    }
  }
  return command;
}

bool Never() { return false; }

void PrintProgress(const Progress& progress) {
  std::cerr << progress.bytes << '/' << progress.total_bytes << " bytes, "
            << progress.files << '/' << progress.total_files << " files\n";
}

void PrintPeakMemory() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.rfind("VmHWM:", 0) == 0) std::cerr << line << '\n';
  }
}

RepoType TypeOf(const std::string& name) {
  if (name == "dataset") return RepoType::kDataset;
  return name == "space" ? RepoType::kSpace : RepoType::kModel;
}

ClientOptions ClientOptionsOf(const Command& command) {
  ClientOptions options;
  options.token = command.Get("--token", "");
  options.local_files_only = command.Has("--local-files-only");
  options.user_agent = "hub_driver";
  const int wait = std::atoi(command.Get("--retry-wait-ms", "1000").c_str());
  options.retry.first_wait_ms = wait;
  options.retry.max_wait_ms = wait < 1000 ? wait : 8000;
  options.retry.max_retries =
      std::atoi(command.Get("--max-retries", "5").c_str());
  return options;
}

SnapshotOptions SnapshotOptionsOf(const Command& command) {
  SnapshotOptions options;
  options.cache_dir = command.Get("--cache-dir", "");
  options.force = command.Has("--force");
  options.lock_limit_ms =
      std::atoi(command.Get("--lock-limit-ms", "10000").c_str());
  options.allow = command.GetAll("--include");
  options.ignore = command.GetAll("--exclude");
  options.max_workers = std::atoi(command.Get("--workers", "8").c_str());
  options.ranges.max_connections =
      std::atoi(command.Get("--connections", "4").c_str());
  if (command.Has("--parallel-from")) {
    options.ranges.min_size = static_cast<uint64_t>(
        std::atoll(command.Get("--parallel-from", "").c_str()));
  }
  if (command.Has("--progress")) options.on_progress = PrintProgress;
  return options;
}

absl::Status PrintRefs(const HubClient& client, const RepoId& repo) {
  PEFT_ASSIGN_OR_RETURN(const std::vector<Ref> refs,
                        client.ListRefs(repo, true, Never));
  for (const Ref& ref : refs) std::cout << ref.ref << ' ' << ref.commit << '\n';
  return absl::OkStatus();
}

absl::Status PrintTree(const HubClient& client, const RepoId& repo,
                       const std::string& revision) {
  PEFT_ASSIGN_OR_RETURN(const Tree tree,
                        client.ListFiles(repo, revision, Never));
  for (const auto& [path, file] : tree) {
    std::cout << path << ' ' << file.size << ' ' << file.etag() << '\n';
  }
  return absl::OkStatus();
}

absl::Status Run(const Command& command) {
  if (command.words.size() < 2) {
    return ArgumentError("usage: hub_driver COMMAND REPO [FILE] [OPTIONS]");
  }
  const std::string& what = command.words[0];
  const std::string revision = command.Get("--revision", "main");
  PEFT_ASSIGN_OR_RETURN(
      const RepoId repo,
      RepoId::Create(command.words[1], TypeOf(command.Get("--type", ""))));
  PEFT_ASSIGN_OR_RETURN(const auto transport,
                        HttpsTransport::Create(HttpsOptionsFromProcess()));
  PEFT_ASSIGN_OR_RETURN(
      const auto client,
      HubClient::Create(SettingsFromProcess(), ClientOptionsOf(command),
                        transport.get()));
  const SnapshotOptions options = SnapshotOptionsOf(command);
  if (what == "refs") return PrintRefs(*client, repo);
  if (what == "tree") return PrintTree(*client, repo, revision);
  if (what == "info") {
    PEFT_ASSIGN_OR_RETURN(const std::string commit,
                          client->ResolveRevision(repo, revision, Never));
    std::cout << commit << '\n';
  } else if (what == "snapshot") {
    const std::string folder = command.Get("--local-dir", "");
    PEFT_ASSIGN_OR_RETURN(
        const Snapshot snapshot,
        folder.empty()
            ? DownloadSnapshot(*client, repo, revision, options)
            : DownloadToFolder(*client, repo, revision, folder, options));
    std::cout << snapshot.folder << '\n';
  } else if (what == "download" && command.words.size() == 3) {
    PEFT_ASSIGN_OR_RETURN(
        const DownloadedFile file,
        DownloadFile(*client, repo, revision, command.words[2], options));
    std::cout << file.path << '\n';
  } else {
    return ArgumentError("unknown command, or one that lacks its file");
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace hub
}  // namespace peft

int main(int argc, char** argv) {
  const peft::hub::Command command = peft::hub::ParseCommand(argc, argv);
  const absl::Status status = peft::hub::Run(command);
  if (command.Has("--memory")) peft::hub::PrintPeakMemory();
  if (status.ok()) return 0;
  std::cout << "ERROR " << peft::ErrorId(status) << ' ' << status.message()
            << '\n';
  return 1;
}
