// Where an adapter comes from: a local folder, or the Hub.
#ifndef PEFT_CC_ADAPTERS_ADAPTER_SOURCE_H_
#define PEFT_CC_ADAPTERS_ADAPTER_SOURCE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace peft {

// Options of a download, with the names and meaning of transformers'
// adapter_kwargs. Empty texts: not given.
struct HubOptions {
  std::string revision;
  std::string token;
  std::string cache_dir;
  std::vector<std::string> proxies;  // "scheme=URL"
  bool local_files_only = false;
  bool force_download = false;

  // The names of those that are given, joined by commas; "" for none.
  std::string Given() const;
};

// INVALID_ARGUMENT (ARGUMENT) for a proxy that is not "scheme=URL".
absl::Status CheckHubOptions(const HubOptions& options);

// UNIMPLEMENTED (UNIMPLEMENTED) where there is nothing at `path` and it reads
// as a Hub id, "owner/name", or `options` say that it is one: this version
// fetches nothing.
absl::Status CheckIsLocal(const std::string& path, const HubOptions& options);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_ADAPTER_SOURCE_H_
