// What a PEFT folder holds, of any method, also of those that cannot run.
#ifndef PEFT_CC_ADAPTERS_INSPECT_H_
#define PEFT_CC_ADAPTERS_INSPECT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/base/folder.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// A module that has tensors in the file.
struct InspectedModule {
  std::string name;  // as in the file, without "base_model.model."
  int64_t rank = 0;  // of its tensors; 0 where the method has none
  int64_t num_parameters = 0;
};

// One folder, read. Keeps its tensors in memory.
struct AdapterSummary {
  std::string folder;  // path and subfolder joined; "" of given files
  AdapterConfig config;
  // Whether this version can run it, else why not (the error's id and message).
  bool runnable = false;
  std::string reason_id;
  std::string reason;
  TensorMap tensors;
  std::vector<InspectedModule> modules;  // in name order
  int64_t num_parameters = 0;
  int64_t size_bytes = 0;
  std::map<std::string, int64_t> dtypes;  // name: number of tensors
};

// Reads the folder `subfolder` ("": itself) of `folder`. Fails when it cannot
// be read: as FindAdapterFolder, ReadAdapterConfig and ReadAdapterTensors do.
// An adapter that cannot run is no failure.
absl::StatusOr<AdapterSummary> InspectAdapter(const Folder& folder,
                                              const std::string& subfolder);

// How an adapter fits one model.
struct AdapterFit {
  std::vector<std::string> matched;    // modules of the file that it has
  std::vector<std::string> unmatched;  // and those that it lacks
  // Whether a strict load would succeed, else why not.
  bool loads = false;
  std::string reason_id;
  std::string reason;
};

// Compares the modules, and tries a load of which nothing is kept.
AdapterFit InspectAgainst(const AdapterSummary& summary,
                          const SiteTable& sites);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_INSPECT_H_
