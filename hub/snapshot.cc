#include "hub/snapshot.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "hub/blob_download.h"
#include "hub/cache_writer.h"
#include "hub/many_files.h"
#include "hub/repo_cache.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace hub {
namespace {

// The download of one snapshot.
class SnapshotDownload {
 public:
  SnapshotDownload(const HubClient& client, const RepoId& repo,
                   const std::string& revision, const SnapshotOptions& options)
      : client_(client),
        repo_(repo),
        revision_(revision),
        options_(options),
        cache_dir_(options.cache_dir.empty() ? client.settings().cache_dir
                                             : options.cache_dir),
        subject_(
            absl::StrCat(repo.name(), " at revision ", Printable(revision))),
        reader_(cache_dir_, repo),
        writer_(cache_dir_, repo, client.settings().symlinks),
        meter_(options.on_progress) {}

  absl::StatusOr<Snapshot> Run() {
    PEFT_RETURN_IF_ERROR(CheckRevision(revision_));
    absl::Status status = FindCommit();
    if (status.ok()) status = FindTree();
    if (!status.ok()) return FromCache(status);
    // A read-only cache that has all of it is good enough.
    writer_.WriteRef(revision_, commit_).IgnoreError();
    std::vector<RemoteFile> missing;
    PEFT_RETURN_IF_ERROR(FindMissing(&missing));
    if (!missing.empty()) {
      status = client_.CheckOnline(subject_);
      if (!status.ok()) return FromCache(status);
      PEFT_RETURN_IF_ERROR(writer_.Prepare());
      status = Fetch(missing);
      if (IsListingSuspect(status)) writer_.RemoveTree(commit_);
      PEFT_RETURN_IF_ERROR(status);
    }
    const std::string folder = reader_.SnapshotFolder(commit_);
    PEFT_RETURN_IF_ERROR(MakeFolders(folder));
    return Snapshot{folder, commit_};
  }

 private:
  absl::Status FindCommit() {
    if (IsCommit(revision_)) {
      commit_ = revision_;
      return absl::OkStatus();
    }
    PEFT_RETURN_IF_ERROR(client_.CheckOnline(subject_));
    PEFT_ASSIGN_OR_RETURN(
        commit_,
        client_.ResolveRevision(repo_, revision_, options_.is_cancelled));
    return absl::OkStatus();
  }

  // The listing: the cache's where it has one.
  absl::Status FindTree() {
    const absl::optional<Tree> cached = writer_.ReadTree(commit_);
    if (cached.has_value()) {
      tree_ = *cached;
      return absl::OkStatus();
    }
    PEFT_ASSIGN_OR_RETURN(
        tree_, client_.ListFiles(repo_, commit_, options_.is_cancelled));
    writer_.WriteTree(commit_, tree_).IgnoreError();
    return absl::OkStatus();
  }

  bool IsMissing(const std::string& name) const {
    return options_.force || !FileExists(writer_.PointerPath(commit_, name));
  }

  absl::Status FindMissing(std::vector<RemoteFile>* missing) {
    for (const std::string& name : ChooseFiles(tree_, options_)) {
      const TreeFile& file = tree_.at(name);
      meter_.Expect(static_cast<int64_t>(file.size));
      if (!IsMissing(name)) {
        meter_.AddBytes(static_cast<int64_t>(file.size));
        meter_.FileDone();
        continue;
      }
      // The listing has what a HEAD of the file would say.
      PEFT_ASSIGN_OR_RETURN(const Url url,
                            client_.FileUrl(repo_, commit_, name));
      missing->push_back({absl::StrCat(repo_.name(), "/", Printable(name),
                                       " at commit ", commit_),
                          commit_, name, file.etag(), file.size, url, url});
    }
    return absl::OkStatus();
  }

  absl::Status Fetch(const std::vector<RemoteFile>& missing) {
    const RangeOptions ranges = ShareConnections(missing, options_);
    return ForEachFile(missing, options_,
                       [&](const RemoteFile& file, CancelCheck is_cancelled) {
                         const absl::Status status = StoreFile(
                             file, {{client_, meter_, is_cancelled, ranges},
                                    writer_,
                                    options_.force,
                                    options_.lock_limit_ms});
                         if (status.ok()) meter_.FileDone();
                         return status;
                       });
  }

  // What the cache has, where the Hub's answer is `why`.
  absl::StatusOr<Snapshot> FromCache(const absl::Status& why) {
    if (IsFinal(why)) return why;
    const bool offline = ErrorId(why) == error_id::kHubOffline;
    if (options_.force) return why;
    PEFT_ASSIGN_OR_RETURN(const absl::optional<std::string> commit,
                          reader_.CommitOf(revision_));
    if (!commit.has_value() ||
        !DirectoryExists(reader_.SnapshotFolder(*commit))) {
      return offline ? NotCached("has no snapshot of it", why) : why;
    }
    commit_ = *commit;
    for (const std::string& name :
         ChooseFiles(writer_.ReadTree(commit_).value_or(Tree()), options_)) {
      if (IsMissing(name)) {
        return NotCached(absl::StrCat("has an incomplete snapshot of it, "
                                      "without ",
                                      Quoted(name)),
                         why);
      }
    }
    return Snapshot{reader_.SnapshotFolder(commit_), commit_};
  }

  absl::Status NotCached(const std::string& what, const absl::Status& why) {
    return MakeError(absl::StatusCode::kNotFound,
                     error_id::kHubLocalEntryNotFound,
                     absl::StrCat(subject_, ": the cache ", Quoted(cache_dir_),
                                  " ", what, " (", why.message(), ")"),
                     {subject_, "", ""});
  }

  const HubClient& client_;
  const RepoId& repo_;
  const std::string& revision_;
  const SnapshotOptions& options_;
  const std::string cache_dir_;
  const std::string subject_;
  const RepoCache reader_;
  const CacheWriter writer_;
  ProgressMeter meter_;
  std::string commit_;
  Tree tree_;
};

}  // namespace

absl::StatusOr<Snapshot> DownloadSnapshot(const HubClient& client,
                                          const RepoId& repo,
                                          const std::string& revision,
                                          const SnapshotOptions& options) {
  return SnapshotDownload(client, repo, revision, options).Run();
}

}  // namespace hub
}  // namespace peft
