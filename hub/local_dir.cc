#include "hub/local_dir.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/types/optional.h"
#include "hub/blob_download.h"
#include "hub/cache_lock.h"
#include "hub/cache_writer.h"
#include "hub/hash.h"
#include "hub/many_files.h"
#include "hub/tree_cache.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/file_write_internal.h"
#include "peft_cc/base/text_bytes.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace hub {
namespace {

constexpr uint64_t kMaxMetadata = 4096;

// What is known about a file: the three lines of its metadata.
struct Known {
  std::string commit;
  std::string etag;
  double checked_at = 0;  // seconds since 1970
};

absl::optional<Known> ReadKnown(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadTextFile(path, kMaxMetadata);
  if (!text.ok()) return absl::nullopt;
  const std::vector<std::string> lines = absl::StrSplit(*text, '\n');
  Known known;
  if (lines.size() < 3 || !IsCommit(lines[0]) ||
      !absl::SimpleAtod(lines[2], &known.checked_at)) {
    return absl::nullopt;
  }
  known.commit = lines[0];
  known.etag = lines[1];
  return known;
}

double Now() {
  return std::chrono::duration<double>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// The download into one folder.
class FolderDownload {
 public:
  FolderDownload(const HubClient& client, const RepoId& repo,
                 const std::string& folder, const std::string& commit,
                 const SnapshotOptions& options)
      : client_(client),
        repo_(repo),
        folder_(folder),
        state_(absl::StrCat(folder, "/.cache/huggingface")),
        commit_(commit),
        options_(options),
        cache_(options.cache_dir.empty() ? client.settings().cache_dir
                                         : options.cache_dir,
               repo, client.settings().symlinks),
        meter_(options.on_progress) {}

  absl::Status Run() {
    PEFT_RETURN_IF_ERROR(Prepare());
    PEFT_ASSIGN_OR_RETURN(const Tree tree, ListFiles());
    std::vector<RemoteFile> files;
    for (const std::string& name : ChooseFiles(tree, options_)) {
      const TreeFile& file = tree.at(name);
      PEFT_ASSIGN_OR_RETURN(const Url url,
                            client_.FileUrl(repo_, commit_, name));
      files.push_back({absl::StrCat(repo_.name(), "/", Printable(name),
                                    " at commit ", commit_),
                       commit_, name, file.etag(), file.size, url, url});
      meter_.Expect(static_cast<int64_t>(file.size));
    }
    ranges_ = ShareConnections(files, options_);
    const absl::Status status = ForEachFile(
        files, options_, [&](const RemoteFile& file, CancelCheck is_cancelled) {
          return Update(file, is_cancelled);
        });
    if (IsListingSuspect(status)) unlink(TreePath().c_str());
    return status;
  }

 private:
  std::string TreePath() const {
    return absl::StrCat(state_, "/trees/", commit_, ".json");
  }
  std::string StatePath(const std::string& name, const char* what) const {
    return absl::StrCat(state_, "/download/", name, what);
  }

  absl::Status Prepare() const {
    PEFT_RETURN_IF_ERROR(MakeFolders(absl::StrCat(state_, "/download")));
    const std::string ignore = absl::StrCat(state_, "/.gitignore");
    if (!FileExists(ignore)) {
      PEFT_RETURN_IF_ERROR(WriteTextFile(ignore, "*"));
    }
    WriteCacheTag(state_);
    return absl::OkStatus();
  }

  absl::StatusOr<Tree> ListFiles() const {
    const absl::optional<Tree> kept = ReadTreeCache(TreePath());
    if (kept.has_value()) return *kept;
    const absl::optional<Tree> cached = cache_.ReadTree(commit_);
    if (cached.has_value()) return *cached;
    PEFT_ASSIGN_OR_RETURN(
        const Tree tree,
        client_.ListFiles(repo_, commit_, options_.is_cancelled));
    WriteTextFile(TreePath(), DumpTreeCache(tree)).IgnoreError();
    return tree;
  }

  // Brings one file up to date.
  absl::Status Update(const RemoteFile& file, CancelCheck is_cancelled) {
    PEFT_RETURN_IF_ERROR(MakeFolders(FolderOf(StatePath(file.name, ""))));
    PEFT_RETURN_IF_ERROR(MakeFolders(FolderOf(PathOf(file))));
    PEFT_ASSIGN_OR_RETURN(
        const CacheLock lock,
        CacheLock::Acquire(
            StatePath(file.name, ".lock"), options_.lock_limit_ms,
            [] { return uint64_t{0}; }, is_cancelled));
    if (!options_.force && IsUpToDate(file)) {
      meter_.AddBytes(static_cast<int64_t>(file.size));
    } else {
      PEFT_RETURN_IF_ERROR(Fetch(file, is_cancelled));
    }
    PEFT_RETURN_IF_ERROR(WriteTextFile(
        StatePath(file.name, ".metadata"),
        absl::StrFormat("%s\n%s\n%.6f\n", commit_, file.etag, Now())));
    meter_.FileDone();
    return absl::OkStatus();
  }

  std::string PathOf(const RemoteFile& file) const {
    return absl::StrCat(folder_, "/", file.name);
  }

  // True if the file is there and is what the Hub has, as far as is known: it
  // has not changed since it was checked, or is read.
  bool IsUpToDate(const RemoteFile& file) const {
    struct stat info;
    if (stat(PathOf(file).c_str(), &info) != 0 || !S_ISREG(info.st_mode) ||
        static_cast<uint64_t>(info.st_size) != file.size) {
      return false;
    }
    const absl::optional<Known> known =
        ReadKnown(StatePath(file.name, ".metadata"));
    if (known.has_value() &&
        static_cast<double>(info.st_mtime) - 1 <= known->checked_at) {
      return known->etag == file.etag;
    }
    const absl::StatusOr<Bytes> bytes =
        ReadFile(PathOf(file), ReadMode::kMap, file.size);
    if (!bytes.ok()) return false;
    Digest digest = Digest::ForBlob(file.etag, file.size);
    digest.Update(bytes->data);
    return digest.Hex() == file.etag;
  }

  // Of the snapshot, which may hold files instead of links, or of any commit.
  absl::StatusOr<bool> CopyFromCache(const RemoteFile& file,
                                     const std::string& blob,
                                     const FetchContext& context) const {
    if (options_.force) return false;
    for (const std::string& path :
         {cache_.PointerPath(commit_, file.name), cache_.BlobPath(file.etag)}) {
      PEFT_ASSIGN_OR_RETURN(const bool is_copied,
                            CopyBlob(file, path, blob, context));
      if (is_copied) return true;
    }
    return false;
  }

  // In a folder of its own: two files may have the same content.
  absl::Status Fetch(const RemoteFile& file, CancelCheck is_cancelled) {
    Digest name = Digest::Sha1();
    name.Update(BytesOf(file.name));
    const std::string work = StatePath(name.Hex(), "");
    PEFT_RETURN_IF_ERROR(MakeFolders(work));
    const std::string blob = absl::StrCat(work, "/", file.etag);
    const FetchContext context = {client_, meter_, is_cancelled, ranges_};
    PEFT_ASSIGN_OR_RETURN(const bool is_copied,
                          CopyFromCache(file, blob, context));
    if (!is_copied) PEFT_RETURN_IF_ERROR(FetchBlob(file, blob, context));
    if (rename(blob.c_str(), PathOf(file).c_str()) != 0) {
      return WriteError(PathOf(file), "rename failed", errno);
    }
    // Stays if another process is at work there.
    rmdir(work.c_str());
    return absl::OkStatus();
  }

  const HubClient& client_;
  const RepoId& repo_;
  const std::string folder_;
  const std::string state_;
  const std::string commit_;
  const SnapshotOptions& options_;
  const CacheWriter cache_;  // only read
  ProgressMeter meter_;
  RangeOptions ranges_;
};

}  // namespace

absl::StatusOr<Snapshot> DownloadToFolder(const HubClient& client,
                                          const RepoId& repo,
                                          const std::string& revision,
                                          const std::string& folder,
                                          const SnapshotOptions& options) {
  PEFT_RETURN_IF_ERROR(CheckRevision(revision));
  std::string commit = revision;
  if (!IsCommit(revision)) {
    PEFT_ASSIGN_OR_RETURN(
        commit, client.ResolveRevision(repo, revision, options.is_cancelled));
  }
  PEFT_RETURN_IF_ERROR(
      FolderDownload(client, repo, folder, commit, options).Run());
  return Snapshot{folder, commit};
}

}  // namespace hub
}  // namespace peft
