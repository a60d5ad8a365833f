// The keys of each method, beside those that all have, and what we do with
// them. Source: peft 0.21.2, the config classes.
#ifndef PEFT_CC_CONFIG_METHOD_KEYS_H_
#define PEFT_CC_CONFIG_METHOD_KEYS_H_

#include "peft_cc/config/config_keys.h"

namespace peft {

ConfigKeys LoraKeys();
ConfigKeys AdaLoraKeys();  // where they differ from LORA's
ConfigKeys Ia3Keys();

}  // namespace peft

#endif  // PEFT_CC_CONFIG_METHOD_KEYS_H_
