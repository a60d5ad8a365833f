// Writes an adapter as a folder that Python PEFT loads.
#ifndef PEFT_CC_ADAPTERS_SAVE_H_
#define PEFT_CC_ADAPTERS_SAVE_H_

#include <string>

#include "absl/status/status.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/config/adapter_config.h"

namespace peft {

// How an adapter is saved.
struct AdapterSaveOptions {
  // Replace the adapter that is there; other files of its folder stay.
  bool overwrite = false;
  // Written to the metadata of the tensors, see BaseFingerprint; "": none.
  std::string base_fingerprint = {};
  // The folder of the adapter as it was before training: what is saved is then
  // what ConvertInit makes of both. "": the adapter as it is.
  std::string path_initial_model_for_weight_conversion = {};
};

// The text of the adapter_config.json that SaveAdapter writes: every key that
// was read, sorted, laid out as PEFT does, with inference_mode true. The keys
// of patterns keep their order, because the first that matches wins.
std::string AdapterConfigText(const AdapterConfig& config);

// Writes adapter_model.safetensors and adapter_config.json to the folder
// `path`, which appears whole or not at all; its parent must exist. Tensors are
// written from where they are. Fails with ALREADY_EXISTS (FILE_EXISTS) where
// the folder has files and `overwrite` is false, else as WriteSafetensors and
// ConvertInit do.
absl::Status SaveAdapter(const Adapter& adapter, const std::string& path,
                         const AdapterSaveOptions& options = {});

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_SAVE_H_
