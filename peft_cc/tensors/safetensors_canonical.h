// The header of a safetensors file as the reference writer lays it out.
#ifndef PEFT_CC_TENSORS_SAFETENSORS_CANONICAL_H_
#define PEFT_CC_TENSORS_SAFETENSORS_CANONICAL_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "peft_cc/tensors/safetensors_header.h"

namespace peft {

// What ParseSafetensorsHeader makes of `json`, ten times as fast, where the
// text is laid out as the reference writer does: no blanks but those at the
// end, the three fields in its order, names in ASCII without escapes. nullopt
// for every other text, right or wrong: a JSON reader decides about it.
std::optional<SafetensorsHeader> ReadCanonicalHeader(absl::string_view json);

}  // namespace peft

#endif  // PEFT_CC_TENSORS_SAFETENSORS_CANONICAL_H_
