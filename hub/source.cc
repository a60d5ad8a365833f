#include "hub/source.h"

#include <errno.h>
#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "hub/repo_cache.h"
#include "hub/repo_id.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace hub {
namespace {

constexpr char kDefaultRevision[] = "main";

std::string Below(absl::string_view folder, absl::string_view subfolder,
                  absl::string_view file) {
  if (subfolder.empty()) return absl::StrCat(folder, "/", file);
  return absl::StrCat(folder, "/", subfolder, "/", file);
}

// What may not be looked into is what was meant, too: reading it says why.
bool IsClosed(const std::string& folder) {
  struct stat info;
  return stat(absl::StrCat(folder, "/.").c_str(), &info) != 0 &&
         errno == EACCES;
}

bool IsHere(const std::string& path, absl::string_view subfolder,
            absl::string_view file) {
  return FileExists(path) || FileExists(Below(path, subfolder, file)) ||
         IsClosed(path);
}

absl::Status NoRequests(const std::string& path) {
  return MakeError(
      absl::StatusCode::kUnimplemented, error_id::kUnimplemented,
      absl::StrCat("force_download of ", Quoted(path),
                   ": this build has no network code; run `hf download ", path,
                   " --force-download`, and leave the option out"),
      {path, "no force_download", "force_download"});
}

absl::Status NotInCache(const std::string& path, const std::string& revision,
                        const std::string& file, const std::string& cache,
                        bool local_files_only) {
  const std::string why =
      absl::StrCat("there is no folder ", Quoted(path), " with ", Quoted(file),
                   ", and the Hub's cache ", Quoted(cache),
                   " does not have that file of the repository ", path,
                   " at revision ", Quoted(revision));
  const std::string what_to_do =
      absl::StrCat("run `hf download ", path, " --revision ", revision,
                   "` first, or give a folder");
  if (local_files_only) {
    return MakeError(absl::StatusCode::kNotFound,
                     error_id::kHubLocalEntryNotFound,
                     absl::StrCat(why, " (local_files_only); ", what_to_do),
                     {path, file, ""});
  }
  return MakeError(
      absl::StatusCode::kUnimplemented, error_id::kUnimplemented,
      absl::StrCat(why, "; this build has no network code: ", what_to_do),
      {path, file, ""});
}

absl::Status NotInRepository(const std::string& path, const std::string& file,
                             const std::string& commit) {
  return MakeError(
      absl::StatusCode::kNotFound, error_id::kHubEntryNotFound,
      absl::StrCat("the repository ", path, " has no ", Quoted(file),
                   " at commit ", commit, "; is it of the right kind?"),
      {path, file, ""});
}

}  // namespace

std::string Options::Given() const {
  std::vector<absl::string_view> given;
  if (!revision.empty()) given.push_back("revision");
  if (!token.empty()) given.push_back("token");
  if (!cache_dir.empty()) given.push_back("cache_dir");
  if (!proxies.empty()) given.push_back("proxies");
  if (local_files_only) given.push_back("local_files_only");
  if (force_download) given.push_back("force_download");
  if (!endpoint.empty()) given.push_back("endpoint");
  return absl::StrJoin(given, ", ");
}

// A proxy may carry a password: messages do not repeat it.
absl::Status CheckOptions(const Options& options) {
  for (size_t i = 0; i < options.proxies.size(); ++i) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(options.proxies[i], absl::MaxSplits('=', 1));
    const absl::string_view scheme = parts.first;
    if ((scheme == "http" || scheme == "https" || scheme == "all") &&
        !parts.second.empty()) {
      continue;
    }
    const std::string name = absl::StrCat("options.proxies[", i, "]");
    return ArgumentError(
        absl::StrCat(name,
                     " is not of the form scheme=URL, the scheme http, https "
                     "or all, as in https=http://10.0.0.1:3128"),
        {name, "scheme=URL", ""});
  }
  return absl::OkStatus();
}

bool IsLocal(const std::string& path, absl::string_view subfolder,
             absl::string_view file) {
  return IsHere(path, subfolder, file) || !RepoId::Create(path).ok() ||
         (DirectoryExists(path) && !IsOwnedName(path));
}

absl::StatusOr<Source> FindSource(const std::string& path,
                                  absl::string_view subfolder,
                                  absl::string_view file,
                                  const Options& options,
                                  const Settings& settings) {
  PEFT_RETURN_IF_ERROR(CheckOptions(options));
  const Source local = {path, ""};
  if (IsHere(path, subfolder, file)) return local;
  const absl::StatusOr<RepoId> repo = RepoId::Create(path);
  if (!repo.ok()) return local;
  if (!subfolder.empty()) PEFT_RETURN_IF_ERROR(CheckFileName(subfolder));
  const std::string cache_dir =
      options.cache_dir.empty() ? settings.cache_dir : options.cache_dir;
  const std::string revision =
      options.revision.empty() ? kDefaultRevision : options.revision;
  const RepoCache cache(cache_dir, *repo);
  PEFT_ASSIGN_OR_RETURN(const absl::optional<std::string> commit,
                        cache.CommitOf(revision));
  if (commit.has_value()) {
    const std::string folder = cache.SnapshotFolder(*commit);
    if (FileExists(Below(folder, subfolder, file))) {
      if (options.force_download) return NoRequests(path);
      return Source{folder, *commit};
    }
  }
  // A name without an owner is a mistyped path more often than a repository.
  if (DirectoryExists(path) || !IsOwnedName(path)) return local;
  if (options.force_download) return NoRequests(path);
  const std::string wanted = subfolder.empty()
                                 ? std::string(file)
                                 : absl::StrCat(subfolder, "/", file);
  if (commit.has_value() && cache.IsKnownMissing(*commit, wanted)) {
    return NotInRepository(path, wanted, *commit);
  }
  return NotInCache(path, revision, wanted, cache_dir,
                    options.local_files_only);
}

}  // namespace hub
}  // namespace peft
