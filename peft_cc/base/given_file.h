// Files that a program has itself: in memory, in a part of an open file, behind
// a function.
#ifndef PEFT_CC_BASE_GIVEN_FILE_H_
#define PEFT_CC_BASE_GIVEN_FILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "peft_cc/base/file.h"

namespace peft {

// One such file. Immutable; its reads are on the calling thread, or on those of
// the runner. `name` is for messages. Fails with DATA_LOSS (FILE_READ) where
// the file has fewer bytes than was said, and RESOURCE_EXHAUSTED
// (OUT_OF_MEMORY).
class GivenFile {
 public:
  virtual ~GivenFile() = default;

  uint64_t size() const { return size_; }

  // All of it.
  virtual absl::StatusOr<Bytes> Read(const std::string& name, ReadMode mode,
                                     PieceRunner run) const = 0;
  // Its first bytes, as many as `out` has.
  virtual absl::Status ReadStart(const std::string& name,
                                 absl::Span<uint8_t> out) const = 0;

 protected:
  explicit GivenFile(uint64_t size) : size_(size) {}

 private:
  const uint64_t size_;
};

// What a folder would have, by name.
using GivenFiles = std::map<std::string, std::shared_ptr<const GivenFile>>;

// The bytes at `data`. Read gives them as they are, whatever the mode, and
// nobody keeps them alive but the caller; with `copy` a copy.
std::shared_ptr<const GivenFile> FileInMemory(absl::Span<const uint8_t> data,
                                              bool copy);

// `size` bytes from `offset` on of what `fd` has open, which must stay so while
// the file is read; a map outlives it.
std::shared_ptr<const GivenFile> FileOfDescriptor(int fd, uint64_t offset,
                                                  uint64_t size);

// Writes up to `size` bytes from `offset` on to `buffer`. Returns their number,
// at least 1; else it has failed, as by an exception.
using ReadFunction = int64_t (*)(void* user_data, int64_t offset, void* buffer,
                                 int64_t size);

// `size` bytes that `read` gives.
std::shared_ptr<const GivenFile> FileOfFunction(ReadFunction read,
                                                void* user_data, uint64_t size);

}  // namespace peft

#endif  // PEFT_CC_BASE_GIVEN_FILE_H_
