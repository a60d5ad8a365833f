// The part of an adapter_config.json that is ADALORA's own.
#ifndef PEFT_CC_CONFIG_ADALORA_CONFIG_H_
#define PEFT_CC_CONFIG_ADALORA_CONFIG_H_

#include "absl/status/status.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/config/config_reader.h"

namespace peft {

// Fills config->adalora from the file behind `reader`, and config's
// ignored_keys and notes. Fails as ParseAdapterConfig.
absl::Status ParseAdaLoraConfig(const AdapterConfigOptions& options,
                                ConfigReader* reader, AdapterConfig* config);

}  // namespace peft

#endif  // PEFT_CC_CONFIG_ADALORA_CONFIG_H_
