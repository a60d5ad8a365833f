// The bytes of one file, from the Hub into the cache.
#ifndef HUB_BLOB_DOWNLOAD_H_
#define HUB_BLOB_DOWNLOAD_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "hub/cache_writer.h"
#include "hub/download.h"
#include "hub/hub_client.h"
#include "hub/progress.h"
#include "hub/transport.h"

namespace peft {
namespace hub {

// A file of a repository at a commit, and where its bytes are.
struct RemoteFile {
  std::string subject;  // for messages
  std::string commit;
  std::string name;
  std::string etag;
  uint64_t size = 0;
  Url url;
  // Resolves to the bytes again, where `url` does not work any more.
  Url resolve_url;
};

// Who fetches bytes, and who wants to know of it.
struct FetchContext {
  const HubClient& client;
  ProgressMeter& meter;
  CancelCheck is_cancelled;  // called by several threads at once
  RangeOptions ranges = {};
};

// Bytes that a broken answer must have brought for the count of tries to start
// anew: a server that sends a few each time would else never end it.
inline constexpr uint64_t kProgressBytes = 256u << 10;

// Where and how files are stored.
struct StoreContext {
  FetchContext fetch;
  const CacheWriter& cache;
  bool force;  // also what is there already
  // How long another process that makes no progress is waited for.
  int64_t lock_limit_ms;
};

// Fetches `file` to `blob_path`, which appears when all bytes are there and
// are what the etag names. Goes on where an earlier attempt ended. Fails with
// HUB_HASH_MISMATCH where wrong bytes came twice, and with the errors of
// HubClient and of writing files.
absl::Status FetchBlob(const RemoteFile& file, const std::string& blob_path,
                       const FetchContext& context);

// Makes `blob_path` of the file `from`, if that has the right bytes; false if
// it does not. Fails as FetchBlob, without the errors of HubClient.
absl::StatusOr<bool> CopyBlob(const RemoteFile& file, const std::string& from,
                              const std::string& blob_path,
                              const FetchContext& context);

// Makes the snapshot's file, fetching its blob if the cache lacks it, with
// the lock of the blob.
absl::Status StoreFile(const RemoteFile& file, const StoreContext& context);

}  // namespace hub
}  // namespace peft

#endif  // HUB_BLOB_DOWNLOAD_H_
