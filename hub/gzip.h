// Decodes gzip as it arrives, in whatever parts (RFC 1952).
#ifndef HUB_GZIP_H_
#define HUB_GZIP_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "hub/transport.h"

namespace peft {
namespace hub {

// Memory is bounded by the window, whatever the size of the data.
class GzipDecoder {
 public:
  GzipDecoder();
  ~GzipDecoder();
  GzipDecoder(const GzipDecoder&) = delete;
  GzipDecoder& operator=(const GzipDecoder&) = delete;

  // Hands what `bytes` decode to, in parts of at most 64 KiB, to `sink`, whose
  // error it returns as it is. UNAVAILABLE (HUB_CONNECT) if they are no gzip or
  // do not have the checksum that they say.
  absl::Status Put(absl::Span<const uint8_t> bytes, BodySink sink);

  // All bytes were put. UNAVAILABLE (HUB_CONNECT) if some are missing.
  absl::Status Finish() const;

 private:
  class Member;

  std::unique_ptr<Member> member_;
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_GZIP_H_
