// The memory that an adapter takes, once it is loaded and before.
#ifndef PEFT_CC_ADAPTERS_ADAPTER_SIZE_H_
#define PEFT_CC_ADAPTERS_ADAPTER_SIZE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/base/folder.h"

namespace peft {

// The bytes of the elements that `adapter` keeps in memory: its tensors and
// what its programs hold besides, each once. Tensors that are the base model's
// own do not count.
int64_t ResidentBytes(const Adapter& adapter, const SiteTable& sites);

// The elements of its tensors.
int64_t NumParameters(const Adapter& adapter);

// The largest rank of a low-rank form; 0 for none.
int64_t MaxRank(const Adapter& adapter);

// What an adapter will take.
struct AdapterEstimate {
  // At least ResidentBytes. More where the base has some of it already: biases
  // and weights that equal its own.
  int64_t size_bytes = 0;
  int64_t file_bytes = 0;  // of the file that holds the tensors
  int64_t num_parameters = 0;
  int64_t num_tensors = 0;
};

// Reads the index of the tensors below `folder` in `subfolder`, and not
// their elements; a .bin is mapped meanwhile. Fails as FindAdapterFolder,
// ReadAdapterConfig and ReadAdapterTensors do.
absl::StatusOr<AdapterEstimate> EstimateAdapter(const Folder& folder,
                                                const std::string& subfolder);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_ADAPTER_SIZE_H_
