// What is in the cache that huggingface_hub keeps, as its scan_cache_dir tells
// it: repositories, revisions, files, and what is wrong. Reading only.
#ifndef HUB_CACHE_SCAN_H_
#define HUB_CACHE_SCAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace peft {
namespace hub {

// A file of a snapshot.
struct CachedFile {
  std::string name;  // in the snapshot
  // What holds its bytes: the blob that the snapshot links to, which may be a
  // link to the blobs that repositories share, or the file itself.
  std::string blob;
  uint64_t size = 0;
};

struct CachedRevision {
  std::string commit;
  std::vector<std::string> refs;  // in order; none: detached
  std::vector<CachedFile> files;  // by name
  uint64_t size = 0;              // of its blobs, each once
  int64_t last_modified = 0;      // of its blobs, in seconds since 1970
  int64_t last_changed = 0;       // that, or when a file was added
};

// Something that does not belong there, or is missing.
struct CacheProblem {
  std::string path;
  std::string what;
};

struct CachedRepo {
  std::string type;    // "model", "dataset", "space", or "kernel"
  std::string id;      // "owner/name"
  std::string folder;  // its name in the cache
  std::vector<CachedRevision> revisions;  // by commit
  uint64_t size = 0;                      // of all blobs that revisions have
  int64_t num_files = 0;                  // these blobs
  int64_t last_used = 0;  // when a blob was read, as far as the system notes it
  int64_t last_modified = 0;
  // Blobs that no revision has, and partial downloads, by their paths.
  std::vector<std::string> unused_blobs;
  std::vector<std::string> partials;
  std::vector<CacheProblem> problems;
};

struct CacheScan {
  std::string folder;             // of the cache
  std::vector<CachedRepo> repos;  // by folder
  // Of what is no repository.
  std::vector<CacheProblem> problems;
};

// Looks at the folder `cache_dir`. Links are followed to blobs of the cache and
// nowhere else; what leads out of it is a problem of its repository. What
// vanishes meanwhile is not there. Fails with NOT_FOUND (FILE_NOT_FOUND) or
// INVALID_ARGUMENT (FILE_READ) where it is no folder.
absl::StatusOr<CacheScan> ScanCache(const std::string& cache_dir);

// The repository in the folder `name` of the cache `cache`, which is a real
// path. Its type is empty where the name is no repository's.
CachedRepo ScanRepo(const std::string& cache, const std::string& name);

}  // namespace hub
}  // namespace peft

#endif  // HUB_CACHE_SCAN_H_
