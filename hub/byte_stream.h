// A connection: bytes in order, both ways.
#ifndef HUB_BYTE_STREAM_H_
#define HUB_BYTE_STREAM_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "hub/wait.h"

namespace peft {
namespace hub {

// For one thread at a time. Destroying it closes the connection. After an error
// it is of no more use. Errors: those of Wait, and UNAVAILABLE (HUB_CONNECT).
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  // Waits for at least one byte; 0 when the other side has ended.
  virtual absl::StatusOr<size_t> Read(absl::Span<uint8_t> bytes,
                                      const Wait& wait) = 0;

  // Writes all of `bytes`.
  virtual absl::Status Write(absl::Span<const uint8_t> bytes,
                             const Wait& wait) = 0;

  // True if nothing came that was not read, the other side's end included: a
  // connection that nobody uses has to be so.
  virtual bool IsQuiet() = 0;
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_BYTE_STREAM_H_
