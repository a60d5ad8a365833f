// Bounded JSON parsing for files that strangers wrote.
#ifndef PEFT_CC_BASE_JSON_H_
#define PEFT_CC_BASE_JSON_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace peft {

// Keeps keys in the order of the file, so that a config survives a round trip.
using Json = nlohmann::ordered_json;

struct JsonLimits {
  int max_depth = 64;
  uint64_t max_elements = 4u << 20;  // values and keys together
};

// Parses `text` as one JSON document. Fails with INVALID_ARGUMENT (JSON) for
// bad syntax (says line and column), invalid UTF-8, a duplicate key in any
// object, trailing bytes, or a limit passed. `what` names the source in the
// message. With `allow_nan`, the tokens NaN, Infinity and -Infinity that
// Python's json module writes are accepted as numbers.
absl::StatusOr<Json> ParseJson(absl::string_view text, absl::string_view what,
                               const JsonLimits& limits = {},
                               bool allow_nan = false);

// JSON text as Python's json.dumps(indent=2) lays it out, in the order of
// `value`, non-ASCII escaped as \uXXXX, NaN and infinities as Python writes
// them, floats in their shortest form that reads back equal.
std::string DumpJson(const Json& value);

}  // namespace peft

#endif  // PEFT_CC_BASE_JSON_H_
