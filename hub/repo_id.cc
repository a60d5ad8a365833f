#include "hub/repo_id.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace hub {
namespace {

constexpr size_t kMaxPart = 96;
constexpr size_t kMaxRevision = 255;
constexpr size_t kCommitDigits = 40;

bool IsWordCharacter(char c) { return absl::ascii_isalnum(c) || c == '_'; }

// Why `part` cannot be an owner or a name; "" where it can.
absl::string_view WhyNotPart(absl::string_view part) {
  if (part.empty() || part.size() > kMaxPart) {
    return "has a part that is empty or longer than 96 characters";
  }
  for (const char c : part) {
    if (!IsWordCharacter(c) && c != '-' && c != '.') {
      return "holds something else than letters, digits, '-', '_' and '.'";
    }
  }
  if (!IsWordCharacter(part.front()) || !IsWordCharacter(part.back())) {
    return "has a part that begins or ends with '-' or '.'";
  }
  return "";
}

absl::string_view WhyNotName(absl::string_view name) {
  if (std::count(name.begin(), name.end(), '/') > 1) {
    return "has more than one '/'";
  }
  for (const absl::string_view part : absl::StrSplit(name, '/')) {
    const absl::string_view why = WhyNotPart(part);
    if (!why.empty()) return why;
  }
  // The cache's folders join parts with the one, and paths climb by the other.
  if (absl::StrContains(name, "--") || absl::StrContains(name, "..")) {
    return "holds '--' or '..'";
  }
  if (absl::EndsWith(name, ".git")) return "ends with \".git\"";
  return "";
}

absl::string_view Plural(RepoType type) {
  switch (type) {
    case RepoType::kDataset:
      return "datasets";
    case RepoType::kSpace:
      return "spaces";
    default:
      return "models";
  }
}

absl::Status RevisionError(absl::string_view revision, absl::string_view why) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kHubRevision,
      absl::StrCat("revision ", Quoted(revision), " ", why,
                   "; expected a branch, a tag, a commit or refs/pr/N"),
      {"revision", "a branch, a tag or a commit", Printable(revision)});
}

absl::Status FileNameError(absl::string_view name, absl::string_view why) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kPathEscapes,
                   absl::StrCat("file name ", Quoted(name), " ", why,
                                ", expected a path inside of the repository"),
                   {Printable(name), "a relative path", ""});
}

}  // namespace

absl::StatusOr<RepoId> RepoId::Create(absl::string_view name, RepoType type) {
  const absl::string_view why = WhyNotName(name);
  if (why.empty()) return RepoId(name, type);
  return MakeError(
      absl::StatusCode::kInvalidArgument, error_id::kHubRepoId,
      absl::StrCat(Quoted(name), " is no repository of the Hub: it ", why,
                   "; expected \"owner/name\""),
      {Printable(name), "owner/name", ""});
}

std::string RepoId::CacheFolder() const {
  return absl::StrCat(Plural(type_), "--",
                      absl::StrReplaceAll(name_, {{"/", "--"}}));
}

bool IsOwnedName(absl::string_view text) {
  return absl::StrContains(text, "/") && WhyNotName(text).empty();
}

bool IsCommit(absl::string_view revision) {
  return revision.size() == kCommitDigits &&
         std::all_of(revision.begin(), revision.end(), [](char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

absl::Status CheckRevision(absl::string_view revision) {
  if (revision.empty() || revision.size() > kMaxRevision) {
    return RevisionError(revision, "is empty or longer than 255 bytes");
  }
  for (const char c : revision) {
    if (absl::ascii_iscntrl(c) || c == ' ' || c == '\\') {
      return RevisionError(revision, "holds a blank, a backslash or worse");
    }
  }
  for (const absl::string_view part : absl::StrSplit(revision, '/')) {
    if (part.empty() || part == "." || part == "..") {
      return RevisionError(revision, "has a part that is empty, '.' or '..'");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckFileName(absl::string_view name) {
  if (name.empty()) return FileNameError(name, "is empty");
  if (absl::StrContains(name, absl::string_view("\0", 1))) {
    return FileNameError(name, "holds a NUL");
  }
  for (const absl::string_view part :
       absl::StrSplit(name, absl::ByAnyChar("/\\"))) {
    if (part.empty()) return FileNameError(name, "is absolute or has a gap");
    if (part == "..") return FileNameError(name, "leaves its folder");
    // "C:" and "D:file" are other drives under Windows.
    if (part.size() >= 2 && part[1] == ':' && absl::ascii_isalpha(part[0])) {
      return FileNameError(name, "has a drive letter");
    }
  }
  return absl::OkStatus();
}

}  // namespace hub
}  // namespace peft
