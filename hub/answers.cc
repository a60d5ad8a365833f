#include "hub/answers.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "hub/hash.h"
#include "hub/repo_id.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace hub {
namespace {

// More files than any repository has.
constexpr size_t kMaxFiles = 1 << 20;

absl::Status ResponseError(absl::string_view subject, absl::string_view what,
                           absl::string_view found) {
  return MakeError(
      absl::StatusCode::kDataLoss, error_id::kHubResponse,
      absl::StrCat(subject, ": the Hub's answer has ", what, ", found ",
                   Quoted(found), "; is a mirror or a proxy in between?"),
      {std::string(subject), std::string(what), Printable(found)});
}

absl::StatusOr<Json> ParseAnswer(absl::string_view text,
                                 absl::string_view subject) {
  absl::StatusOr<Json> json = ParseJson(text, "answer");
  if (json.ok()) return json;
  return ResponseError(subject, "no valid JSON", text.substr(0, 100));
}

// The text `key` of an object; "" if it is missing or something else.
std::string TextOf(const Json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return "";
  return found->get<std::string>();
}

// False if `key` is no number that can be a size.
bool SizeOf(const Json& object, const char* key, uint64_t* size) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return false;
  *size = found->get<uint64_t>();
  return *size <= INT64_MAX;
}

absl::Status ParseLfs(const Json& entry, absl::string_view subject,
                      const std::string& path, TreeFile* file) {
  const auto lfs = entry.find("lfs");
  if (lfs == entry.end() || lfs->is_null()) return absl::OkStatus();
  file->lfs_sha256 = TextOf(*lfs, "oid");
  if (!IsHexDigest(file->lfs_sha256, kSha256Digits)) {
    return ResponseError(subject,
                         absl::StrCat("no SHA-256 of the file ", Quoted(path)),
                         file->lfs_sha256);
  }
  if (!SizeOf(*lfs, "size", &file->lfs_size) || file->lfs_size != file->size) {
    return ResponseError(subject,
                         absl::StrCat("two sizes of the file ", Quoted(path)),
                         absl::StrCat(file->lfs_size));
  }
  return absl::OkStatus();
}

absl::Status ParseTreeEntry(const Json& entry, absl::string_view subject,
                            Tree* tree) {
  const std::string type = TextOf(entry, "type");
  if (type == "directory") return absl::OkStatus();
  const std::string path = TextOf(entry, "path");
  if (type != "file") {
    return ResponseError(
        subject, absl::StrCat("an entry ", Quoted(path), " of a kind unknown"),
        type);
  }
  PEFT_RETURN_IF_ERROR(WithContext(CheckFileName(path), subject));
  TreeFile file;
  file.blob_id = TextOf(entry, "oid");
  if (!IsHexDigest(file.blob_id, kSha1Digits) ||
      !SizeOf(entry, "size", &file.size)) {
    return ResponseError(
        subject, absl::StrCat("no oid or size of the file ", Quoted(path)),
        file.blob_id);
  }
  PEFT_RETURN_IF_ERROR(ParseLfs(entry, subject, path, &file));
  file.xet_hash = TextOf(entry, "xetHash");
  if (!file.xet_hash.empty() && !IsHexDigest(file.xet_hash, kSha256Digits)) {
    return ResponseError(subject,
                         absl::StrCat("no Xet hash of the file ", Quoted(path)),
                         file.xet_hash);
  }
  if (tree->size() >= kMaxFiles || !tree->emplace(path, file).second) {
    return ResponseError(subject, "a file twice, or too many files", path);
  }
  return absl::OkStatus();
}

absl::Status ParseRefList(const Json& answer, const char* key,
                          absl::string_view subject, std::vector<Ref>* refs) {
  const auto list = answer.find(key);
  if (list == answer.end() || !list->is_array()) return absl::OkStatus();
  for (const Json& entry : *list) {
    const Ref ref = {TextOf(entry, "name"), TextOf(entry, "ref"),
                     TextOf(entry, "targetCommit")};
    if (ref.ref.empty() || !IsCommit(ref.commit)) {
      return ResponseError(subject, "a ref without a commit", ref.name);
    }
    refs->push_back(ref);
  }
  return absl::OkStatus();
}

// W/"abc" and "abc" are abc.
std::string NormalizedEtag(absl::string_view etag) {
  absl::ConsumePrefix(&etag, "W/");
  absl::ConsumePrefix(&etag, "\"");
  absl::ConsumeSuffix(&etag, "\"");
  return std::string(etag);
}

bool IsRedirect(int status) { return status >= 300 && status < 400; }

// True where a file is in Xet, whose own protocol we do not speak: then the
// address that HEAD names is not for us.
bool IsXet(const HeaderFields& fields) {
  if (FindField(fields, "X-Xet-Hash").empty()) return false;
  return !FindField(fields, "X-Xet-Refresh-Route").empty() ||
         absl::StrContains(FindField(fields, "Link"), "xet-auth");
}

absl::Status ParseSize(const HttpResponse& response, absl::string_view subject,
                       uint64_t* size) {
  absl::string_view text = FindField(response.fields, "X-Linked-Size");
  // The length of a redirect's body is not the file's.
  if (text.empty() && !IsRedirect(response.status)) {
    text = FindField(response.fields, "Content-Length");
  }
  if (absl::SimpleAtoi(text, size) && *size <= INT64_MAX) {
    return absl::OkStatus();
  }
  return ResponseError(subject, "no size", text);
}

}  // namespace

absl::StatusOr<std::string> ParseRepoInfo(absl::string_view text,
                                          absl::string_view subject) {
  PEFT_ASSIGN_OR_RETURN(const Json json, ParseAnswer(text, subject));
  std::string commit = TextOf(json, "sha");
  if (!IsCommit(commit)) {
    return ResponseError(subject, "no commit as its \"sha\"", commit);
  }
  return commit;
}

absl::Status ParseTreePage(absl::string_view text, absl::string_view subject,
                           Tree* tree) {
  PEFT_ASSIGN_OR_RETURN(const Json json, ParseAnswer(text, subject));
  if (!json.is_array()) {
    return ResponseError(subject, "no list of files", text.substr(0, 100));
  }
  for (const Json& entry : json) {
    PEFT_RETURN_IF_ERROR(ParseTreeEntry(entry, subject, tree));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Ref>> ParseRefs(absl::string_view text,
                                           absl::string_view subject) {
  PEFT_ASSIGN_OR_RETURN(const Json json, ParseAnswer(text, subject));
  if (!json.is_object()) {
    return ResponseError(subject, "no lists of refs", text.substr(0, 100));
  }
  std::vector<Ref> refs;
  for (const char* key : {"branches", "tags", "pullRequests"}) {
    PEFT_RETURN_IF_ERROR(ParseRefList(json, key, subject, &refs));
  }
  return refs;
}

std::string NextPage(const HeaderFields& fields) {
  // <https://host/path?cursor=x>; rel="next", <...>; rel="last"
  absl::string_view rest = FindField(fields, "Link");
  while (true) {
    const size_t open = rest.find('<');
    const size_t close = rest.find('>', open);
    if (open == absl::string_view::npos || close == absl::string_view::npos) {
      return "";
    }
    const absl::string_view target = rest.substr(open + 1, close - open - 1);
    rest.remove_prefix(close + 1);
    const absl::string_view parameters = rest.substr(0, rest.find('<'));
    if (absl::StrContains(parameters, "rel=\"next\"") ||
        absl::StrContains(parameters, "rel=next")) {
      return std::string(target);
    }
  }
}

absl::StatusOr<FileMetadata> ParseMetadata(const HttpResponse& response,
                                           const Url& asked,
                                           const Url& answered,
                                           absl::string_view subject) {
  FileMetadata metadata;
  metadata.commit = std::string(FindField(response.fields, "X-Repo-Commit"));
  if (!IsCommit(metadata.commit)) {
    return ResponseError(subject, "no commit as X-Repo-Commit",
                         metadata.commit);
  }
  absl::string_view etag = FindField(response.fields, "X-Linked-Etag");
  if (etag.empty()) etag = FindField(response.fields, "ETag");
  metadata.etag = NormalizedEtag(etag);
  if (!IsBlobName(metadata.etag)) {
    return ResponseError(subject, "no digest of the file as its ETag", etag);
  }
  PEFT_RETURN_IF_ERROR(ParseSize(response, subject, &metadata.size));
  const absl::string_view location = FindField(response.fields, "Location");
  metadata.url = answered;
  if (IsXet(response.fields)) metadata.url = asked;
  if (!location.empty() && !IsXet(response.fields)) {
    PEFT_ASSIGN_OR_RETURN(metadata.url, ResolveUrl(answered, location));
  }
  return metadata;
}

}  // namespace hub
}  // namespace peft
