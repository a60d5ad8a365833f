// What is known of the keys of an adapter_config.json, and what we do with
// each.
#ifndef PEFT_CC_CONFIG_CONFIG_KEYS_H_
#define PEFT_CC_CONFIG_CONFIG_KEYS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "peft_cc/base/json.h"
#include "peft_cc/config/config_reader.h"

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
inline constexpr JsonTypes kListOrNull = kListType | kNullType;
inline constexpr JsonTypes kObjectOrNull = kObjectType | kNullType;
inline constexpr JsonTypes kStringOrNull = kStringType | kNullType;
// Booleans may be written as 0 and 1, see ConfigReader::ReadBool.
inline constexpr JsonTypes kFlag = kBoolType | kNumberType | kNullType;

// What a key means to us.
enum class KeyUse {
  kRead,      // parsed into a struct; its type is checked there
  kTraining,  // makes no difference once an adapter is trained
  kNoted,     // the same, but a value that is not empty is worth a note
  // Change the numbers and cannot run yet: refused when the value is not null,
  // or not empty (null, false, [], {} ...).
  kRefusedUnlessNull,
  kRefusedUnlessEmpty,
};

// One line of a table. Immutable.
struct ConfigKey {
  absl::string_view name;
  KeyUse use;
  JsonTypes types;
  absl::string_view meaning;  // of the refused and the noted, for messages
};

// A method's keys, sorted by name. Immutable.
using ConfigKeys = absl::Span<const ConfigKey>;

// The keys that every method has. Source: peft 0.21.2, PeftConfig.
ConfigKeys BaseKeys();

// nullptr for a name that `keys` lack.
const ConfigKey* FindConfigKey(ConfigKeys keys, absl::string_view name);

// Keys that other programs, or PEFT before 0.2, add to the file and that make
// no difference at inference.
bool IsHarmlessForeignKey(absl::string_view name);

// How strict CheckConfigKeys is.
struct KeyOptions {
  bool lenient = false;       // unknown keys are ignored whatever their value
  bool inspect_only = false;  // what cannot run is a note
};

// Checks each key of `json` by the first of `tables` that has it; keys of none
// are added to `out_ignored` where they may be ignored. Fails with
// INVALID_ARGUMENT (ADAPTER_CONFIG: a wrong type; ADAPTER_CONFIG_UNKNOWN_KEY)
// or UNIMPLEMENTED (ADAPTER_FEATURE_UNSUPPORTED).
absl::Status CheckConfigKeys(const Json& json,
                             absl::Span<const ConfigKeys> tables,
                             const KeyOptions& options, ConfigReader& reader,
                             std::vector<std::string>& out_ignored);

// A feature that cannot run: UNIMPLEMENTED (ADAPTER_FEATURE_UNSUPPORTED) with
// `problem` after the key's name, or with `inspect_only` a note.
absl::Status RefuseFeature(absl::string_view key, absl::string_view problem,
                           bool inspect_only, ConfigReader& reader);

}  // namespace peft

#endif  // PEFT_CC_CONFIG_CONFIG_KEYS_H_
