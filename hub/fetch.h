// "A folder or a Hub id" for one call: what an adapter or a model is made of is
// found, and fetched where the Hub has it and the cache does not. In a build
// with `--define hub=off` nothing is fetched, and what the cache has is found.
#ifndef HUB_FETCH_H_
#define HUB_FETCH_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "hub/progress.h"
#include "hub/source.h"
#include "hub/transport.h"

namespace peft {
namespace hub {

// How a call asks the Hub, and what it says meanwhile.
struct FetchOptions : Options {
  // Counts begin anew with each repository, and with the shards of a model,
  // which are known only when its index is there. Null: not called.
  ProgressCallback on_progress;
  // Asked by any thread, at least ten times a second while something is
  // fetched, also while nothing arrives. Null: never.
  std::function<bool()> is_cancelled;
  // Makes the requests; null: hub/https_transport.h.
  std::shared_ptr<Transport> transport;
};

// The folder of the adapter `path`, which holds its files below `subfolder`
// ("": directly). What the environment says, but for `options`, is read at
// each call that is not for a local folder; connections end with it. Fails as
// FindAdapter of hub/remote_source.h, or where nothing can be fetched as
// FindSource.
absl::StatusOr<Source> FetchAdapter(const std::string& path,
                                    absl::string_view subfolder,
                                    const FetchOptions& options);

// The same for a model.
absl::StatusOr<Source> FetchModel(const std::string& path,
                                  absl::string_view subfolder,
                                  const FetchOptions& options);

}  // namespace hub
}  // namespace peft

#endif  // HUB_FETCH_H_
