// "A folder or a Hub id": where the files of a model or an adapter are.
#ifndef HUB_SOURCE_H_
#define HUB_SOURCE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "hub/settings.h"

namespace peft {
namespace hub {

// How a repository is looked for, with the names and meaning of transformers'
// adapter_kwargs. Empty texts: not given.
struct Options {
  std::string revision;  // "main" by default
  std::string token;
  std::string cache_dir;
  // "scheme=URL", the scheme http, https or all. Where there are some they
  // stand for all that the environment says of proxies.
  std::vector<std::string> proxies;
  bool local_files_only = false;
  bool force_download = false;
  std::string endpoint;  // HF_ENDPOINT's by default

  // The names of those that are given, joined by commas; "" for none.
  std::string Given() const;
};

// INVALID_ARGUMENT (ARGUMENT) for a proxy that is not "scheme=URL", or of
// another scheme.
absl::Status CheckOptions(const Options& options);

// Where files were found.
struct Source {
  std::string folder;
  // Of a repository; "" for a local folder.
  std::string commit;
};

// True where `path` is a folder or a file here, or cannot be meant as a
// repository: it has `file` directly or below `subfolder`, is a file, may not
// be looked into, can be no repository's name, or is a folder's name without an
// owner.
bool IsLocal(const std::string& path, absl::string_view subfolder,
             absl::string_view file);

// Finds the folder that holds `file`, such as "adapter_config.json", directly
// or below `subfolder`: a local folder `path`, or else the repository of that
// name as the cache holds it. A local folder wins only if it has the file, or
// may not be looked into. `path` that is a file is returned as it is.
//
// Makes no request, and is all that a build without network code has. Fails
// with UNIMPLEMENTED where a request is needed, with NOT_FOUND
// (HUB_LOCAL_ENTRY_NOT_FOUND) where local_files_only forbids it
// (HUB_ENTRY_NOT_FOUND where the cache knows that there is no such file), and
// as CheckOptions.
absl::StatusOr<Source> FindSource(const std::string& path,
                                  absl::string_view subfolder,
                                  absl::string_view file,
                                  const Options& options,
                                  const Settings& settings);

}  // namespace hub
}  // namespace peft

#endif  // HUB_SOURCE_H_
