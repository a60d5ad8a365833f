#include "hub/repo_cache.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"

namespace peft {
namespace hub {
namespace {

// A ref is 40 bytes; some clients end it with a newline.
constexpr uint64_t kMaxRef = 64;

}  // namespace

RepoCache::RepoCache(absl::string_view cache_dir, const RepoId& repo)
    : folder_(absl::StrCat(cache_dir, "/", repo.CacheFolder())) {}

absl::StatusOr<absl::optional<std::string>> RepoCache::CommitOf(
    absl::string_view revision) const {
  PEFT_RETURN_IF_ERROR(CheckRevision(revision));
  if (IsCommit(revision)) return absl::make_optional(std::string(revision));
  const absl::StatusOr<std::string> ref =
      ReadTextFile(absl::StrCat(folder_, "/refs/", revision), kMaxRef);
  // A ref that cannot be read, or is something else, is one that is not there.
  if (!ref.ok()) return absl::optional<std::string>();
  const absl::string_view commit = absl::StripAsciiWhitespace(*ref);
  if (!IsCommit(commit)) return absl::optional<std::string>();
  return absl::make_optional(std::string(commit));
}

std::string RepoCache::SnapshotFolder(absl::string_view commit) const {
  return absl::StrCat(folder_, "/snapshots/", commit);
}

bool RepoCache::IsKnownMissing(absl::string_view commit,
                               absl::string_view file) const {
  return FileExists(absl::StrCat(folder_, "/.no_exist/", commit, "/", file));
}

}  // namespace hub
}  // namespace peft
