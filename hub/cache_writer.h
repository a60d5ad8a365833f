// The writing half of one repository in the cache that huggingface_hub keeps:
// what Python would leave there, under names that appear whole.
#ifndef HUB_CACHE_WRITER_H_
#define HUB_CACHE_WRITER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "hub/answers.h"
#include "hub/repo_id.h"

namespace peft {
namespace hub {

// Makes `folder` and those above it, with the modes of the umask.
absl::Status MakeFolders(const std::string& folder);

// Immutable, so thread-safe; other threads and processes may write to the same
// repository. Commits must be IsCommit, etags IsBlobName, and file names pass
// CheckFileName. Functions that write fail with WriteFileAtomically's errors.
class CacheWriter {
 public:
  // With `symlinks` false, or where the file system has none, snapshots hold
  // files instead of links.
  CacheWriter(absl::string_view cache_dir, const RepoId& repo, bool symlinks);

  std::string BlobPath(absl::string_view etag) const;
  std::string PointerPath(absl::string_view commit,
                          absl::string_view file) const;
  std::string LockPath(absl::string_view etag) const;

  // The folders of blobs and locks, and the tag that says "a cache".
  absl::Status Prepare() const;

  // Remembers that `revision` stands for `commit`, unless it is that itself.
  // Writes only where something changes.
  absl::Status WriteRef(absl::string_view revision,
                        absl::string_view commit) const;

  // Remembers that `commit` has no such file.
  absl::Status MarkMissing(absl::string_view commit,
                           absl::string_view file) const;

  // Makes the file of the snapshot from its blob, replacing what is there.
  // `is_new`: the blob was written just now, and may be moved.
  absl::Status WritePointer(absl::string_view etag, absl::string_view commit,
                            absl::string_view file, bool is_new) const;

  // The listing of `commit` that a snapshot left; nothing where there is none,
  // or it is damaged.
  absl::optional<Tree> ReadTree(absl::string_view commit) const;
  absl::Status WriteTree(absl::string_view commit, const Tree& tree) const;

  // How many bytes of downloads of `etag` lie there, by anyone.
  uint64_t PartialBytes(absl::string_view etag) const;

 private:
  absl::Status WriteLink(absl::string_view etag, const std::string& pointer,
                         absl::string_view file) const;

  const std::string cache_dir_;
  const std::string folder_;  // of the repository
  const std::string locks_;   // of its locks
  const bool symlinks_;
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_CACHE_WRITER_H_
