// Whether the blobs of a cache are what their names say.
#ifndef HUB_CACHE_VERIFY_H_
#define HUB_CACHE_VERIFY_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "hub/cache_scan.h"
#include "hub/transport.h"

namespace peft {
namespace hub {

struct VerifyReport {
  int64_t num_blobs = 0;  // whose hash is the one that names them
  uint64_t num_bytes = 0;
  // Files that nothing names a hash of: copies in a cache without links.
  int64_t num_unchecked = 0;
  std::vector<CacheProblem> problems;
};

// Hashes all blobs of the repository, those that no revision has included, and
// the files of a snapshot without links where its listing is there. The
// problems of the scan come first. `on_bytes` is told of each piece that was
// read. Fails with CANCELLED (CANCELLED) alone; what vanishes meanwhile is not
// there.
absl::StatusOr<VerifyReport> VerifyRepo(
    const std::string& cache, const CachedRepo& repo,
    const std::function<void(uint64_t)>& on_bytes, CancelCheck is_cancelled);

}  // namespace hub
}  // namespace peft

#endif  // HUB_CACHE_VERIFY_H_
