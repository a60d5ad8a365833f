// Reads one HTTP/1.1 answer from the bytes that a server sends, in whatever
// parts they come.
#ifndef HUB_RESPONSE_READER_H_
#define HUB_RESPONSE_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "hub/transport.h"

namespace peft {
namespace hub {

// Memory is bounded, whatever the server sends. For each part: ask for space(),
// put bytes there, Commit() them.
class ResponseReader {
 public:
  struct Options {
    // The answer to HEAD has no body, whatever its header says.
    bool has_body = true;
    // Of the status line and all fields together.
    uint32_t max_header_bytes = 1 << 16;
  };

  // Both callbacks must outlive the reader; see Transport::Exchange.
  ResponseReader(
      const Options& options,
      absl::FunctionRef<absl::Status(const HttpResponse&)> on_response,
      BodySink sink);
  ~ResponseReader();
  ResponseReader(const ResponseReader&) = delete;
  ResponseReader& operator=(const ResponseReader&) = delete;

  // Where to put the next bytes: never empty before is_done(), at most 128 KiB.
  absl::Span<uint8_t> space();

  // `size` bytes were put into space(). Calls on_response when the header is
  // complete, and sink with what there is of the body. Not after is_done() or
  // an error. UNAVAILABLE (HUB_CONNECT) for what is not HTTP.
  absl::Status Commit(size_t size);

  // The server sends nothing more. UNAVAILABLE (HUB_CONNECT) if the answer was
  // not complete.
  absl::Status CommitEnd();

  // True if any byte came.
  bool has_begun() const;
  bool is_header_done() const;
  bool is_done() const;
  // True if an error was a callback's.
  bool is_callers_error() const;
  // Once done: true if the next answer can come on the same connection.
  bool may_keep_connection() const;
  // Once the header is done.
  const HttpResponse& response() const;

 private:
  class Impl;

  std::unique_ptr<Impl> impl_;
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_RESPONSE_READER_H_
