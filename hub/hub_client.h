// Requests to the Hub: what a repository and a revision are, which files are
// there, and their bytes. Nothing is stored; hub/download.h does that.
#ifndef HUB_HUB_CLIENT_H_
#define HUB_HUB_CLIENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "hub/answers.h"
#include "hub/http_error.h"
#include "hub/repo_id.h"
#include "hub/retry.h"
#include "hub/settings.h"
#include "hub/transport.h"
#include "hub/url.h"

namespace peft {
namespace hub {

struct ClientOptions {
  std::string token;  // "": FindToken's
  bool local_files_only = false;
  std::string user_agent = "libpeft";  // who asks
  RetryPolicy retry;
};

// Bytes of a file, up to and without `end`.
struct ByteRange {
  uint64_t begin = 0;
  uint64_t end = UINT64_MAX;  // the file's
};

// The answer to one request, after redirects.
struct Reply {
  Failure failure;  // status OK: none
  HttpResponse response;
  Url url;  // where the answer came from
};

// Immutable, so thread-safe. The token goes to the endpoint's origin alone, and
// is in no error. Requests that fail with what another try may mend are tried
// again, where a function does not say otherwise.
//
// All functions fail with FAILED_PRECONDITION (HUB_OFFLINE) where no request
// may be made, with the errors of Transport::Exchange, and for what the Hub
// answers with the ids HUB_* of docs/errors.md. CANCELLED (CANCELLED) when
// `is_cancelled` says so.
class HubClient {
 public:
  // `transport` must outlive the client; null: no request is ever made. Fails
  // as FindToken, and with INVALID_ARGUMENT (HUB_URL) for an endpoint that is
  // no address.
  static absl::StatusOr<std::unique_ptr<HubClient>> Create(
      const Settings& settings, const ClientOptions& options,
      Transport* transport);

  const Settings& settings() const { return settings_; }
  const RetryPolicy& retry_policy() const { return options_.retry; }

  // OK if requests may be made; HUB_OFFLINE otherwise, naming what for.
  absl::Status CheckOnline(absl::string_view subject) const;

  // The commit that `revision` stands for now.
  absl::StatusOr<std::string> ResolveRevision(const RepoId& repo,
                                              absl::string_view revision,
                                              CancelCheck is_cancelled) const;

  // All files of `commit`.
  absl::StatusOr<Tree> ListFiles(const RepoId& repo, absl::string_view commit,
                                 CancelCheck is_cancelled) const;

  // Branches and tags, and pull requests where asked for.
  absl::StatusOr<std::vector<Ref>> ListRefs(const RepoId& repo,
                                            bool with_pull_requests,
                                            CancelCheck is_cancelled) const;

  // What the Hub says about a file, without its bytes. A single try where
  // `retry` is false. Where it is HUB_ENTRY_NOT_FOUND and the answer names a
  // commit, sets `commit_without`.
  absl::StatusOr<FileMetadata> GetMetadata(const RepoId& repo,
                                           absl::string_view revision,
                                           absl::string_view file, bool retry,
                                           CancelCheck is_cancelled,
                                           std::string* commit_without) const;

  // The address that resolves to the bytes of a file.
  absl::StatusOr<Url> FileUrl(const RepoId& repo, absl::string_view revision,
                              absl::string_view file) const;

  // Takes an answer, and where it came from.
  using OnAnswer =
      absl::FunctionRef<absl::Status(const HttpResponse&, const Url&)>;

  // One GET of the bytes at `url`, redirects followed. A single try. An answer
  // below 300 goes to `on_answer` and its body to `sink`.
  Reply GetBytes(const Url& url, const ByteRange& range,
                 absl::string_view subject, OnAnswer on_answer, BodySink sink,
                 CancelCheck is_cancelled) const;

 private:
  struct Call;

  HubClient(const Settings& settings, const ClientOptions& options,
            Transport* transport)
      : settings_(settings), options_(options), transport_(transport) {}

  HeaderFields CommonFields() const;
  // True for a redirect from `from` to `to` that `call` follows.
  bool Follows(const Call& call, const Url& from, const Url& to) const;
  Reply ExchangeOnce(const Call& call, const Url& url, bool with_token) const;
  Reply Send(const Call& call) const;
  // The whole body of a GET of the API.
  absl::StatusOr<Reply> GetText(const Url& url, absl::string_view subject,
                                CancelCheck is_cancelled,
                                std::string* text) const;
  absl::StatusOr<Url> ApiUrl(const RepoId& repo, absl::string_view rest) const;

  const Settings settings_;
  const ClientOptions options_;
  Transport* const transport_;
  Url endpoint_;
  std::string token_;
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_HUB_CLIENT_H_
