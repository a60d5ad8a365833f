// Typed access to the keys of adapter_config.json, with errors that name the
// key, what was expected and what was found.
#ifndef PEFT_CC_CONFIG_CONFIG_READER_H_
#define PEFT_CC_CONFIG_CONFIG_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/json.h"

namespace peft {

// An INVALID_ARGUMENT (ADAPTER_CONFIG) about `key`.
absl::Status ConfigError(absl::string_view key, absl::string_view problem);

// The same for a value of the wrong type or range.
absl::Status ConfigTypeError(absl::string_view key, const Json& value,
                             absl::string_view expected);

// `value` for a message: its type, and its text where that is short.
std::string DescribeJson(const Json& value);

// null, false, 0, "", [] and {}: what Python takes for false.
bool IsEmptyValue(const Json& value);

// Each Read leaves *out alone where the key is absent. Integers may be written
// as floats (8.0) and booleans as 0 and 1; both leave a note.
// Thread-compatible.
class ConfigReader {
 public:
  // Keeps both.
  ConfigReader(const Json& json, std::vector<std::string>* notes)
      : json_(json), notes_(notes) {}

  // nullptr where the key is absent.
  const Json* Find(absl::string_view key) const;
  // nullptr where the key is absent or null.
  const Json* FindValue(absl::string_view key) const;

  // Adds a line for the load report.
  void Note(std::string note) { notes_->push_back(std::move(note)); }

  absl::Status ReadBool(absl::string_view key, bool* out);  // null is false
  absl::Status ReadString(absl::string_view key, std::string* out);  // or null
  absl::Status ReadInt(absl::string_view key, int64_t* out);
  absl::Status ReadNumber(absl::string_view key, double* out);
  // 1 to 2^31 - 1.
  absl::Status ReadRank(absl::string_view key, int64_t* out);
  // A list of integers; null is absent.
  absl::Status ReadInts(absl::string_view key, std::vector<int64_t>* out);
  // A list of strings; null is absent.
  absl::Status ReadStrings(absl::string_view key,
                           std::optional<std::vector<std::string>>* out);

  // One integer or number, `key` naming it in errors.
  absl::Status ToInt(absl::string_view key, const Json& value, int64_t* out);
  absl::Status ToRank(absl::string_view key, const Json& value, int64_t* out);
  absl::Status ToNumber(absl::string_view key, const Json& value, double* out);

 private:
  const Json& json_;
  std::vector<std::string>* notes_;
};

}  // namespace peft

#endif  // PEFT_CC_CONFIG_CONFIG_READER_H_
