// What the Hub calls things: repositories, revisions and the files in them.
// The rules are those of huggingface_hub 2.4 (utils/_validators.py), and a name
// that passes them is safe in a URL and as part of a path.
#ifndef HUB_REPO_ID_H_
#define HUB_REPO_ID_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace peft {
namespace hub {

enum class RepoType { kModel, kDataset, kSpace };

// A repository, as "owner/name" or, for the oldest ones, "name". Immutable.
class RepoId {
 public:
  // Fails with INVALID_ARGUMENT (HUB_REPO_ID) where `name` cannot be one.
  static absl::StatusOr<RepoId> Create(absl::string_view name,
                                       RepoType type = RepoType::kModel);

  const std::string& name() const { return name_; }
  RepoType type() const { return type_; }

  // Its folder in the cache: "models--owner--name".
  std::string CacheFolder() const;

 private:
  RepoId(absl::string_view name, RepoType type) : name_(name), type_(type) {}

  std::string name_;
  RepoType type_;
};

// True for what RepoId::Create takes with an owner: "owner/name".
bool IsOwnedName(absl::string_view text);

// True for a full commit: 40 lower-case hexadecimal digits. Anything else is a
// branch, a tag or a short commit, which only the Hub can resolve.
bool IsCommit(absl::string_view revision);

// Fails with INVALID_ARGUMENT (HUB_REVISION) where `revision` cannot be one, or
// would leave the folder that the cache keeps revisions in.
absl::Status CheckRevision(absl::string_view revision);

// Fails with INVALID_ARGUMENT (PATH_ESCAPES) where `name`, a path inside of a
// repository, would leave its folder on some system.
absl::Status CheckFileName(absl::string_view name);

}  // namespace hub
}  // namespace peft

#endif  // HUB_REPO_ID_H_
