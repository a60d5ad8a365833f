#include "hub/testing/fake_hub.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "hub/hash.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/text_bytes.h"

namespace peft {
namespace hub {
namespace {

constexpr size_t kChunk = 64 << 10;

FakeAnswer NotFound(const char* code) {
  FakeAnswer answer;
  answer.status = 404;
  answer.fields = {{"X-Error-Code", code}, {"X-Repo-Commit", kFakeCommit}};
  if (std::string(code) != "EntryNotFound") answer.fields.pop_back();
  return answer;
}

std::string PercentDecoded(absl::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      absl::StrAppend(&result, absl::HexStringToBytes(text.substr(i + 1, 2)));
      i += 2;
    } else {
      result.push_back(text[i]);
    }
  }
  return result;
}

// The content, or what Range asks of it.
FakeAnswer Content(const HttpRequest& request, const std::string& content) {
  FakeAnswer answer;
  absl::string_view range = FindField(request.fields, "Range");
  uint64_t begin = 0;
  uint64_t end = content.size();
  if (absl::ConsumePrefix(&range, "bytes=") &&
      absl::SimpleAtoi(range.substr(0, range.find('-')), &begin)) {
    uint64_t last = 0;
    if (absl::SimpleAtoi(range.substr(range.find('-') + 1), &last)) {
      end = std::min(end, last + 1);
    }
    answer.status = begin < content.size() ? 206 : 416;
    answer.fields.emplace_back(
        "Content-Range",
        absl::StrCat("bytes ", begin, "-", end - 1, "/", content.size()));
    begin = std::min(begin, end);
  }
  answer.fields.emplace_back("Content-Length", absl::StrCat(end - begin));
  answer.body = content.substr(begin, end - begin);
  return answer;
}

}  // namespace

std::string FakeEtag(const std::string& content, bool is_large) {
  Digest digest = Digest::ForBlob(
      std::string(is_large ? kSha256Digits : kSha1Digits, '0'), content.size());
  digest.Update(BytesOf(content));
  return digest.Hex();
}

void FakeHub::AddFile(const std::string& path, const std::string& content,
                      bool is_large) {
  files_[path] = {content, FakeEtag(content, false),
                  is_large ? FakeEtag(content, true) : ""};
}

FakeAnswer FakeHub::Resolve(const HttpRequest& request,
                            absl::string_view path) const {
  if (!absl::ConsumePrefix(&path, "main/") &&
      !absl::ConsumePrefix(&path, "refs%2Fpr%2F1/") &&
      !absl::ConsumePrefix(&path, absl::StrCat(kFakeCommit, "/"))) {
    return NotFound("RevisionNotFound");
  }
  const auto found = files_.find(PercentDecoded(path));
  if (found == files_.end()) return NotFound("EntryNotFound");
  const File& file = found->second;
  FakeAnswer answer;
  if (file.sha256.empty()) {
    answer = Content(request, file.content);
    answer.fields.emplace_back("ETag", absl::StrCat("\"", file.sha1, "\""));
  } else {
    answer.status = 302;
    answer.body = "moved";
    answer.fields = {
        {"Location", absl::StrCat(kFakeCdn, "/", file.sha256, "?sign=S3CRET")},
        {"Content-Length", "5"},
        {"ETag", "\"of-the-pointer\""},
        {"X-Linked-Etag", absl::StrCat("\"", file.sha256, "\"")},
        {"X-Linked-Size", absl::StrCat(file.content.size())}};
  }
  answer.fields.emplace_back("X-Repo-Commit", kFakeCommit);
  return answer;
}

FakeAnswer FakeHub::Tree(absl::string_view query) const {
  int first = 0;
  const size_t cursor = query.find("cursor=");
  if (cursor != absl::string_view::npos &&
      !absl::SimpleAtoi(query.substr(cursor + 7), &first)) {
    return NotFound("BadCursor");
  }
  FakeAnswer answer;
  answer.body =
      R"([{"type": "directory", "path": "sub", "oid": "", "size": 0})";
  int index = 0;
  for (const auto& [path, file] : files_) {
    if (index++ < first) continue;
    if (index > first + page_size) {
      answer.fields.emplace_back(
          "Link", absl::StrCat("<", kFakeEndpoint, "/api/models/org/name/tree/",
                               kFakeCommit, "?cursor=", first + page_size,
                               ">; rel=\"next\""));
      break;
    }
    absl::StrAppend(&answer.body, R"(, {"type": "file", "path": ")", path,
                    R"(", "oid": ")", file.sha1, R"(", "size": )",
                    file.content.size());
    if (!file.sha256.empty()) {
      absl::StrAppend(&answer.body, R"(, "lfs": {"oid": ")", file.sha256,
                      R"(", "size": )", file.content.size(),
                      R"(, "pointerSize": 130})");
    }
    absl::StrAppend(&answer.body, "}");
  }
  absl::StrAppend(&answer.body, "]");
  return answer;
}

FakeAnswer FakeHub::Answer(const HttpRequest& request) const {
  absl::string_view url = request.url;
  if (absl::ConsumePrefix(&url, absl::StrCat(kFakeCdn, "/"))) {
    for (const auto& [path, file] : files_) {
      if (file.sha256 == url.substr(0, kSha256Digits)) {
        return Content(request, file.content);
      }
    }
    return NotFound("");
  }
  absl::ConsumePrefix(&url, kFakeEndpoint);
  if (absl::ConsumePrefix(&url, "/org/name/resolve/")) {
    return Resolve(request, url);
  }
  if (!absl::ConsumePrefix(&url, "/api/models/org/name/")) {
    return NotFound("RepoNotFound");
  }
  if (absl::ConsumePrefix(&url, absl::StrCat("tree/", kFakeCommit))) {
    return Tree(url);
  }
  FakeAnswer answer;
  answer.body = absl::StrCat(R"({"sha": ")", kFakeCommit, R"("})");
  if (url == "revision/main" || url == "revision/refs%2Fpr%2F1") return answer;
  if (!absl::ConsumePrefix(&url, "refs")) return NotFound("RevisionNotFound");
  answer.body = absl::StrCat(
      R"({"branches": [{"name": "main", "ref": "refs/heads/main",
          "targetCommit": ")",
      kFakeCommit, R"("}], "converts": [], "tags": []})");
  return answer;
}

absl::StatusOr<HttpResponse> FakeHub::Exchange(
    const HttpRequest& request,
    absl::FunctionRef<absl::Status(const HttpResponse&)> on_response,
    BodySink sink, CancelCheck is_cancelled) {
  int count = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    count = static_cast<int>(requests_.size());
    requests_.push_back(request);
  }
  absl::optional<FakeAnswer> answer;
  if (misbehave) answer = misbehave(request, count);
  if (!answer.has_value()) answer = Answer(request);
  const auto broken = [] {
    return MakeError(absl::StatusCode::kUnavailable, error_id::kHubConnect,
                     "the connection broke");
  };
  if (answer->status == 0) return broken();
  const HttpResponse response = {answer->status, answer->fields};
  PEFT_RETURN_IF_ERROR(on_response(response));
  if (request.method == "HEAD") return response;
  const absl::string_view body = answer->body;
  const size_t end =
      answer->cut_at < 0 ? body.size() : static_cast<size_t>(answer->cut_at);
  for (size_t at = 0; at < end; at += kChunk) {
    if (is_cancelled()) {
      return MakeError(absl::StatusCode::kCancelled, error_id::kCancelled,
                       "cancelled");
    }
    PEFT_RETURN_IF_ERROR(
        sink(BytesOf(body.substr(at, std::min(kChunk, end - at)))));
  }
  if (answer->cut_at >= 0) return broken();
  return response;
}

std::vector<HttpRequest> FakeHub::full_requests() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return requests_;
}

std::vector<std::string> FakeHub::requests() const {
  std::vector<std::string> result;
  for (const HttpRequest& request : full_requests()) {
    result.push_back(absl::StrCat(request.method, " ", request.url));
  }
  return result;
}

void FakeHub::ForgetRequests() {
  const std::lock_guard<std::mutex> lock(mutex_);
  requests_.clear();
}

}  // namespace hub
}  // namespace peft
