// Long lists of target_modules, made short.
#ifndef PEFT_CC_CONFIG_MINIMAL_TARGETS_H_
#define PEFT_CC_CONFIG_MINIMAL_TARGETS_H_

#include <string>
#include <vector>

namespace peft {

// The ends of names that tell `targets` from `others`: what PEFT writes into
// the config of a new adapter instead of 20 names or more. `targets` where
// nothing shorter does. Source: peft 0.21.2, _find_minimal_target_modules.
std::vector<std::string> MinimalTargets(const std::vector<std::string>& targets,
                                        const std::vector<std::string>& others);

}  // namespace peft

#endif  // PEFT_CC_CONFIG_MINIMAL_TARGETS_H_
