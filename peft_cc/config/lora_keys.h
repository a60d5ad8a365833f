// Every key of a LORA adapter_config.json, and what we do with it.
// Source: peft 0.21.2, PeftConfig and LoraConfig.
#ifndef PEFT_CC_CONFIG_LORA_KEYS_H_
#define PEFT_CC_CONFIG_LORA_KEYS_H_

#include "peft_cc/config/config_keys.h"

namespace peft {

// Sorted by name.
ConfigKeys LoraKeys();

}  // namespace peft

#endif  // PEFT_CC_CONFIG_LORA_KEYS_H_
