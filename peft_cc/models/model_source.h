// Where a base model is, and the adapters that it is opened for: folders, or
// repositories of the Hub.
#ifndef PEFT_CC_MODELS_MODEL_SOURCE_H_
#define PEFT_CC_MODELS_MODEL_SOURCE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "hub/fetch.h"
#include "peft_cc/base/folder.h"
#include "peft_cc/base/given_file.h"

namespace peft {

struct ModelSourceOptions {
  // The files of the base's folder, wherever they are; null: it is at its path.
  std::shared_ptr<const GivenFiles> files;
  std::string subfolder;  // of the base; "" for none
  // How Hub ids are looked for. The revision is the base's.
  hub::FetchOptions hub;
  // Adapters that the model is opened for.
  std::vector<std::string> for_adapters;
  // Of all of them; "" for main and none.
  std::string adapter_revision;
  std::string adapter_subfolder;
};

struct ModelSource {
  ModelSource() : folder("") {}

  Folder folder;  // of the base
  // What the base is called: as it was asked for.
  std::string name;
  bool is_local = true;               // not a repository of the Hub
  std::vector<std::string> adapters;  // folders of for_adapters, in order
};

// The folders of options.for_adapters, which are fetched where it takes that.
// Fails as hub::FetchAdapter.
absl::StatusOr<std::vector<std::string>> FindAdapters(
    const ModelSourceOptions& options);

// The same with the base `path`, which is a name alone where there are files.
// Where it is "" it is the one that the
// adapters name, at the revision of the options or else of the first adapter's
// config. Fails as FindAdapters, hub::FetchModel and ReadAdapterConfig, and
// then with INVALID_ARGUMENT (ADAPTER_CONFIG) where no adapter names a base, or
// FAILED_PRECONDITION (BASE_MISMATCH) where two name different ones.
absl::StatusOr<ModelSource> FindModelSource(const std::string& path,
                                            const ModelSourceOptions& options);

}  // namespace peft

#endif  // PEFT_CC_MODELS_MODEL_SOURCE_H_
