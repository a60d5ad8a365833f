// Whose a partial file is, and whether its owner still writes to it.
#ifndef HUB_PARTIAL_OWNER_H_
#define HUB_PARTIAL_OWNER_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace peft {
namespace hub {

// How the names of partial files end, and those of their records.
inline constexpr char kPartialSuffix[] = ".incomplete";
inline constexpr char kPartialRecordSuffix[] = ".incomplete.peft";

// True if a lock on the file `path` keeps others out, and somebody, who may be
// this process, has it: some file systems grant locks to everyone.
bool IsLocked(const std::string& path);

// The first line of a partial file's record.
struct PartialHeader {
  std::string etag;   // of the blob
  uint64_t size = 0;  // that it is to have
  int64_t pid = 0;    // the owner
  std::string host;
};

// The line for a file of this process, with its end.
std::string PartialHeaderLine(const std::string& etag, uint64_t size);

// False where `record` does not begin with such a line.
bool ParsePartialHeader(absl::string_view record, PartialHeader* header);

// True if nothing was written to `fd` for so long that its owner must be gone.
bool IsQuiet(int fd);

// True if nobody writes to `fd`, which this process has opened as `path` and
// locked.
bool IsAbandoned(const PartialHeader& header, const std::string& path, int fd);

// True if `path` still names the file that `fd` is.
bool IsNameOf(const std::string& path, int fd);

}  // namespace hub
}  // namespace peft

#endif  // HUB_PARTIAL_OWNER_H_
