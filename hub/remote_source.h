// "A folder or a Hub id", where the Hub may be asked: what an adapter or a
// model is made of is fetched into the cache if it is not there.
#ifndef HUB_REMOTE_SOURCE_H_
#define HUB_REMOTE_SOURCE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "hub/download.h"
#include "hub/hub_client.h"
#include "hub/settings.h"
#include "hub/source.h"
#include "hub/transport.h"

namespace peft {
namespace hub {

// A client with the token and the rules of `options`; the proxies are the
// transport's. `transport` must outlive it; null: no request is made. Fails as
// CheckOptions and HubClient::Create.
absl::StatusOr<std::unique_ptr<HubClient>> CreateClient(
    const Options& options, const Settings& settings, Transport* transport);

// The folder of the adapter `path`: as FindSource for "adapter_config.json",
// and otherwise its configuration and weights of the repository of that name,
// fetched if the cache lacks them. One request where they are there at the
// revision, none where that is a commit. Where the Hub cannot be asked, what
// the cache has is used. Fails as FindSource and DownloadSnapshot, with
// NOT_FOUND (HUB_ENTRY_NOT_FOUND) for a repository that holds no adapter.
// `download` gives progress and cancellation; its other fields are those of
// `options`.
absl::StatusOr<Source> FindAdapter(const std::string& path,
                                   absl::string_view subfolder,
                                   const Options& options,
                                   const HubClient& client,
                                   const DownloadOptions& download = {});

// The same for a model: its config.json, tokenizer, and safetensors, or
// pytorch_model.bin where there are none.
absl::StatusOr<Source> FindModel(const std::string& path,
                                 absl::string_view subfolder,
                                 const Options& options,
                                 const HubClient& client,
                                 const DownloadOptions& download = {});

}  // namespace hub
}  // namespace peft

#endif  // HUB_REMOTE_SOURCE_H_
