// Removing from the cache what nobody needs, while others may fetch into it.
#ifndef HUB_CACHE_CLEAN_H_
#define HUB_CACHE_CLEAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "hub/cache_scan.h"

namespace peft {
namespace hub {

// What is to go of one repository. Nothing else is touched.
struct Removal {
  std::string folder;                // the repository's, in the cache
  bool whole = false;                // all of it, with its locks
  std::vector<std::string> commits;  // revisions
  // Of what stays: blobs that no revision that stays has, and partial
  // downloads that nobody continues.
  bool leftovers = false;
};

// What came of it.
struct Removed {
  std::vector<std::string> paths;  // folders and files that are gone
  uint64_t bytes = 0;              // of blobs and partial downloads
  std::vector<CacheProblem> kept;  // and why
};

// What prune does: revisions without a ref, and leftovers. Repositories with
// problems are left alone (their revisions may be elsewhere), and so is what
// was changed in the last `quiet_s` seconds before `now`.
std::vector<Removal> PlanPrune(const CacheScan& scan, int64_t now,
                               int64_t quiet_s);

// All that the cache has of the repository `id` of `type`, or with `revision`
// not empty its revision of that ref, commit or unique beginning of a commit.
// NOT_FOUND (FILE_NOT_FOUND) where there is none, INVALID_ARGUMENT (ARGUMENT)
// for a beginning of several.
absl::StatusOr<Removal> PlanRemove(const CacheScan& scan,
                                   absl::string_view type, absl::string_view id,
                                   absl::string_view revision);

// Does it, or with `dry_run` only says what it would do. A repository in which
// somebody holds a lock, because he is fetching, is kept, and so are partial
// downloads that somebody writes to. What is removed is looked for again under
// the locks; links are removed, never followed. `now` and `quiet_s` are for
// leftovers, as in PlanPrune.
Removed Remove(const std::string& cache, const Removal& removal, int64_t now,
               int64_t quiet_s, bool dry_run);

}  // namespace hub
}  // namespace peft

#endif  // HUB_CACHE_CLEAN_H_
