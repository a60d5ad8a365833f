// A file that gets its name when it is whole.
#ifndef PEFT_CC_BASE_TEMPORARY_FILE_H_
#define PEFT_CC_BASE_TEMPORARY_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "peft_cc/base/scoped_fd.h"

namespace peft {

// Until then it has none where the file system can do that, so that nothing is
// left of it even if the process is killed; else one beside the target, which
// is removed again. Fails with FILE_WRITE errors. Thread-compatible.
class TemporaryFile {
 public:
  // `target` must outlive this.
  explicit TemporaryFile(const std::string& target) : target_(target) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile();

  // Creates a new file on the target's file system, with the permissions of the
  // umask.
  absl::Status Create();

  // Keeps what does not fill a huge page until more comes: a file system that
  // has such gives one to whatever is written in one piece, and the file is
  // mapped faster and read faster while it stays in the system's cache.
  absl::Status Append(absl::Span<const uint8_t> bytes);

  // Flushes the bytes to disk and gives the file its name, in place of another
  // one. That the name survives a loss of power is FlushFolder's work.
  absl::Status Commit();

 private:
  absl::Status Write(absl::Span<const uint8_t> bytes);
  bool CreateUnnamed();
  absl::Status CreateNamed();
  bool LinkTo(const std::string& path) const;
  // Gives a file without a name one beside the target.
  bool NameBeside();

  const std::string& target_;
  std::string path_;  // empty when there is nothing to remove
  ScopedFd fd_;
  std::vector<uint8_t> pending_;  // less than a huge page
};

}  // namespace peft

#endif  // PEFT_CC_BASE_TEMPORARY_FILE_H_
