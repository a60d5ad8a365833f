#include "hub/cache_scan.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/types/optional.h"
#include "hub/partial_owner.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/new_folder.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace hub {
namespace {

// Deeper than any repository; a folder in a folder costs a system call each.
constexpr int kMaxDepth = 64;
constexpr uint64_t kMaxRef = 4096;
constexpr char kSharedMarker[] = ".huggingface-shared-blobs";

enum class Kind { kNothing, kFile, kFolder, kLink, kOther };

// What `path` itself is: links are not followed.
Kind KindOf(const std::string& path, struct stat* info) {
  if (lstat(path.c_str(), info) != 0) return Kind::kNothing;
  if (S_ISREG(info->st_mode)) return Kind::kFile;
  if (S_ISDIR(info->st_mode)) return Kind::kFolder;
  return S_ISLNK(info->st_mode) ? Kind::kLink : Kind::kOther;
}

Kind KindOf(const std::string& path) {
  struct stat info;
  return KindOf(path, &info);
}

// The names in a folder, in order; none where it cannot be read.
std::vector<std::string> SortedNamesIn(const std::string& folder) {
  std::vector<std::string> names =
      NamesIn(folder).value_or(std::vector<std::string>());
  std::sort(names.begin(), names.end());
  return names;
}

// Left by systems in any folder that somebody looks at.
bool IsDesktopFile(absl::string_view name) {
  return name == ".DS_Store" || name == "Thumbs.db" || name == "desktop.ini";
}

// `path` without "." and "..", which must not lead above the root.
std::string Normal(absl::string_view path) {
  std::vector<absl::string_view> parts;
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  std::string normal;
  for (const absl::string_view part : parts) {
    absl::StrAppend(&normal, "/", part);
  }
  return normal;
}

// Where the link `path` leads, one step; "" if it cannot be read.
std::string LinkTarget(const std::string& path) {
  char text[PATH_MAX];
  const ssize_t size = readlink(path.c_str(), text, sizeof(text));
  if (size <= 0 || size == sizeof(text)) return "";
  const absl::string_view target(text, static_cast<size_t>(size));
  if (target[0] == '/') return Normal(target);
  return Normal(absl::StrCat(path, "/../", target));
}

// True if no folder of `path` below `top` is a link.
bool HasFolder(const std::string& path, const std::string& top) {
  for (size_t slash = path.find('/', top.size()); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    if (KindOf(path.substr(0, slash)) != Kind::kFolder) return false;
  }
  return true;
}

// One repository's folder.
class RepoScan {
 public:
  RepoScan(const std::string& cache, CachedRepo* repo)
      : shared_(cache + "/blobs/"),
        path_(absl::StrCat(cache, "/", repo->folder)),
        blobs_(path_ + "/blobs/"),
        repo_(*repo) {}

  void Run() {
    ScanSnapshots();
    ScanBlobs();
    SumUp();
  }

 private:
  // Of a blob that a revision has.
  struct Blob {
    uint64_t size = 0;
    int64_t used = 0;
    int64_t modified = 0;
  };

  void Report(const std::string& path, const std::string& what) {
    repo_.problems.push_back({path, what});
  }

  void ScanSnapshots() {
    const std::string snapshots = path_ + "/snapshots";
    if (KindOf(snapshots) != Kind::kFolder) {
      return Report(snapshots, "there is no such folder");
    }
    std::map<std::string, std::vector<std::string>> refs = ReadRefs();
    for (const std::string& commit : SortedNamesIn(snapshots)) {
      if (IsDesktopFile(commit)) continue;
      const std::string folder = absl::StrCat(snapshots, "/", commit);
      if (KindOf(folder) != Kind::kFolder) {
        Report(folder, "is no folder");
        continue;
      }
      CachedRevision revision;
      revision.commit = commit;
      revision.refs = std::move(refs[commit]);
      refs.erase(commit);
      ScanRevision(folder, &revision);
      repo_.revisions.push_back(std::move(revision));
    }
    for (const auto& [commit, names] : refs) {
      for (const std::string& name : names) {
        Report(absl::StrCat(path_, "/refs/", name),
               "names a commit that is not there");
      }
    }
  }

  // The refs by commit.
  std::map<std::string, std::vector<std::string>> ReadRefs() {
    std::map<std::string, std::vector<std::string>> refs;
    const std::string folder = path_ + "/refs";
    const Kind kind = KindOf(folder);
    if (kind == Kind::kNothing) return refs;
    if (kind != Kind::kFolder) {
      Report(folder, "is no folder");
      return refs;
    }
    Walk(folder, "", 0, [&](const std::string& name) {
      const std::string path = absl::StrCat(folder, "/", name);
      if (IsDesktopFile(path.substr(path.rfind('/') + 1))) return;
      if (KindOf(path) != Kind::kFile) return Report(path, "is no file");
      const auto text = ReadTextFile(path, kMaxRef);
      if (!text.ok()) return Report(path, "cannot be read");
      refs[std::string(absl::StripAsciiWhitespace(*text))].push_back(name);
    });
    return refs;
  }

  // Calls `visit` with what lies below `folder` and is no folder, by its path
  // in it. Links are not entered.
  template <typename Visit>
  void Walk(const std::string& folder, const std::string& prefix, int depth,
            const Visit& visit) {
    struct stat info;
    if (lstat(absl::StrCat(folder, "/", prefix).c_str(), &info) == 0) {
      newest_folder_ = std::max<int64_t>(newest_folder_, info.st_mtime);
    }
    for (const std::string& entry :
         SortedNamesIn(absl::StrCat(folder, "/", prefix))) {
      const std::string name = prefix + entry;
      const std::string path = absl::StrCat(folder, "/", name);
      if (KindOf(path) != Kind::kFolder) {
        visit(name);
      } else if (depth >= kMaxDepth) {
        Report(path, "lies too deep");
      } else {
        Walk(folder, name + "/", depth + 1, visit);
      }
    }
  }

  void ScanRevision(const std::string& folder, CachedRevision* revision) {
    std::set<std::string> blobs;
    newest_folder_ = 0;
    Walk(folder, "", 0, [&](const std::string& name) {
      CachedFile file;
      file.name = name;
      const absl::optional<Blob> blob =
          FindBlob(absl::StrCat(folder, "/", name), &file.blob);
      if (!blob.has_value()) return;
      file.size = blob->size;
      if (blobs.insert(file.blob).second) revision->size += blob->size;
      revision->last_modified =
          std::max(revision->last_modified, blob->modified);
      revision->files.push_back(std::move(file));
    });
    revision->last_changed = std::max(newest_folder_, revision->last_modified);
    struct stat info;
    if (revision->files.empty() && lstat(folder.c_str(), &info) == 0) {
      revision->last_modified = info.st_mtime;
    }
  }

  // What the file `path` of a snapshot holds, and where; nothing, which is
  // reported, where it holds nothing of the cache's.
  absl::optional<Blob> FindBlob(const std::string& path,
                                std::string* out_blob) {
    struct stat info;
    std::string blob = path;
    Kind kind = KindOf(path, &info);
    if (kind == Kind::kLink) {
      blob = LinkTarget(path);
      if (!absl::StartsWith(blob, blobs_) || !HasFolder(blob, path_)) {
        Report(path, "leads out of the repository's blobs");
        return absl::nullopt;
      }
      kind = KindOf(blob, &info);
      if (kind == Kind::kLink) kind = KindOfShared(blob, &info);
    }
    if (kind != Kind::kFile) {
      Report(path, kind == Kind::kNothing ? "its blob is missing"
                                          : "its blob is no file of the cache");
      return absl::nullopt;
    }
    *out_blob = blob;
    return blobs_seen_[blob] = {static_cast<uint64_t>(info.st_size),
                                info.st_atime, info.st_mtime};
  }

  // What the link `blob` stands for, if that is a blob that repositories share.
  Kind KindOfShared(const std::string& blob, struct stat* info) const {
    const std::string target = LinkTarget(blob);
    return absl::StartsWith(target, shared_) &&
                   HasFolder(target, shared_.substr(0, shared_.size() - 1))
               ? KindOf(target, info)
               : Kind::kOther;
  }

  // What lies among the blobs and is in no revision.
  void ScanBlobs() {
    const std::string folder = path_ + "/blobs";
    const Kind kind = KindOf(folder);
    if (kind == Kind::kNothing) return;
    if (kind != Kind::kFolder) return Report(folder, "is no folder");
    for (const std::string& name : SortedNamesIn(folder)) {
      if (IsDesktopFile(name)) continue;
      const std::string path = blobs_ + name;
      struct stat info;
      Kind kind_of_blob = KindOf(path);
      if (kind_of_blob == Kind::kLink) kind_of_blob = KindOfShared(path, &info);
      if (absl::EndsWith(name, kPartialSuffix) ||
          absl::EndsWith(name, kPartialRecordSuffix)) {
        repo_.partials.push_back(path);
      } else if (kind_of_blob != Kind::kFile) {
        Report(path, "is no file of the cache");
      } else if (blobs_seen_.count(path) == 0) {
        repo_.unused_blobs.push_back(path);
      }
    }
  }

  void SumUp() {
    struct stat info;
    if (blobs_seen_.empty() && lstat(path_.c_str(), &info) == 0) {
      repo_.last_used = info.st_atime;
      repo_.last_modified = info.st_mtime;
    }
    repo_.num_files = static_cast<int64_t>(blobs_seen_.size());
    for (const auto& [path, blob] : blobs_seen_) {
      repo_.size += blob.size;
      repo_.last_used = std::max(repo_.last_used, blob.used);
      repo_.last_modified = std::max(repo_.last_modified, blob.modified);
    }
  }

  const std::string shared_;
  const std::string path_;
  const std::string blobs_;
  CachedRepo& repo_;
  std::map<std::string, Blob> blobs_seen_;
  int64_t newest_folder_ = 0;  // of those that were walked through
};

// Takes "models--owner--name" apart; false where it is another name.
bool ParseFolder(const std::string& name, CachedRepo* repo) {
  constexpr std::pair<absl::string_view, absl::string_view> kTypes[] = {
      {"models--", "model"},
      {"datasets--", "dataset"},
      {"spaces--", "space"},
      {"kernels--", "kernel"},
  };
  for (const auto& [prefix, type] : kTypes) {
    absl::string_view rest = name;
    if (!absl::ConsumePrefix(&rest, prefix)) continue;
    repo->type = std::string(type);
    repo->id = absl::StrReplaceAll(rest, {{"--", "/"}});
    repo->folder = name;
    return true;
  }
  return false;
}

bool IsOwnName(const std::string& cache, const std::string& name) {
  return name == ".locks" || name == "CACHEDIR.TAG" ||
         (name == "blobs" &&
          FileExists(absl::StrCat(cache, "/blobs/", kSharedMarker)));
}

}  // namespace

CachedRepo ScanRepo(const std::string& cache, const std::string& name) {
  CachedRepo repo;
  if (ParseFolder(name, &repo)) RepoScan(cache, &repo).Run();
  return repo;
}

absl::StatusOr<CacheScan> ScanCache(const std::string& cache_dir) {
  char buffer[PATH_MAX];
  const char* const real = realpath(cache_dir.c_str(), buffer);
  if (real == nullptr || !DirectoryExists(real)) {
    const bool is_file = real != nullptr;
    return MakeError(is_file ? absl::StatusCode::kInvalidArgument
                             : absl::StatusCode::kNotFound,
                     is_file ? error_id::kFileRead : error_id::kFileNotFound,
                     absl::StrCat("the cache ", Quoted(cache_dir),
                                  is_file ? " is no folder" : " is not there"),
                     {cache_dir, "a folder", ""});
  }
  CacheScan scan;
  scan.folder = real;
  for (const std::string& name : SortedNamesIn(scan.folder)) {
    const std::string path = absl::StrCat(scan.folder, "/", name);
    if (IsOwnName(scan.folder, name) || IsDesktopFile(name)) continue;
    if (KindOf(path) != Kind::kFolder) {
      scan.problems.push_back({path, "is no folder"});
      continue;
    }
    CachedRepo repo = ScanRepo(scan.folder, name);
    if (repo.type.empty()) {
      scan.problems.push_back({path, "is no repository's folder"});
    } else {
      scan.repos.push_back(std::move(repo));
    }
  }
  return scan;
}

}  // namespace hub
}  // namespace peft
