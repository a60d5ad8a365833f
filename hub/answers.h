// What the Hub answers, from bytes that may be anything to checked values.
#ifndef HUB_ANSWERS_H_
#define HUB_ANSWERS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "hub/transport.h"
#include "hub/url.h"

namespace peft {
namespace hub {

// A file as the listing of a commit has it.
struct TreeFile {
  uint64_t size = 0;
  std::string blob_id;     // git's
  std::string lfs_sha256;  // "" for a file that is in git itself
  uint64_t lfs_size = 0;
  std::string xet_hash;  // "" for one that is not in Xet

  // What its blob is called in the cache.
  const std::string& etag() const {
    return lfs_sha256.empty() ? blob_id : lfs_sha256;
  }
};

// The files of a commit by their paths, each of which passes CheckFileName.
using Tree = std::map<std::string, TreeFile>;

// A branch, tag or pull request.
struct Ref {
  std::string name;
  std::string ref;  // "refs/heads/main"
  std::string commit;
};

// What a HEAD of a file says.
struct FileMetadata {
  std::string commit;
  std::string etag;  // IsBlobName
  uint64_t size = 0;
  Url url;  // where its bytes are
};

// The functions below fail with DATA_LOSS (HUB_RESPONSE), naming `subject`,
// where an answer is not what the protocol promises.

// The commit of an answer about a revision.
absl::StatusOr<std::string> ParseRepoInfo(absl::string_view text,
                                          absl::string_view subject);

// Adds the files of one page of a listing to `tree`. Also fails with
// INVALID_ARGUMENT (PATH_ESCAPES) for a name that leaves its folder.
absl::Status ParseTreePage(absl::string_view text, absl::string_view subject,
                           Tree* tree);

// Branches, tags and pull requests, in the order of the answer.
absl::StatusOr<std::vector<Ref>> ParseRefs(absl::string_view text,
                                           absl::string_view subject);

// The address of the next page in a Link field; "" if there is none.
std::string NextPage(const HeaderFields& fields);

// The answer to a HEAD of `asked`; `answered` is where it came from after
// redirects that were followed.
absl::StatusOr<FileMetadata> ParseMetadata(const HttpResponse& response,
                                           const Url& asked,
                                           const Url& answered,
                                           absl::string_view subject);

}  // namespace hub
}  // namespace peft

#endif  // HUB_ANSWERS_H_
