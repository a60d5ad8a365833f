#include "hub/download.h"

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "hub/blob_download.h"
#include "hub/cache_writer.h"
#include "hub/repo_cache.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace hub {
namespace {

absl::Status NotCachedError(const std::string& subject,
                            const std::string& cache_dir,
                            const absl::Status& offline) {
  return MakeError(absl::StatusCode::kNotFound,
                   error_id::kHubLocalEntryNotFound,
                   absl::StrCat(subject, ": the cache ", Quoted(cache_dir),
                                " does not have it (", offline.message(), ")"),
                   {subject, "", ""});
}

// The download of one file.
class FileDownload {
 public:
  FileDownload(const HubClient& client, const RepoId& repo,
               const std::string& revision, const std::string& file,
               const DownloadOptions& options)
      : client_(client),
        repo_(repo),
        revision_(revision),
        file_(file),
        options_(options),
        cache_dir_(options.cache_dir.empty() ? client.settings().cache_dir
                                             : options.cache_dir),
        subject_(absl::StrCat(repo.name(), "/", Printable(file),
                              " at revision ", Printable(revision))),
        writer_(cache_dir_, repo, client.settings().symlinks) {}

  absl::StatusOr<DownloadedFile> Run() {
    PEFT_RETURN_IF_ERROR(CheckFileName(file_));
    PEFT_RETURN_IF_ERROR(FindCached());
    if (IsCommit(revision_) && cached_.has_value()) return *cached_;
    const absl::Status online = client_.CheckOnline(subject_);
    if (!online.ok()) {
      if (cached_.has_value()) return *cached_;
      if (options_.force) return online;
      return NotCachedError(subject_, cache_dir_, online);
    }
    std::string commit_without;
    const absl::StatusOr<FileMetadata> metadata = client_.GetMetadata(
        repo_, revision_, file_, /*retry=*/!cached_.has_value(),
        options_.is_cancelled, &commit_without);
    if (metadata.ok()) return Store(*metadata);
    if (!commit_without.empty()) Remember(commit_without);
    if (cached_.has_value() && !IsFinal(metadata.status())) return *cached_;
    return metadata.status();
  }

 private:
  // What the cache has for the revision, if that may be used.
  absl::Status FindCached() {
    PEFT_ASSIGN_OR_RETURN(const absl::optional<std::string> commit,
                          RepoCache(cache_dir_, repo_).CommitOf(revision_));
    if (!commit.has_value() || options_.force) return absl::OkStatus();
    const std::string path = writer_.PointerPath(*commit, file_);
    if (FileExists(path)) cached_ = DownloadedFile{path, *commit};
    return absl::OkStatus();
  }

  // That there is no such file. Only saves requests: errors do not count.
  void Remember(const std::string& commit) {
    writer_.MarkMissing(commit, file_).IgnoreError();
    writer_.WriteRef(revision_, commit).IgnoreError();
  }

  absl::StatusOr<DownloadedFile> Store(const FileMetadata& metadata) {
    if (IsCommit(revision_) && metadata.commit != revision_) {
      return MakeError(
          absl::StatusCode::kDataLoss, error_id::kHubResponse,
          absl::StrCat(subject_, ": the Hub's answer is of commit ",
                       metadata.commit, "; is a mirror or a proxy in between?"),
          {subject_, revision_, metadata.commit});
    }
    const DownloadedFile result = {writer_.PointerPath(metadata.commit, file_),
                                   metadata.commit};
    if (!options_.force && FileExists(result.path)) {
      // The cache may be read-only.
      writer_.WriteRef(revision_, metadata.commit).IgnoreError();
      return result;
    }
    PEFT_RETURN_IF_ERROR(writer_.Prepare());
    PEFT_RETURN_IF_ERROR(writer_.WriteRef(revision_, metadata.commit));
    PEFT_ASSIGN_OR_RETURN(const Url resolve_url,
                          client_.FileUrl(repo_, metadata.commit, file_));
    ProgressMeter meter(options_.on_progress);
    meter.Expect(static_cast<int64_t>(metadata.size));
    PEFT_RETURN_IF_ERROR(
        StoreFile({subject_, metadata.commit, file_, metadata.etag,
                   metadata.size, metadata.url, resolve_url},
                  {{client_, meter, options_.is_cancelled, options_.ranges},
                   writer_,
                   options_.force,
                   options_.lock_limit_ms}));
    meter.FileDone();
    return result;
  }

  const HubClient& client_;
  const RepoId& repo_;
  const std::string& revision_;
  const std::string& file_;
  const DownloadOptions& options_;
  const std::string cache_dir_;
  const std::string subject_;
  const CacheWriter writer_;
  absl::optional<DownloadedFile> cached_;
};

}  // namespace

bool IsFinal(const absl::Status& status) {
  const std::string id = ErrorId(status);
  return id == error_id::kHubRevisionNotFound ||
         id == error_id::kHubEntryNotFound || id == error_id::kHubProxy ||
         id == error_id::kCancelled;
}

absl::StatusOr<DownloadedFile> DownloadFile(const HubClient& client,
                                            const RepoId& repo,
                                            const std::string& revision,
                                            const std::string& file,
                                            const DownloadOptions& options) {
  return FileDownload(client, repo, revision, file, options).Run();
}

}  // namespace hub
}  // namespace peft
