#include "hub/hub_client.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "hub/token.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace hub {

// One thing to ask for.
struct HubClient::Call {
  const char* method;
  Url url;
  HeaderFields fields;
  std::string subject;
  // Redirects to any server are followed, not only to the Hub's.
  bool any_origin;
  int timeout_ms;
  OnAnswer on_answer;
  BodySink sink;
  CancelCheck is_cancelled;
};

namespace {

constexpr int kMaxRedirects = 20;
// Of an error's body: what is longer says no more.
constexpr size_t kMaxErrorBody = 64 << 10;
// Of one answer of the API, and of all pages of one listing.
constexpr size_t kMaxAnswer = 64 << 20;
constexpr int kMaxPages = 4096;
// For a try that nothing else can replace.
constexpr int kPatientTimeoutMs = 60000;

// The Hub's own, beside the endpoint.
constexpr const char* kHubOrigins[] = {"https://huggingface.co",
                                       "https://hf.co"};

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

bool IsRedirect(int status) { return status >= 300 && status < 400; }

absl::Status RedirectError(absl::string_view subject, absl::string_view what,
                           const Url& at) {
  return MakeError(absl::StatusCode::kDataLoss, error_id::kHubResponse,
                   absl::StrCat(subject, ": ", ForMessage(at), " redirects ",
                                what, "; is a mirror or a proxy in between?"),
                   {std::string(subject), "", ForMessage(at)});
}

// Of requests that belong together in the logs of a server.
std::string RandomUuid() {
  std::random_device random;
  const auto part = [&random] { return random() & 0xffffu; };
  return absl::StrFormat("%04x%04x-%04x-4%03x-a%03x-%04x%04x%04x", part(),
                         part(), part(), part() & 0xfffu, part() & 0xfffu,
                         part(), part(), part());
}

absl::Status Ignore(const HttpResponse&, const Url&) {
  return absl::OkStatus();
}
absl::Status IgnoreBody(absl::Span<const uint8_t>) { return absl::OkStatus(); }

std::string SubjectOf(const RepoId& repo, absl::string_view revision,
                      absl::string_view file = "") {
  return absl::StrCat(repo.name(), file.empty() ? "" : "/", file,
                      " at revision ", Printable(revision));
}

}  // namespace

absl::StatusOr<std::unique_ptr<HubClient>> HubClient::Create(
    const Settings& settings, const ClientOptions& options,
    Transport* transport) {
  std::unique_ptr<HubClient> client(
      new HubClient(settings, options, transport));
  PEFT_ASSIGN_OR_RETURN(client->token_, FindToken(settings, options.token));
  absl::StatusOr<Url> endpoint = ParseUrl(settings.endpoint);
  PEFT_RETURN_IF_ERROR(WithContext(endpoint.status(), "the Hub's endpoint"));
  client->endpoint_ = *endpoint;
  return client;
}

absl::Status HubClient::CheckOnline(absl::string_view subject) const {
  const char* why = nullptr;
  if (settings_.offline) {
    why = "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set";
  } else if (options_.local_files_only) {
    why = "local_files_only is set";
  } else if (transport_ == nullptr) {
    why = "this program has no access to a network";
  } else {
    return absl::OkStatus();
  }
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kHubOffline,
      absl::StrCat(subject, ": the Hub would have to be asked, but ", why,
                   "; fetch it first, or allow requests"),
      {std::string(subject), "", why});
}

HeaderFields HubClient::CommonFields() const {
  std::string agent = options_.user_agent;
  if (!settings_.user_agent_origin.empty()) {
    absl::StrAppend(&agent, "; origin/", settings_.user_agent_origin);
  }
  return {{"User-Agent", agent}, {"X-Amzn-Trace-Id", RandomUuid()}};
}

bool HubClient::Follows(const Call& call, const Url& from,
                        const Url& to) const {
  if (call.any_origin || to.HasOriginOf(from) || to.HasOriginOf(endpoint_)) {
    return true;
  }
  for (const char* origin : kHubOrigins) {
    const absl::StatusOr<Url> url = ParseUrl(origin);
    if (url.ok() && to.HasOriginOf(*url)) return true;
  }
  return false;
}

Reply HubClient::ExchangeOnce(const Call& call, const Url& url,
                              bool with_token) const {
  HttpRequest request;
  request.method = call.method;
  request.url = url.ToString();
  request.fields = call.fields;
  if (with_token && !token_.empty()) {
    request.fields.emplace_back("Authorization",
                                absl::StrCat("Bearer ", token_));
  }
  request.timeout_ms = call.timeout_ms;
  Reply reply;
  reply.url = url;
  std::string error_body;
  const auto is_wanted = [&reply] {
    return reply.response.status >= 200 && reply.response.status < 300;
  };
  const absl::Status status =
      transport_
          ->Exchange(
              request,
              [&](const HttpResponse& response) {
                reply.response = response;
                return is_wanted() ? call.on_answer(response, url)
                                   : absl::OkStatus();
              },
              [&](absl::Span<const uint8_t> bytes) -> absl::Status {
                if (is_wanted()) return call.sink(bytes);
                error_body.append(reinterpret_cast<const char*>(bytes.data()),
                                  bytes.size());
                if (error_body.size() <= kMaxErrorBody) return absl::OkStatus();
                return RedirectError(call.subject, "or fails at length", url);
              },
              call.is_cancelled)
          .status();
  // What the server says counts, even if the end of its text is missing.
  if (reply.response.status >= 400 && !absl::IsCancelled(status)) {
    reply.failure = FailureOf(reply.response, error_body, url, call.subject,
                              url.HasOriginOf(endpoint_));
  } else if (!status.ok()) {
    reply.failure = FailureOf(status);
  }
  return reply;
}

Reply HubClient::Send(const Call& call) const {
  Url url = call.url;
  Reply reply;
  reply.failure.status = CheckOnline(call.subject);
  if (!reply.failure.status.ok()) return reply;
  // Once left, the endpoint's origin gets no token either: what it is asked
  // for then was another's choice.
  bool with_token = true;
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    with_token = with_token && url.HasOriginOf(endpoint_);
    reply = ExchangeOnce(call, url, with_token);
    reply.failure.status = WithoutToken(reply.failure.status, token_);
    const absl::string_view location =
        FindField(reply.response.fields, "Location");
    if (!reply.failure.status.ok() || location.empty() ||
        !IsRedirect(reply.response.status)) {
      return reply;
    }
    const absl::StatusOr<Url> next = ResolveUrl(url, location);
    if (!next.ok()) {
      reply.failure = FailureOf(WithContext(next.status(), call.subject));
      return reply;
    }
    if (url.scheme == "https" && next->scheme != "https") {
      reply.failure = FailureOf(
          RedirectError(call.subject, "from https to plain http", url));
      return reply;
    }
    if (!Follows(call, url, *next)) return reply;
    url = *next;
  }
  reply.failure =
      FailureOf(RedirectError(call.subject, "more than 20 times", url));
  return reply;
}

absl::StatusOr<Reply> HubClient::GetText(const Url& url,
                                         absl::string_view subject,
                                         CancelCheck is_cancelled,
                                         std::string* text) const {
  Retries retries(options_.retry);
  HeaderFields fields = CommonFields();
  fields.emplace_back("Accept-Encoding", "gzip");
  while (true) {
    const auto sink = [&](absl::Span<const uint8_t> bytes) -> absl::Status {
      if (text->size() + bytes.size() > kMaxAnswer) {
        return MakeError(absl::StatusCode::kDataLoss, error_id::kHubResponse,
                         absl::StrCat(subject,
                                      ": the Hub's answer has more "
                                      "than 64 MiB"),
                         {std::string(subject), "at most 64 MiB", ""});
      }
      text->append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return absl::OkStatus();
    };
    text->clear();
    Reply reply =
        Send({"GET", url, fields, std::string(subject), true,
              settings_.download_timeout_ms, Ignore, sink, is_cancelled});
    if (reply.failure.status.ok()) return reply;
    PEFT_RETURN_IF_ERROR(retries.Next(reply.failure, is_cancelled));
  }
}

absl::StatusOr<Url> HubClient::ApiUrl(const RepoId& repo,
                                      absl::string_view rest) const {
  return ParseUrl(absl::StrCat(settings_.endpoint, "/api/", Plural(repo.type()),
                               "/", repo.name(), rest));
}

absl::StatusOr<std::string> HubClient::ResolveRevision(
    const RepoId& repo, absl::string_view revision,
    CancelCheck is_cancelled) const {
  PEFT_RETURN_IF_ERROR(CheckRevision(revision));
  PEFT_ASSIGN_OR_RETURN(
      const Url url,
      ApiUrl(repo, absl::StrCat("/revision/", PercentEncode(revision))));
  const std::string subject = SubjectOf(repo, revision);
  std::string text;
  PEFT_RETURN_IF_ERROR(GetText(url, subject, is_cancelled, &text).status());
  return ParseRepoInfo(text, subject);
}

absl::StatusOr<Tree> HubClient::ListFiles(const RepoId& repo,
                                          absl::string_view commit,
                                          CancelCheck is_cancelled) const {
  PEFT_ASSIGN_OR_RETURN(
      Url url, ApiUrl(repo, absl::StrCat("/tree/", PercentEncode(commit),
                                         "?recursive=true&expand=false")));
  const std::string subject = SubjectOf(repo, commit);
  Tree tree;
  for (int page = 0; page < kMaxPages; ++page) {
    std::string text;
    PEFT_ASSIGN_OR_RETURN(const Reply reply,
                          GetText(url, subject, is_cancelled, &text));
    PEFT_RETURN_IF_ERROR(ParseTreePage(text, subject, &tree));
    const std::string next = NextPage(reply.response.fields);
    if (next.empty()) return tree;
    const bool secure = url.scheme == "https";
    PEFT_ASSIGN_OR_RETURN(url, ResolveUrl(reply.url, next));
    if (secure && url.scheme != "https") {
      return RedirectError(subject, "from https to plain http", url);
    }
  }
  return RedirectError(subject, "to more than 4096 pages", url);
}

absl::StatusOr<std::vector<Ref>> HubClient::ListRefs(
    const RepoId& repo, bool with_pull_requests,
    CancelCheck is_cancelled) const {
  PEFT_ASSIGN_OR_RETURN(
      const Url url,
      ApiUrl(repo, with_pull_requests ? "/refs?include_prs=1" : "/refs"));
  std::string text;
  PEFT_RETURN_IF_ERROR(GetText(url, repo.name(), is_cancelled, &text).status());
  return ParseRefs(text, repo.name());
}

absl::StatusOr<Url> HubClient::FileUrl(const RepoId& repo,
                                       absl::string_view revision,
                                       absl::string_view file) const {
  const absl::string_view folder =
      repo.type() == RepoType::kModel ? "" : Plural(repo.type());
  return ParseUrl(absl::StrCat(
      settings_.endpoint, folder.empty() ? "" : "/", folder, "/", repo.name(),
      "/resolve/", PercentEncode(revision), "/", PercentEncode(file, "/")));
}

absl::StatusOr<FileMetadata> HubClient::GetMetadata(
    const RepoId& repo, absl::string_view revision, absl::string_view file,
    bool retry, CancelCheck is_cancelled, std::string* commit_without) const {
  PEFT_RETURN_IF_ERROR(CheckRevision(revision));
  PEFT_RETURN_IF_ERROR(CheckFileName(file));
  PEFT_ASSIGN_OR_RETURN(const Url url, FileUrl(repo, revision, file));
  const std::string subject = SubjectOf(repo, revision, file);
  HeaderFields fields = CommonFields();
  fields.emplace_back("Accept-Encoding", "identity");
  fields.emplace_back("X-HF-Download-Counter", "1");
  Retries retries(options_.retry);
  int timeout_ms = settings_.etag_timeout_ms;
  while (true) {
    const Reply reply = Send({"HEAD", url, fields, subject, false, timeout_ms,
                              Ignore, IgnoreBody, is_cancelled});
    if (reply.failure.status.ok()) {
      return ParseMetadata(reply.response, url, reply.url, subject);
    }
    const absl::string_view commit =
        FindField(reply.response.fields, "X-Repo-Commit");
    if (ErrorId(reply.failure.status) == error_id::kHubEntryNotFound &&
        IsCommit(commit)) {
      *commit_without = std::string(commit);
    }
    if (!retry) return reply.failure.status;
    PEFT_RETURN_IF_ERROR(retries.Next(reply.failure, is_cancelled));
    timeout_ms = std::max(timeout_ms, kPatientTimeoutMs);
  }
}

Reply HubClient::GetBytes(const Url& url, const ByteRange& range,
                          absl::string_view subject, OnAnswer on_answer,
                          BodySink sink, CancelCheck is_cancelled) const {
  HeaderFields fields = CommonFields();
  // A part of a compressed body is of no use.
  fields.emplace_back("Accept-Encoding", "identity");
  fields.emplace_back("X-HF-Download-Counter", "1");
  const bool has_end = range.end != ByteRange().end;
  if (range.begin > 0 || has_end) {
    std::string text = absl::StrCat("bytes=", range.begin, "-");
    if (has_end) absl::StrAppend(&text, range.end - 1);
    fields.emplace_back("Range", text);
  }
  return Send({"GET", url, fields, std::string(subject), true,
               settings_.download_timeout_ms, on_answer, sink, is_cancelled});
}

}  // namespace hub
}  // namespace peft
