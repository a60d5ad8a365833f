// A blob on its way into the cache: the bytes so far, under a name of its own,
// with a record of what they should be, so that another process can go on where
// this one ends.
//
//   blobs/<etag>.<8 digits>.incomplete        the bytes
//   blobs/<etag>.<8 digits>.incomplete.peft   the record: a line that says what
//       and whose it is, then a line for each part: where the part ends, and
//       the digest of all bytes up to there
//
// Bytes are trusted only as far as they give the digests of the record. The
// last one names the whole, so nothing is hashed twice.
//
// A small file is kept in memory until it is whole: to go on with it would save
// nothing.
#ifndef HUB_PARTIAL_FILE_H_
#define HUB_PARTIAL_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "hub/hash.h"
#include "hub/transport.h"
#include "peft_cc/base/scoped_fd.h"

namespace peft {
namespace hub {

// Thread-compatible; one owner among all processes.
class PartialFile {
 public:
  // What each line of the record covers. The most that is fetched again after
  // a crash.
  static constexpr uint64_t kPartSize = 4u << 20;
  // The largest file that is kept in memory.
  static constexpr uint64_t kMaxInMemory = 1u << 20;

  // Goes on with one that a process that is gone has left for the blob
  // `blob_path` (".../blobs/<etag>", IsBlobName) of `size` bytes, else begins a
  // new one. Reads what is there, so it can take a while. Fails with FILE_WRITE
  // errors, and with CANCELLED (CANCELLED).
  static absl::StatusOr<PartialFile> Open(const std::string& blob_path,
                                          uint64_t size,
                                          CancelCheck is_cancelled);

  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&&) = delete;
  // Leaves what is there for the next one; removes what is of no use to it.
  ~PartialFile();

  // The bytes that are there.
  uint64_t size() const { return size_; }
  uint64_t expected_size() const { return expected_size_; }
  bool is_in_memory() const { return expected_size_ <= kMaxInMemory; }

  // Bytes beyond the expected size are counted, not written.
  absl::Status Append(absl::Span<const uint8_t> bytes);

  // Writes bytes that belong behind what is there, at `offset`. They do not
  // count until AppendAhead, and are lost with this process. Thread-safe with
  // itself and AppendAhead; not for what is_in_memory.
  absl::Status WriteAhead(uint64_t offset,
                          absl::Span<const uint8_t> bytes) const;

  // Appends the bytes up to `end`, which WriteAhead has written.
  absl::Status AppendAhead(uint64_t end);

  // Drops all bytes.
  absl::Status Restart();

  // True if all bytes are there and are what the etag names.
  bool IsRight() const;

  // The digest of what is there.
  std::string Hex() const { return digest_.Hex(); }

  // Gives the file, which IsRight, the blob's name.
  absl::Status Commit();

 private:
  PartialFile(const std::string& blob_path, uint64_t size);

  absl::Status WriteMemory() const;
  // Adds bytes that are written to the digest, and parts to the record.
  absl::Status Count(absl::Span<const uint8_t> bytes);
  absl::Status Create();
  // What else lies there for the same blob under names that end so.
  std::vector<std::string> Others(absl::string_view suffix) const;
  // Opens and locks the file `path` if its owner is gone and its record, which
  // is read, fits; else the result is not open. Removes a file that nobody can
  // go on with.
  ScopedFd Claim(const std::string& path, std::string* record) const;
  // Removes what others that are gone have left for the same blob.
  void RemoveOthers() const;
  static void Remove(const std::string& path);
  // Takes over the file `path`, if it can be claimed.
  bool TakeOver(const std::string& path, CancelCheck is_cancelled);
  bool TakeOverAny(CancelCheck is_cancelled);
  // Hashes the parts of `record` that the file has, and cuts both behind them;
  // neither if it is cancelled.
  absl::Status TrustParts(const std::string& record, CancelCheck is_cancelled);
  // Removes the file and its record.
  void Drop();
  absl::Status StartRecord();
  // The lines of `record` but its first.
  absl::Status WriteParts(const std::string& record);
  absl::Status WritePart();
  std::string RecordPath() const;
  absl::Status Error(absl::string_view what) const;

  const std::string blob_path_;
  const std::string etag_;
  const uint64_t expected_size_;
  std::string path_;  // "" when there is nothing to leave or remove
  ScopedFd fd_;
  ScopedFd record_;
  std::vector<uint8_t> memory_;  // instead of both
  Digest digest_;
  uint64_t size_ = 0;
  uint64_t recorded_ = 0;  // bytes that the record covers
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_PARTIAL_FILE_H_
