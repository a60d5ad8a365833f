// The part of an adapter_config.json that is IA3's own.
#ifndef PEFT_CC_CONFIG_IA3_CONFIG_H_
#define PEFT_CC_CONFIG_IA3_CONFIG_H_

#include "absl/status/status.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/config/config_reader.h"

namespace peft {

// Fills config->ia3 from the file behind `reader`, and config's ignored_keys
// and notes. Fails as ParseAdapterConfig.
absl::Status ParseIa3Config(const AdapterConfigOptions& options,
                            ConfigReader* reader, AdapterConfig* config);

}  // namespace peft

#endif  // PEFT_CC_CONFIG_IA3_CONFIG_H_
