#include "hub/http_error.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/json.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace hub {
namespace {

constexpr char kDisabled[] = "Access to this resource is disabled.";
constexpr char kBadToken[] = "Invalid credentials in Authorization header";
constexpr int64_t kMaxSeconds = 1000000;

struct Kind {
  absl::StatusCode code;
  const char* id;
  absl::string_view advice;
};

Kind StatusKind(int status) {
  switch (status) {
    case 401:
      return {absl::StatusCode::kUnauthenticated, error_id::kHubUnauthorized,
              "is the token right, and which one is used? HF_TOKEN wins over "
              "the token file"};
    case 429:
      return {absl::StatusCode::kResourceExhausted, error_id::kHubRateLimited,
              "wait, or give a token: the limits are higher with one"};
    default:
      break;
  }
  const bool server = status >= 500 || status == 408;
  return {server ? absl::StatusCode::kUnavailable
                 : absl::StatusCode::kInvalidArgument,
          error_id::kHubHttp,
          server ? "try again later" : "check the request and the endpoint"};
}

Kind KindOf(const HttpResponse& response, bool from_hub) {
  const absl::string_view code = FindField(response.fields, "X-Error-Code");
  const absl::string_view message =
      FindField(response.fields, "X-Error-Message");
  if (code == "RevisionNotFound") {
    return {absl::StatusCode::kNotFound, error_id::kHubRevisionNotFound,
            "there is no such branch, tag or commit"};
  }
  if (code == "EntryNotFound") {
    return {absl::StatusCode::kNotFound, error_id::kHubEntryNotFound,
            "the repository has no such file; is it of the right kind?"};
  }
  if (code == "GatedRepo") {
    return {absl::StatusCode::kPermissionDenied, error_id::kHubGatedRepo,
            "accept its conditions on its page, and give a token of that "
            "account"};
  }
  if (message == kDisabled) {
    return {absl::StatusCode::kPermissionDenied, error_id::kHubDisabledRepo,
            "its owner or the Hub has disabled it"};
  }
  // Private, gated and missing ones all answer 401 to a stranger.
  const bool hidden =
      response.status == 401 && message != kBadToken && from_hub;
  if (code == "RepoNotFound" || hidden) {
    return {absl::StatusCode::kNotFound, error_id::kHubRepositoryNotFound,
            "check the name; if it is private or gated, give a token that may "
            "read it"};
  }
  return StatusKind(response.status);
}

void AppendJsonText(const Json& value, std::vector<std::string>* texts) {
  if (value.is_string()) {
    texts->push_back(Printable(value.get_ref<const std::string&>()));
  }
  if (!value.is_array()) return;
  for (const Json& element : value) {
    if (element.is_string()) AppendJsonText(element, texts);
    if (element.is_object() && element.contains("message")) {
      AppendJsonText(element["message"], texts);
    }
  }
}

// What the server says about it, each text once.
std::string ServerText(const HttpResponse& response, absl::string_view body) {
  std::vector<std::string> texts;
  const absl::string_view message =
      FindField(response.fields, "X-Error-Message");
  if (!message.empty()) texts.push_back(Printable(message));
  const absl::StatusOr<Json> json = ParseJson(body, "answer");
  if (json.ok() && json->is_object()) {
    for (const char* key : {"error", "error_description", "errors"}) {
      if (json->contains(key)) AppendJsonText((*json)[key], &texts);
    }
  } else if (!absl::StartsWith(absl::StripAsciiWhitespace(body), "<")) {
    texts.push_back(Printable(absl::StripAsciiWhitespace(body)));
  }
  std::vector<std::string> once;
  for (const std::string& text : texts) {
    bool known = text.empty();
    for (const std::string& other : once) known = known || other == text;
    if (!known) once.push_back(text);
  }
  return absl::StrJoin(once, "; ");
}

absl::string_view RequestId(const HeaderFields& fields) {
  for (const char* name : {"X-Request-Id", "X-Amzn-Trace-Id", "X-Amz-Cf-Id"}) {
    const absl::string_view id = FindField(fields, name);
    if (!id.empty()) return id;
  }
  return "";
}

bool IsTransientStatus(int status) {
  return status == 408 || status == 429 ||
         (status >= 500 && status != 501 && status != 505);
}

// A number of at most kMaxSeconds; -1 for anything else.
int64_t Seconds(absl::string_view text) {
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value) || value < 0) return -1;
  return std::min(value, kMaxSeconds);
}

}  // namespace

int64_t RetryAfter(const HeaderFields& fields) {
  // RateLimit: "api";r=0;t=55
  int64_t remaining = -1;
  int64_t reset = -1;
  for (absl::string_view part :
       absl::StrSplit(FindField(fields, "RateLimit"), absl::ByAnyChar(";,"))) {
    part = absl::StripAsciiWhitespace(part);
    if (absl::ConsumePrefix(&part, "r=")) remaining = Seconds(part);
    if (absl::ConsumePrefix(&part, "t=")) reset = Seconds(part);
  }
  if (remaining == 0 && reset >= 0) return reset;
  return Seconds(FindField(fields, "Retry-After"));
}

std::string ForMessage(const Url& url) {
  Url shown = url;
  shown.target = url.target.substr(0, url.target.find('?'));
  return Printable(shown.ToString());
}

Failure FailureOf(const absl::Status& status) {
  Failure failure;
  failure.status = status;
  const std::string id = ErrorId(status);
  failure.is_transient =
      id == error_id::kHubConnect || id == error_id::kHubTimeout;
  return failure;
}

Failure FailureOf(const HttpResponse& response, absl::string_view body,
                  const Url& url, absl::string_view subject, bool from_hub) {
  const Kind kind = KindOf(response, from_hub);
  std::string message = absl::StrCat(subject, ": HTTP status ", response.status,
                                     " from ", ForMessage(url));
  const std::string text = ServerText(response, body);
  if (!text.empty()) absl::StrAppend(&message, " (", text, ")");
  const int64_t seconds = RetryAfter(response.fields);
  if (seconds >= 0 && response.status == 429) {
    absl::StrAppend(&message, ", asked to wait ", seconds, " s");
  }
  absl::StrAppend(&message, "; ", kind.advice);
  const absl::string_view request = RequestId(response.fields);
  if (!request.empty()) {
    absl::StrAppend(&message, " [request ", Printable(request, 100), "]");
  }
  Failure failure;
  failure.status = MakeError(
      kind.code, kind.id, message,
      {std::string(subject), "", absl::StrCat("HTTP ", response.status)});
  failure.is_transient = IsTransientStatus(response.status);
  // One more, as the server's clock may be between two seconds.
  if (seconds >= 0) failure.wait_ms = (seconds + 1) * 1000;
  failure.http_status = response.status;
  return failure;
}

}  // namespace hub
}  // namespace peft
