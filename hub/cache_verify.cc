#include "hub/cache_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "hub/hash.h"
#include "hub/tree_cache.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/scoped_fd.h"

namespace peft {
namespace hub {
namespace {

constexpr size_t kPiece = 1 << 20;

class Verifier {
 public:
  Verifier(const std::function<void(uint64_t)>& on_bytes,
           CancelCheck is_cancelled)
      : on_bytes_(on_bytes), is_cancelled_(is_cancelled), buffer_(kPiece) {}

  VerifyReport report;

  // `etag` is what `path` should be.
  absl::Status Check(const std::string& path, const std::string& etag) {
    const ScopedFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat info;
    if (!fd.is_open() || fstat(fd.get(), &info) != 0) {
      if (errno != ENOENT) Report(path, "cannot be read");
      return absl::OkStatus();
    }
    if (!S_ISREG(info.st_mode)) {
      Report(path, "is no file");
      return absl::OkStatus();
    }
    return Hash(fd.get(), static_cast<uint64_t>(info.st_size), path, etag);
  }

  void Report(const std::string& path, const std::string& what) {
    report.problems.push_back({path, what});
  }

 private:
  absl::Status Hash(int fd, uint64_t size, const std::string& path,
                    const std::string& etag) {
    Digest digest = Digest::ForBlob(etag, size);
    uint64_t done = 0;
    while (true) {
      if (is_cancelled_()) {
        return MakeError(absl::StatusCode::kCancelled, error_id::kCancelled,
                         "the caller asked to stop");
      }
      const ssize_t got = read(fd, buffer_.data(), buffer_.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        Report(path, "cannot be read");
        return absl::OkStatus();
      }
      if (got == 0) break;
      digest.Update(absl::MakeConstSpan(buffer_.data(), got));
      done += static_cast<uint64_t>(got);
      if (on_bytes_) on_bytes_(static_cast<uint64_t>(got));
    }
    if (digest.Hex() == etag) {
      ++report.num_blobs;
      report.num_bytes += done;
    } else {
      Report(path, absl::StrCat("does not have the bytes of ", etag,
                                ": remove it and fetch it again"));
    }
    return absl::OkStatus();
  }

  const std::function<void(uint64_t)>& on_bytes_;
  const CancelCheck is_cancelled_;
  std::vector<uint8_t> buffer_;
};

// What lies in the snapshot itself, by the listing of its commit.
absl::Status CheckCopies(const std::string& folder,
                         const CachedRevision& revision, Verifier& verifier) {
  const std::string blobs = folder + "/blobs/";
  const Tree tree =
      ReadTreeCache(absl::StrCat(folder, "/trees/", revision.commit, ".json"))
          .value_or(Tree());
  for (const CachedFile& file : revision.files) {
    if (absl::StartsWith(file.blob, blobs)) continue;
    const auto listed = tree.find(file.name);
    if (listed == tree.end() || !IsBlobName(listed->second.etag())) {
      ++verifier.report.num_unchecked;
      continue;
    }
    PEFT_RETURN_IF_ERROR(verifier.Check(file.blob, listed->second.etag()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<VerifyReport> VerifyRepo(
    const std::string& cache, const CachedRepo& repo,
    const std::function<void(uint64_t)>& on_bytes, CancelCheck is_cancelled) {
  Verifier verifier(on_bytes, is_cancelled);
  verifier.report.problems = repo.problems;
  const std::string folder = absl::StrCat(cache, "/", repo.folder);
  std::set<std::string> blobs(repo.unused_blobs.begin(),
                              repo.unused_blobs.end());
  for (const CachedRevision& revision : repo.revisions) {
    for (const CachedFile& file : revision.files) {
      if (absl::StartsWith(file.blob, folder + "/blobs/")) {
        blobs.insert(file.blob);
      }
    }
    PEFT_RETURN_IF_ERROR(CheckCopies(folder, revision, verifier));
  }
  for (const std::string& blob : blobs) {
    const std::string etag = blob.substr(blob.rfind('/') + 1);
    if (IsBlobName(etag)) {
      PEFT_RETURN_IF_ERROR(verifier.Check(blob, etag));
    } else {
      verifier.Report(blob, "has a name that is no hash");
    }
  }
  return std::move(verifier.report);
}

}  // namespace hub
}  // namespace peft
