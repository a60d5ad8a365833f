// Bounded JSON parsing for files that strangers wrote.
#ifndef PEFT_CC_BASE_JSON_H_
#define PEFT_CC_BASE_JSON_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace peft {

// Keeps keys in the order of the file, so that a config survives a round trip.
using Json = nlohmann::ordered_json;

// The entries of an object in their order, to add such as are known to be new:
// the object's own ways look through all others for each.
inline Json::object_t::Container& JsonEntries(Json& object) {
  return object.get_ref<Json::object_t&>();
}

// What a document may have at most.
struct JsonLimits {
  int max_depth = 64;                // copies and destructors recurse this deep
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

// Receives the parts of a JSON text in order, for files too large to build a
// document of. The functions to override are nlohmann's (null, boolean,
// number_unsigned, string, key, start_object ...); returning Fail("why") from
// one ends the scan. No limits and no check for duplicate keys: the handler
// keeps its own.
class JsonHandler : public nlohmann::json_sax<Json> {
 public:
  // Part of nlohmann's interface; JSON text has no such values.
  bool binary(Json::binary_t&) final { return Fail("binary value"); }
  // Keeps the syntax error with its line and column.
  bool parse_error(size_t position, const std::string& token,
                   const nlohmann::detail::exception& error) final;

 protected:
  // Remembers the problem; always false.
  bool Fail(absl::string_view problem);

 private:
  friend absl::Status ScanJson(absl::string_view text, absl::string_view what,
                               JsonHandler& handler);

  absl::string_view text_;
  std::string problem_;
};

// Runs `handler` over `text`. Fails with INVALID_ARGUMENT (JSON), message
// "`what`: problem", for bad syntax, bad UTF-8 and what the handler refuses.
absl::Status ScanJson(absl::string_view text, absl::string_view what,
                      JsonHandler& handler);

// JSON text as Python's json.dumps(indent=2) lays it out, in the order of
// `value`, non-ASCII escaped as \uXXXX, NaN and infinities as Python writes
// them, floats in their shortest form that reads back equal.
std::string DumpJson(const Json& value);

}  // namespace peft

#endif  // PEFT_CC_BASE_JSON_H_
