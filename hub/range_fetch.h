// The bytes of one large file over several connections at once.
#ifndef HUB_RANGE_FETCH_H_
#define HUB_RANGE_FETCH_H_

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "hub/blob_download.h"
#include "hub/hub_client.h"
#include "hub/partial_file.h"

namespace peft {
namespace hub {

// Fetches pieces that follow each other. They may come in any order; each is
// appended to the partial file when all before it are there, so that a file
// that breaks off is as one that came in a single stream, and everything is
// hashed in order. Pieces are handed out no further ahead than a few for each
// connection: that is what a killed process has fetched for nothing.
//
// The first piece shows whether the server gives parts; the others begin when
// its answer does, at the address that answered, so that the Hub is not asked
// for each.
class RangeFetch {
 public:
  // True if `file` is large enough, and several connections are wanted.
  static bool IsOfUse(const RemoteFile& file, const RangeOptions& options,
                      const PartialFile& partial);

  // All must outlive this.
  RangeFetch(const RemoteFile& file, const FetchContext& context,
             PartialFile& partial);

  // Until all bytes are there, or a server shows that it is not to be trusted
  // with parts: ignores what is asked for, gives another, or of a file that is
  // named by another ETag. The rest is for a single stream then, and not an
  // error. Errors: of the network once tries are used up, of writing, and
  // CANCELLED.
  absl::Status Run();

 private:
  struct Piece {
    uint64_t begin;
    uint64_t end;
  };

  void Work();
  bool MayTake() const;
  // Waits for a piece that may be fetched; nothing when there is no more to do.
  absl::optional<Piece> Take();
  void Finish(const Piece& piece, const absl::Status& status);
  absl::Status Fetch(const Piece& piece);
  Reply Try(const Url& url, const Piece& piece, uint64_t* at);
  absl::Status CheckAnswer(const HttpResponse& response, const Url& url,
                           const Piece& wanted);
  absl::Status OnBytes(absl::Span<const uint8_t> bytes, uint64_t end,
                       uint64_t* at);
  absl::Status PartError(absl::string_view found) const;
  bool IsCancelled();
  Url CurrentUrl();
  void SetUrl(const Url& url);

  const RemoteFile& file_;
  const FetchContext& context_;
  PartialFile& partial_;
  const uint64_t piece_size_;

  std::mutex mutex_;
  std::condition_variable changed_;
  // All below, and partial_'s end, under the mutex.
  Url url_;
  absl::optional<std::string> etag_;   // the first answer's, once it came
  uint64_t next_;                      // where the next piece begins
  std::map<uint64_t, uint64_t> done_;  // begin and end, behind partial_'s end
  uint64_t ahead_ = 0;  // bytes that were told of and are not in partial_
  bool stopped_ = false;
  absl::Status status_;  // the first error
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_RANGE_FETCH_H_
