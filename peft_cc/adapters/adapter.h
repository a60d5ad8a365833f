// A loaded adapter: immutable, a generation.
#ifndef PEFT_CC_ADAPTERS_ADAPTER_H_
#define PEFT_CC_ADAPTERS_ADAPTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "hub/fetch.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/load_report.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/base/block_cache.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/folder.h"
#include "peft_cc/base/given_file.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/methods/forms.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// Immutable and shared: forwards that hold a generation go on with it after it
// was deleted or replaced. Thread-safe.
class Adapter {
 public:
  // What the adapter does at one site.
  struct SiteEntry {
    int site = -1;  // index into SiteTable::sites()
    SiteProgram program;
  };

  // `entries` must be of the model that will run them, at most one per site,
  // none empty.
  Adapter(AdapterConfig config, TensorMap state_dict,
          std::vector<SiteEntry> entries);

  // Unique in the process; never reused.
  uint64_t generation() const { return generation_; }
  // The config as it was read, unknown keys included, in the model's names.
  const AdapterConfig& config() const { return config_; }
  // Tensors under the names of get_adapter_state_dict: module paths without
  // "base_model.model." and without the adapter's name.
  const TensorMap& state_dict() const { return state_dict_; }
  // In module order.
  const std::vector<SiteEntry>& entries() const { return entries_; }
  // What the adapter does at site `site`; null: nothing.
  const SiteProgram* FindProgram(int site) const;

 private:
  uint64_t generation_;
  AdapterConfig config_;
  TensorMap state_dict_;
  std::vector<SiteEntry> entries_;
};

// How an adapter is loaded.
struct AdapterLoadOptions {
  std::string subfolder;  // below the folder; "" for none
  // Turn unknown config keys with a value, missing tensors (they act as zero)
  // and unexpected tensors, and a base of another fingerprint than the file
  // says, into lines of the report instead of errors. Shape mismatches, NaN
  // configs and unimplemented features stay errors.
  bool lenient = false;
  // How the tensors of a folder are read.
  ReadMode read_mode = ReadMode::kRead;
  // Take a file whose initialisation changed the base in a way that neither
  // file nor base tell, and that was not converted.
  bool allow_unconverted_init = false;
  // The files of the adapter's folder, wherever they are; null: it is at the
  // path.
  std::shared_ptr<const GivenFiles> files;
  // How a Hub id is looked for: Model's verbs, which take one wherever they
  // take a folder, fetch before they call what follows here.
  hub::FetchOptions hub;
  // Reads large files, and the base's weights for methods that need them; null:
  // the calling thread alone.
  kernels::ThreadPool* pool = nullptr;
  // Where the memory for a file that is read comes from; null: fresh memory.
  BlockCache* blocks = nullptr;
};

// An adapter that loaded, and what the load found.
struct LoadedAdapter {
  std::shared_ptr<const Adapter> adapter;
  LoadReport report;
  // Where its files are; "" where it came from memory, and of LoadAdapter.
  std::string folder = {};
};

// Reads adapter_config.json and adapter_model.safetensors (else
// adapter_model.bin) of `folder`, below the subfolder of the options, matches
// them with `sites` and lowers every site. Errors name the adapter `name`, the
// tensor or key, expected and found. Changes nothing; a failure leaves nothing
// behind.
absl::StatusOr<LoadedAdapter> LoadAdapter(const SiteTable& sites,
                                          const std::string& name,
                                          const Folder& folder,
                                          const AdapterLoadOptions& options);

// The same from a config and tensors in memory.
absl::StatusOr<LoadedAdapter> BuildAdapter(const SiteTable& sites,
                                           const std::string& name,
                                           AdapterConfig config,
                                           TensorMap tensors,
                                           const AdapterLoadOptions& options);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_ADAPTER_H_
