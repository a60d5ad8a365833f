// Every key of a LORA adapter_config.json, and what we do with it.
// Source: peft 0.21.2, PeftConfig and LoraConfig.
#ifndef PEFT_CC_CONFIG_LORA_KEYS_H_
#define PEFT_CC_CONFIG_LORA_KEYS_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace peft {

// Which JSON types a key may have: an or of these.
using JsonTypes = uint8_t;
inline constexpr JsonTypes kNullType = 1;
inline constexpr JsonTypes kBoolType = 2;
inline constexpr JsonTypes kNumberType = 4;
inline constexpr JsonTypes kStringType = 8;
inline constexpr JsonTypes kListType = 16;
inline constexpr JsonTypes kObjectType = 32;
inline constexpr JsonTypes kAnyType = 63;

// What a key means to us.
enum class KeyUse {
  kRead,      // parsed into AdapterConfigBase or LoraConfig
  kTraining,  // makes no difference once an adapter is trained
  kNoted,     // the same, but a value that is not empty is worth a note
  // Change the numbers and cannot run yet: refused when the value is not null,
  // or not empty (null, false, [], {} ...).
  kRefusedUnlessNull,
  kRefusedUnlessEmpty,
};

// One line of the table. Immutable.
struct LoraKey {
  absl::string_view name;
  KeyUse use;
  JsonTypes types;
  absl::string_view meaning;  // of the refused and the noted, for messages
};

// Sorted by name.
absl::Span<const LoraKey> LoraKeys();

// nullptr for a key that no known PEFT writes.
const LoraKey* FindLoraKey(absl::string_view name);

// Keys that other programs, or PEFT before 0.2, add to the file and that make
// no difference at inference.
bool IsHarmlessForeignKey(absl::string_view name);

}  // namespace peft

#endif  // PEFT_CC_CONFIG_LORA_KEYS_H_
