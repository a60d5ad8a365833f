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
  std::vector<std::string> proxies;  // "scheme=URL"
  bool local_files_only = false;
  bool force_download = false;

  // The names of those that are given, joined by commas; "" for none.
  std::string Given() const;
};

// INVALID_ARGUMENT (ARGUMENT) for a proxy that is not "scheme=URL".
absl::Status CheckOptions(const Options& options);

// Where files were found.
struct Source {
  std::string folder;
  // Of a repository; "" for a local folder.
  std::string commit;
};

// Finds the folder that holds `file`, such as "adapter_config.json", directly
// or below `subfolder`: a local folder `path`, or else the repository of that
// name as the cache holds it. A local folder wins only if it has the file.
// `path` that is a file is returned as it is.
//
// This version makes no request. Fails with NOT_FOUND
// (HUB_LOCAL_ENTRY_NOT_FOUND where `path` can be a repository, else
// FILE_NOT_FOUND), with UNIMPLEMENTED where force_download asks for a request,
// and as CheckOptions.
absl::StatusOr<Source> FindSource(const std::string& path,
                                  absl::string_view subfolder,
                                  absl::string_view file,
                                  const Options& options,
                                  const Settings& settings);

}  // namespace hub
}  // namespace peft

#endif  // HUB_SOURCE_H_
