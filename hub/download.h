// One file of a repository, in the cache.
#ifndef HUB_DOWNLOAD_H_
#define HUB_DOWNLOAD_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "hub/hub_client.h"
#include "hub/progress.h"
#include "hub/repo_id.h"

namespace peft {
namespace hub {

// When one large file is fetched over several connections at once: that helps
// where a server limits each of them.
struct RangeOptions {
  int max_connections = 4;                 // 1: never
  uint64_t min_size = uint64_t{64} << 20;  // of such a file, in bytes
};

struct DownloadOptions {
  std::string cache_dir;  // "": the settings'
  bool force = false;     // also what the cache has
  // How long another process that holds a lock and makes no progress is waited
  // for; then the file is fetched beside it.
  int64_t lock_limit_ms = 10000;
  RangeOptions ranges;
  // Called by several threads at once.
  std::function<bool()> is_cancelled = [] { return false; };
  ProgressCallback on_progress;
};

struct DownloadedFile {
  std::string path;
  std::string commit;
};

// True for an error that what the cache has does not make up for: the Hub says
// that there is no such thing, or the caller wants to end.
bool IsFinal(const absl::Status& status);

// The file of `revision`, fetched if the cache lacks it. A commit that is there
// costs no request, a branch one. Where the Hub cannot be asked, or refuses,
// what the cache has for the revision is the result.
//
// Fails with HUB_LOCAL_ENTRY_NOT_FOUND where no request may be made and the
// cache lacks the file, HUB_HASH_MISMATCH, and the errors of HubClient,
// CheckRevision, CheckFileName and of writing files (FILE_WRITE).
absl::StatusOr<DownloadedFile> DownloadFile(const HubClient& client,
                                            const RepoId& repo,
                                            const std::string& revision,
                                            const std::string& file,
                                            const DownloadOptions& options);

}  // namespace hub
}  // namespace peft

#endif  // HUB_DOWNLOAD_H_
