// A repository's files in a folder of the user's own, as huggingface_hub's
// local_dir has them: real files, and what is known about them beside:
//
//   <folder>/.cache/huggingface/
//     .gitignore, CACHEDIR.TAG
//     download/<file>.metadata    the commit, the etag, and when it was checked
//     download/<file>.lock
//     trees/<commit>.json
#ifndef HUB_LOCAL_DIR_H_
#define HUB_LOCAL_DIR_H_

#include <string>

#include "absl/status/statusor.h"
#include "hub/hub_client.h"
#include "hub/repo_id.h"
#include "hub/snapshot.h"

namespace peft {
namespace hub {

// Fetches the files that `folder` lacks, or has from another commit or changed
// since. Files that are what the Hub names stay as they are; others are
// replaced, once their bytes are there. What an earlier call left, or a broken
// one, or the cache has, is used. The result has `folder`. Fails as DownloadSnapshot, and with
// HUB_OFFLINE where a request is needed and none may be made.
absl::StatusOr<Snapshot> DownloadToFolder(const HubClient& client,
                                          const RepoId& repo,
                                          const std::string& revision,
                                          const std::string& folder,
                                          const SnapshotOptions& options);

}  // namespace hub
}  // namespace peft

#endif  // HUB_LOCAL_DIR_H_
