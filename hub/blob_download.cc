#include "hub/blob_download.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "hub/cache_lock.h"
#include "hub/partial_file.h"
#include "hub/range_fetch.h"
#include "hub/retry.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/scoped_fd.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace hub {
namespace {

constexpr int kPartialContent = 206;
constexpr int kRangeNotSatisfiable = 416;
constexpr size_t kCopyBuffer = 1 << 20;

absl::Status MismatchError(const RemoteFile& file, const PartialFile& partial) {
  const bool size = partial.size() != file.size;
  const std::string expected = size ? absl::StrCat(file.size) : file.etag;
  const std::string found = size ? absl::StrCat(partial.size()) : partial.Hex();
  return MakeError(
      absl::StatusCode::kDataLoss, error_id::kHubHashMismatch,
      absl::StrCat(file.subject, ": Consistency check failed: file should be ",
                   size ? "of size " : "of digest ", expected, " but has ",
                   found,
                   "; what came was not kept: try again, and if it "
                   "stays so a mirror or proxy in between is to blame"),
      {file.name, expected, found});
}

// Where the bytes of a partial answer begin; -1 if it does not say.
int64_t RangeBegin(const HttpResponse& response) {
  absl::string_view range = FindField(response.fields, "Content-Range");
  int64_t begin = 0;
  if (!absl::ConsumePrefix(&range, "bytes ") ||
      !absl::SimpleAtoi(range.substr(0, range.find('-')), &begin)) {
    return -1;
  }
  return begin;
}

// The fetching of one file, in as many requests as it takes.
class Fetch {
 public:
  Fetch(const RemoteFile& file, const FetchContext& context,
        PartialFile& partial)
      : file_(file), context_(context), partial_(partial) {
    context_.meter.AddBytes(static_cast<int64_t>(partial_.size()));
  }

  // Until an answer is complete; it need not be right.
  absl::Status Run() {
    Retries retries(context_.client.retry_policy());
    Url url = file_.url;
    uint64_t furthest = partial_.size();
    while (partial_.size() < file_.size) {
      const Reply reply = Try(url);
      const absl::Status& status = reply.failure.status;
      // More than the file has: wrong bytes, like others.
      if (status.ok() || ErrorId(status) == error_id::kHubHashMismatch) break;
      if (partial_.size() >= furthest + kProgressBytes) {
        furthest = partial_.size();
        retries.Reset();
      }
      PEFT_RETURN_IF_ERROR(PrepareNextTry(reply.failure, &url, &retries));
    }
    return absl::OkStatus();
  }

  absl::Status Restart() {
    context_.meter.AddBytes(-static_cast<int64_t>(partial_.size()));
    return partial_.Restart();
  }

 private:
  Reply Try(const Url& url) {
    return context_.client.GetBytes(
        url, {partial_.size()}, file_.subject,
        [&](const HttpResponse& response, const Url&) {
          return OnAnswer(response);
        },
        [&](absl::Span<const uint8_t> bytes) { return OnBytes(bytes); },
        context_.is_cancelled);
  }

  absl::Status OnAnswer(const HttpResponse& response) {
    if (partial_.size() == 0) return absl::OkStatus();
    // The whole file, where a part was asked for.
    if (response.status != kPartialContent) return Restart();
    if (RangeBegin(response) == static_cast<int64_t>(partial_.size())) {
      return absl::OkStatus();
    }
    return MakeError(
        absl::StatusCode::kDataLoss, error_id::kHubResponse,
        absl::StrCat(file_.subject, ": asked for the bytes from ",
                     partial_.size(), " on, the answer has ",
                     Quoted(FindField(response.fields, "Content-Range"))),
        {file_.name, absl::StrCat(partial_.size()), ""});
  }

  absl::Status OnBytes(absl::Span<const uint8_t> bytes) {
    PEFT_RETURN_IF_ERROR(partial_.Append(bytes));
    context_.meter.AddBytes(static_cast<int64_t>(bytes.size()));
    if (partial_.size() <= file_.size) return absl::OkStatus();
    return MismatchError(file_, partial_);
  }

  absl::Status PrepareNextTry(const Failure& failure, Url* url,
                              Retries* retries) {
    // An answer to a part that is of no use; the whole may be better.
    const bool bad_part = failure.http_status == kRangeNotSatisfiable ||
                          ErrorId(failure.status) == error_id::kHubResponse;
    if (bad_part && partial_.size() > 0 && !restarted_) {
      restarted_ = true;
      return Restart();
    }
    // A signed address may have expired: once more, from the beginning.
    const bool refused =
        failure.http_status >= 400 && !url->HasOriginOf(file_.resolve_url);
    *url = file_.resolve_url;
    if (refused && !failure.is_transient) return absl::OkStatus();
    return retries->Next(failure, context_.is_cancelled);
  }

  const RemoteFile& file_;
  const FetchContext& context_;
  PartialFile& partial_;
  bool restarted_ = false;
};

bool HasBlob(const std::string& path, uint64_t size) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         static_cast<uint64_t>(info.st_size) == size;
}

// A blob that the cache has already, for the meter.
absl::Status UseBlob(const RemoteFile& file, const StoreContext& context) {
  context.fetch.meter.AddBytes(static_cast<int64_t>(file.size));
  return context.cache.WritePointer(file.etag, file.commit, file.name,
                                    /*is_new=*/false);
}

}  // namespace

absl::Status FetchBlob(const RemoteFile& file, const std::string& blob_path,
                       const FetchContext& context) {
  PEFT_ASSIGN_OR_RETURN(
      PartialFile partial,
      PartialFile::Open(blob_path, file.size, context.is_cancelled));
  Fetch fetch(file, context, partial);
  if (RangeFetch::IsOfUse(file, context.ranges, partial)) {
    PEFT_RETURN_IF_ERROR(RangeFetch(file, context, partial).Run());
  }
  PEFT_RETURN_IF_ERROR(fetch.Run());
  if (!partial.IsRight()) {
    PEFT_RETURN_IF_ERROR(fetch.Restart());
    PEFT_RETURN_IF_ERROR(fetch.Run());
  }
  if (partial.IsRight()) return partial.Commit();
  const absl::Status mismatch = MismatchError(file, partial);
  PEFT_RETURN_IF_ERROR(fetch.Restart());
  return mismatch;
}

absl::StatusOr<bool> CopyBlob(const RemoteFile& file, const std::string& from,
                              const std::string& blob_path,
                              const FetchContext& context) {
  if (!HasBlob(from, file.size)) return false;
  // The file may change meanwhile: what was read is what is hashed.
  const ScopedFd source(open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!source.is_open()) return false;
  PEFT_ASSIGN_OR_RETURN(
      PartialFile partial,
      PartialFile::Open(blob_path, file.size, context.is_cancelled));
  if (partial.size() > 0) PEFT_RETURN_IF_ERROR(partial.Restart());
  std::vector<uint8_t> buffer(kCopyBuffer);
  ssize_t size = 0;
  while (!context.is_cancelled() &&
         (size = read(source.get(), buffer.data(), buffer.size())) > 0) {
    PEFT_RETURN_IF_ERROR(partial.Append(
        absl::MakeConstSpan(buffer).first(static_cast<size_t>(size))));
  }
  if (!partial.IsRight()) {
    PEFT_RETURN_IF_ERROR(partial.Restart());
    return false;
  }
  PEFT_RETURN_IF_ERROR(partial.Commit());
  context.meter.AddBytes(static_cast<int64_t>(file.size));
  return true;
}

absl::Status StoreFile(const RemoteFile& file, const StoreContext& context) {
  const std::string blob = context.cache.BlobPath(file.etag);
  if (!context.force && HasBlob(blob, file.size)) {
    return UseBlob(file, context);
  }
  PEFT_ASSIGN_OR_RETURN(
      const CacheLock lock,
      CacheLock::Acquire(
          context.cache.LockPath(file.etag), context.lock_limit_ms,
          [&] { return context.cache.PartialBytes(file.etag); },
          context.fetch.is_cancelled));
  // Another one may have fetched it meanwhile.
  if (!context.force && HasBlob(blob, file.size)) {
    return UseBlob(file, context);
  }
  PEFT_RETURN_IF_ERROR(FetchBlob(file, blob, context.fetch));
  return context.cache.WritePointer(file.etag, file.commit, file.name,
                                    /*is_new=*/true);
}

}  // namespace hub
}  // namespace peft
