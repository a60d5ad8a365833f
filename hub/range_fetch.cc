#include "hub/range_fetch.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "hub/retry.h"
#include "kernels/thread_pool.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace hub {
namespace {

constexpr int kPartialContent = 206;
// Large pieces cost fewer requests, and more where one breaks off.
constexpr uint64_t kMinPiece = PartialFile::kPartSize;
constexpr uint64_t kMaxPiece = 4 * kMinPiece;
constexpr uint64_t kPiecesPerConnection = 8;
// How far ahead of what is there pieces begin, in pieces for each connection.
constexpr uint64_t kWindow = 2;

// In whole parts of the partial file.
uint64_t PieceSize(uint64_t file_size, const RangeOptions& options) {
  const uint64_t pieces =
      kPiecesPerConnection * static_cast<uint64_t>(options.max_connections);
  const uint64_t size = file_size / pieces / kMinPiece * kMinPiece;
  return std::min(std::max(size, kMinPiece), kMaxPiece);
}

}  // namespace

bool RangeFetch::IsOfUse(const RemoteFile& file, const RangeOptions& options,
                         const PartialFile& partial) {
  return options.max_connections > 1 && !partial.is_in_memory() &&
         file.size >= options.min_size &&
         file.size >= partial.size() + 2 * kMinPiece;
}

RangeFetch::RangeFetch(const RemoteFile& file, const FetchContext& context,
                       PartialFile& partial)
    : file_(file),
      context_(context),
      partial_(partial),
      piece_size_(PieceSize(file.size, context.ranges)),
      url_(file.url),
      next_(partial.size()) {}

absl::Status RangeFetch::Run() {
  const std::unique_ptr<kernels::ThreadPool> pool =
      kernels::CreateThreadPool(context_.ranges.max_connections);
  pool->ParallelFor(context_.ranges.max_connections,
                    [this](int64_t) { Work(); });
  context_.meter.AddBytes(-static_cast<int64_t>(ahead_));
  const bool is_parts = ErrorId(status_) == error_id::kHubResponse;
  return is_parts ? absl::OkStatus() : status_;
}

void RangeFetch::Work() {
  while (const absl::optional<Piece> piece = Take()) {
    Finish(*piece, Fetch(*piece));
  }
}

bool RangeFetch::MayTake() const {
  const uint64_t window =
      kWindow * static_cast<uint64_t>(context_.ranges.max_connections);
  return next_ == partial_.size() ||
         (etag_.has_value() && next_ < partial_.size() + window * piece_size_);
}

absl::optional<RangeFetch::Piece> RangeFetch::Take() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(
      lock, [this] { return stopped_ || next_ >= file_.size || MayTake(); });
  if (stopped_ || next_ >= file_.size) return absl::nullopt;
  // Pieces end where parts of the record do.
  const uint64_t end =
      (next_ / PartialFile::kPartSize * PartialFile::kPartSize) + piece_size_;
  const Piece piece = {next_, std::min(end, file_.size)};
  next_ = piece.end;
  return piece;
}

void RangeFetch::Finish(const Piece& piece, const absl::Status& status) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (status.ok()) {
    done_[piece.begin] = piece.end;
  } else if (!stopped_) {
    stopped_ = true;
    status_ = status;
  }
  while (!stopped_ && !done_.empty() &&
         done_.begin()->first == partial_.size()) {
    const uint64_t begin = partial_.size();
    status_ = partial_.AppendAhead(done_.begin()->second);
    stopped_ = !status_.ok();
    ahead_ -= partial_.size() - begin;
    done_.erase(done_.begin());
  }
  changed_.notify_all();
}

bool RangeFetch::IsCancelled() {
  if (context_.is_cancelled()) return true;
  const std::lock_guard<std::mutex> lock(mutex_);
  return stopped_;
}

Url RangeFetch::CurrentUrl() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return url_;
}

void RangeFetch::SetUrl(const Url& url) {
  const std::lock_guard<std::mutex> lock(mutex_);
  url_ = url;
}

absl::Status RangeFetch::Fetch(const Piece& piece) {
  Retries retries(context_.client.retry_policy());
  uint64_t at = piece.begin;
  uint64_t furthest = at;
  bool was_refused = false;
  while (at < piece.end) {
    const Url url = CurrentUrl();
    const Reply reply = Try(url, piece, &at);
    const Failure& failure = reply.failure;
    if (failure.status.ok() && at == piece.end) break;
    if (failure.status.ok()) return PartError("an answer that ends early");
    if (at >= furthest + kProgressBytes) {
      furthest = at;
      retries.Reset();
    }
    // A signed address may have expired.
    const bool refused =
        failure.http_status >= 400 && !url.HasOriginOf(file_.resolve_url);
    if (refused) SetUrl(file_.resolve_url);
    if (refused && !failure.is_transient && !was_refused) {
      was_refused = true;
      continue;
    }
    if (failure.http_status >= 400 && !failure.is_transient) {
      return PartError(absl::StrCat("status ", failure.http_status));
    }
    PEFT_RETURN_IF_ERROR(
        retries.Next(failure, [this] { return IsCancelled(); }));
  }
  return absl::OkStatus();
}

Reply RangeFetch::Try(const Url& url, const Piece& piece, uint64_t* at) {
  const Piece wanted = {*at, piece.end};
  return context_.client.GetBytes(
      url, {wanted.begin, wanted.end}, file_.subject,
      [&](const HttpResponse& response, const Url& from) {
        return CheckAnswer(response, from, wanted);
      },
      [&](absl::Span<const uint8_t> bytes) {
        return OnBytes(bytes, piece.end, at);
      },
      [this] { return IsCancelled(); });
}

absl::Status RangeFetch::PartError(absl::string_view found) const {
  return MakeError(
      absl::StatusCode::kDataLoss, error_id::kHubResponse,
      absl::StrCat(file_.subject, ": asked for a part of it, and got ", found),
      {file_.name, "", ""});
}

absl::Status RangeFetch::CheckAnswer(const HttpResponse& response,
                                     const Url& url, const Piece& wanted) {
  const absl::string_view range = FindField(response.fields, "Content-Range");
  if (response.status != kPartialContent ||
      range != absl::StrCat("bytes ", wanted.begin, "-", wanted.end - 1, "/",
                            file_.size)) {
    return PartError(
        absl::StrCat("status ", response.status, " and ", Quoted(range)));
  }
  const std::string etag(FindField(response.fields, "ETag"));
  const std::lock_guard<std::mutex> lock(mutex_);
  if (etag_.has_value() && *etag_ != etag) {
    return PartError("one of a file with another ETag");
  }
  etag_ = etag;
  url_ = url;
  changed_.notify_all();
  return absl::OkStatus();
}

absl::Status RangeFetch::OnBytes(absl::Span<const uint8_t> bytes, uint64_t end,
                                 uint64_t* at) {
  if (bytes.size() > end - *at) return PartError("more than that");
  PEFT_RETURN_IF_ERROR(partial_.WriteAhead(*at, bytes));
  *at += bytes.size();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ahead_ += bytes.size();
  }
  context_.meter.AddBytes(static_cast<int64_t>(bytes.size()));
  return absl::OkStatus();
}

}  // namespace hub
}  // namespace peft
