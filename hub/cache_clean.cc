#include "hub/cache_clean.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "hub/partial_owner.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/scoped_fd.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace hub {
namespace {

namespace fs = std::filesystem;

// Below these a commit's digits say too little.
constexpr size_t kMinPrefix = 4;

bool Contains(const std::vector<std::string>& texts, const std::string& text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

// True if the file `path` itself, or what it links to, was changed since
// `since`, or cannot be looked at.
bool ChangedSince(const std::string& path, int64_t since) {
  struct stat info;
  return lstat(path.c_str(), &info) != 0 || info.st_mtime > since;
}

// True if something is at `path`, and it is a link or no folder.
bool IsNoFolder(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode);
}

// The locks of one repository, all of them or none.
class RepoLocks {
 public:
  // Those that are there, and with `blobs` theirs.
  RepoLocks(const std::string& folder, const std::vector<std::string>& blobs) {
    const std::string all = folder.substr(0, folder.rfind('/'));
    if (IsNoFolder(all) || IsNoFolder(folder)) {
      // Clients lock nothing there, or something that is not the cache's.
      is_held_ = true;
      return;
    }
    std::set<std::string> paths;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end;
         it.increment(error)) {
      if (absl::EndsWith(it->path().string(), ".lock")) {
        paths.insert(it->path().string());
      }
    }
    for (const std::string& blob : blobs) {
      paths.insert(
          absl::StrCat(folder, "/", blob.substr(blob.rfind('/') + 1), ".lock"));
    }
    if (!blobs.empty()) fs::create_directories(folder, error);
    for (const std::string& path : paths) {
      if (!Take(path)) return;
    }
    is_held_ = true;
  }

  bool is_held() const { return is_held_; }

 private:
  // False where somebody else has it; what cannot be locked has no lock.
  bool Take(const std::string& path) {
    ScopedFd fd(
        open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0664));
    if (!fd.is_open()) return true;
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      return false;
    }
    locks_.push_back(std::move(fd));
    return true;
  }

  std::vector<ScopedFd> locks_;
  bool is_held_ = false;
};

// Removes from one repository.
class Remover {
 public:
  Remover(const std::string& cache, const Removal& removal, int64_t since,
          bool dry_run)
      : cache_(cache),
        folder_(absl::StrCat(cache, "/", removal.folder)),
        locks_(absl::StrCat(cache, "/.locks/", removal.folder)),
        removal_(removal),
        since_(since),
        dry_run_(dry_run) {}

  Removed Run() {
    const CachedRepo before = ScanRepo(cache_, removal_.folder);
    const RepoLocks locks(
        locks_, dry_run_ ? std::vector<std::string>() : LooseBlobs(before));
    if (!locks.is_held()) {
      Keep(folder_, "somebody is fetching into it");
      return std::move(removed_);
    }
    const CachedRepo repo = ScanRepo(cache_, removal_.folder);
    for (const std::string& partial : repo.partials) {
      if (removal_.whole && IsLocked(partial)) {
        Keep(folder_, "somebody is fetching into it");
        return std::move(removed_);
      }
    }
    if (removal_.whole) {
      RemoveWhole(repo);
    } else {
      for (const CachedRevision& revision : repo.revisions) {
        if (Goes(revision)) Detach(revision);
      }
      RemoveBlobs(LooseBlobs(repo));
      if (removal_.leftovers) RemovePartials(repo);
    }
    return std::move(removed_);
  }

 private:
  void Keep(const std::string& path, const std::string& why) {
    removed_.kept.push_back({path, why});
  }

  // Of prune: as long as nobody has named it, or added to it, meanwhile.
  bool Goes(const CachedRevision& revision) const {
    if (!Contains(removal_.commits, revision.commit)) return false;
    return !removal_.leftovers ||
           (revision.refs.empty() && revision.last_changed <= since_);
  }

  // Blobs that no revision which stays has: those of revisions that go, and
  // where leftovers go what nobody has.
  std::vector<std::string> LooseBlobs(const CachedRepo& repo) const {
    std::set<std::string> loose;
    std::set<std::string> used;
    for (const CachedRevision& revision : repo.revisions) {
      std::set<std::string>& blobs = Goes(revision) ? loose : used;
      for (const CachedFile& file : revision.files) blobs.insert(file.blob);
    }
    if (removal_.leftovers) {
      for (const std::string& blob : repo.unused_blobs) {
        if (!ChangedSince(blob, since_)) loose.insert(blob);
      }
    }
    std::vector<std::string> result;
    for (const std::string& blob : loose) {
      if (used.count(blob) == 0 &&
          absl::StartsWith(blob, folder_ + "/blobs/")) {
        result.push_back(blob);
      }
    }
    return result;
  }

  void RemoveWhole(const CachedRepo& repo) {
    removed_.bytes += repo.size;
    for (const auto* list : {&repo.unused_blobs, &repo.partials}) {
      for (const std::string& path : *list) removed_.bytes += SizeOf(path);
    }
    RemovePath(folder_, true);
    RemovePath(locks_, false);
  }

  // The refs go first: a revision that is half gone must not be found.
  void Detach(const CachedRevision& revision) {
    for (const std::string& ref : revision.refs) {
      RemovePath(absl::StrCat(folder_, "/refs/", ref), false);
    }
    for (const CachedFile& file : revision.files) {
      if (!absl::StartsWith(file.blob, folder_ + "/blobs/")) {
        removed_.bytes += file.size;
      }
    }
    RemovePath(absl::StrCat(folder_, "/snapshots/", revision.commit), true);
    RemovePath(absl::StrCat(folder_, "/.no_exist/", revision.commit), false);
    RemovePath(absl::StrCat(folder_, "/trees/", revision.commit, ".json"),
               false);
  }

  void RemoveBlobs(const std::vector<std::string>& blobs) {
    for (const std::string& blob : blobs) {
      removed_.bytes += SizeOf(blob);
      RemovePath(blob, true);
    }
  }

  void RemovePartials(const CachedRepo& repo) {
    for (const std::string& partial : repo.partials) {
      if (IsLocked(partial) || ChangedSince(partial, since_)) {
        Keep(partial, "somebody may be writing to it");
        continue;
      }
      removed_.bytes += SizeOf(partial);
      RemovePath(partial, true);
    }
  }

  static uint64_t SizeOf(const std::string& path) {
    struct stat info;
    const bool is_file =
        lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
    return is_file ? static_cast<uint64_t>(info.st_size) : 0;
  }

  // True if no folder on the way from the cache to `path` is a link.
  bool IsInside(const std::string& path) const {
    for (size_t slash = path.find('/', cache_.size() + 1);
         slash != std::string::npos; slash = path.find('/', slash + 1)) {
      struct stat info;
      if (lstat(path.substr(0, slash).c_str(), &info) != 0 ||
          !S_ISDIR(info.st_mode)) {
        return false;
      }
    }
    return true;
  }

  // A file, a link or a folder. `say`: it is worth telling.
  void RemovePath(const std::string& path, bool say) {
    struct stat info;
    if (lstat(path.c_str(), &info) != 0) return;
    if (!IsInside(path)) return Keep(path, "a link leads out of the cache");
    std::error_code error;
    if (!dry_run_) fs::remove_all(path, error);
    if (error) return Keep(path, error.message());
    if (say) removed_.paths.push_back(path);
  }

  const std::string cache_;
  const std::string folder_;
  const std::string locks_;
  const Removal& removal_;
  const int64_t since_;
  const bool dry_run_;
  Removed removed_;
};

// True if `revision` is called `name`: by a ref, its commit, or the beginning
// of that.
bool IsCalled(const CachedRevision& revision, const std::string& name) {
  return Contains(revision.refs, name) ||
         (name.size() >= kMinPrefix && absl::StartsWith(revision.commit, name));
}

absl::Status NotCached(absl::string_view what) {
  return MakeError(absl::StatusCode::kNotFound, error_id::kFileNotFound,
                   absl::StrCat("the cache has no ", what),
                   {std::string(what), "", ""});
}

}  // namespace

std::vector<Removal> PlanPrune(const CacheScan& scan, int64_t now,
                               int64_t quiet_s) {
  std::vector<Removal> plan;
  for (const CachedRepo& repo : scan.repos) {
    if (!repo.problems.empty()) continue;
    Removal removal;
    removal.folder = repo.folder;
    removal.leftovers = true;
    for (const CachedRevision& revision : repo.revisions) {
      if (revision.refs.empty() && revision.last_changed <= now - quiet_s) {
        removal.commits.push_back(revision.commit);
      }
    }
    if (!removal.commits.empty() || !repo.unused_blobs.empty() ||
        !repo.partials.empty()) {
      plan.push_back(std::move(removal));
    }
  }
  return plan;
}

absl::StatusOr<Removal> PlanRemove(const CacheScan& scan,
                                   absl::string_view type, absl::string_view id,
                                   absl::string_view revision) {
  const std::string subject = absl::StrCat(type, " ", Quoted(id));
  for (const CachedRepo& repo : scan.repos) {
    if (repo.type != type || repo.id != id) continue;
    Removal removal;
    removal.folder = repo.folder;
    removal.whole = revision.empty();
    if (removal.whole) return removal;
    for (const CachedRevision& known : repo.revisions) {
      if (IsCalled(known, std::string(revision))) {
        removal.commits.push_back(known.commit);
      }
    }
    if (removal.commits.size() == 1) return removal;
    if (removal.commits.empty()) break;
    return ArgumentError(absl::StrCat("several revisions of ", subject,
                                      " are called ", Quoted(revision),
                                      "; give more of the commit"));
  }
  return NotCached(revision.empty() ? subject
                                    : absl::StrCat(subject, " at revision ",
                                                   Quoted(revision)));
}

Removed Remove(const std::string& cache, const Removal& removal, int64_t now,
               int64_t quiet_s, bool dry_run) {
  return Remover(cache, removal, now - quiet_s, dry_run).Run();
}

}  // namespace hub
}  // namespace peft
