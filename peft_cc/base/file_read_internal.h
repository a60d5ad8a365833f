// What the readers of files at paths and of given ones share.
#ifndef PEFT_CC_BASE_FILE_READ_INTERNAL_H_
#define PEFT_CC_BASE_FILE_READ_INTERNAL_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/file.h"

namespace peft {

// DATA_LOSS (FILE_READ) for the file `name`.
absl::Status ReadError(const std::string& name, absl::string_view what);

// Memory for `size` bytes of the file `name`, in huge pages where it fills
// some. RESOURCE_EXHAUSTED (OUT_OF_MEMORY).
absl::StatusOr<std::shared_ptr<uint8_t>> AllocateBuffer(const std::string& name,
                                                        uint64_t size);

// Bytes [offset, offset + size) of what is open as `fd`, in pieces by `run`.
absl::Status ReadRange(const std::string& name, int fd, uint64_t offset,
                       uint64_t size, uint8_t* out, PieceRunner run);

// A map of these bytes, which the file has; `size` is not 0.
absl::StatusOr<Bytes> MapRange(const std::string& name, int fd, uint64_t offset,
                               uint64_t size);

}  // namespace peft

#endif  // PEFT_CC_BASE_FILE_READ_INTERNAL_H_
