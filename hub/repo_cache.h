// One repository in the cache that huggingface_hub keeps, as it lies on disk:
//
//   <cache>/models--owner--name/
//     refs/<revision>                  the commit, 40 digits
//     blobs/<etag>                     contents
//     snapshots/<commit>/<file>        links to them, or files
//     .no_exist/<commit>/<file>        known not to be there
//
// Reading only, and by the file system alone: no request is ever made. What is
// there was written by others, so it is checked as any input.
#ifndef HUB_REPO_CACHE_H_
#define HUB_REPO_CACHE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "hub/repo_id.h"

namespace peft {
namespace hub {

// Immutable, so thread-safe. Other processes may write to the cache meanwhile.
class RepoCache {
 public:
  // `cache_dir` is the folder of all repositories (Settings::cache_dir).
  RepoCache(absl::string_view cache_dir, const RepoId& repo);

  // The commit that `revision` stood for when it was last asked for; itself, if
  // it is a commit. Nothing where the cache does not know. Fails with
  // INVALID_ARGUMENT (HUB_REVISION) as CheckRevision does.
  absl::StatusOr<absl::optional<std::string>> CommitOf(
      absl::string_view revision) const;

  // The folder of the files of `commit`, which IsCommit. It need not exist, and
  // need not hold them all.
  std::string SnapshotFolder(absl::string_view commit) const;

  // True if the cache says that `commit` has no such file. `file` must pass
  // CheckFileName.
  bool IsKnownMissing(absl::string_view commit, absl::string_view file) const;

  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;  // of the repository
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_REPO_CACHE_H_
