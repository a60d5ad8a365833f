// All files of a repository at one commit, or those that patterns name, in the
// cache.
#ifndef HUB_SNAPSHOT_H_
#define HUB_SNAPSHOT_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "hub/answers.h"
#include "hub/download.h"
#include "hub/hub_client.h"
#include "hub/repo_id.h"

namespace peft {
namespace hub {

struct SnapshotOptions : DownloadOptions {
  std::vector<std::string> allow;  // patterns (IsWanted); empty: all files
  std::vector<std::string> ignore;
  // Which files of a listing, by their names in it, instead of patterns;
  // null: by them.
  std::function<std::vector<std::string>(const Tree&)> choose;
  int max_workers = 8;  // files that are fetched at once
};

struct Snapshot {
  std::string folder;
  std::string commit;
};

// Fetches what the cache lacks. The revision is resolved once, so that all
// files are of one commit. A commit that is there costs no request, a branch
// one. Where the Hub cannot be asked, the folder that the cache has for the
// revision is the result, unless its listing says that wanted files are
// missing. Fails as DownloadFile.
absl::StatusOr<Snapshot> DownloadSnapshot(const HubClient& client,
                                          const RepoId& repo,
                                          const std::string& revision,
                                          const SnapshotOptions& options);

}  // namespace hub
}  // namespace peft

#endif  // HUB_SNAPSHOT_H_
