// A Hub in memory, behind the transport, that can misbehave.
#ifndef HUB_TESTING_FAKE_HUB_H_
#define HUB_TESTING_FAKE_HUB_H_

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "hub/transport.h"

namespace peft {
namespace hub {

inline constexpr char kFakeCommit[] =
    "0123456789abcdef0123456789abcdef01234567";
inline constexpr char kFakeEndpoint[] = "https://hub.test";
inline constexpr char kFakeCdn[] = "https://cdn.test";

// What a request is answered with.
struct FakeAnswer {
  int status = 200;
  HeaderFields fields;
  std::string body;
  // The connection breaks after so many bytes of the body; -1: it does not.
  int64_t cut_at = -1;
};

// Serves one repository, "org/name", at kFakeCommit, which "main" and
// "refs/pr/1" stand for. Large files lie at the second origin. Thread-safe,
// once it is set up.
class FakeHub : public Transport {
 public:
  void AddFile(const std::string& path, const std::string& content,
               bool is_large = false);

  // Asked before each answer, with the number of requests before this one; what
  // it returns is the answer instead.
  std::function<absl::optional<FakeAnswer>(const HttpRequest&, int)> misbehave;
  int page_size = 1000;

  // The right answer.
  FakeAnswer Answer(const HttpRequest& request) const;

  absl::StatusOr<HttpResponse> Exchange(
      const HttpRequest& request,
      absl::FunctionRef<absl::Status(const HttpResponse&)> on_response,
      BodySink sink, CancelCheck is_cancelled) override;

  // "METHOD url" of all requests so far, in order.
  std::vector<std::string> requests() const;
  // The whole of them.
  std::vector<HttpRequest> full_requests() const;
  int num_requests() const { return static_cast<int>(requests().size()); }
  void ForgetRequests();

 private:
  struct File {
    std::string content;
    std::string sha1;    // git's
    std::string sha256;  // "" for a small one
  };

  FakeAnswer Resolve(const HttpRequest& request, absl::string_view path) const;
  FakeAnswer Tree(absl::string_view query) const;

  std::map<std::string, File> files_;
  mutable std::mutex mutex_;
  std::vector<HttpRequest> requests_;
};

// The Hub's etag of a small or a large file.
std::string FakeEtag(const std::string& content, bool is_large);

}  // namespace hub
}  // namespace peft

#endif  // HUB_TESTING_FAKE_HUB_H_
