// rank_pattern and alpha_pattern: regexes for the ends of module names.
#ifndef PEFT_CC_CONFIG_PATTERN_TABLE_H_
#define PEFT_CC_CONFIG_PATTERN_TABLE_H_

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/config/python_regex.h"

namespace peft {

// Finds the first of many keys `k` whose regex (.*\.)?(k)$ matches a name from
// its start, as PEFT's get_pattern_key. Keys without regex syntax, which are
// nearly all, are compared without a regex. Thread-compatible.
class PatternTable {
 public:
  // `keys` in the order of the file. Fails with (REGEX) for a key that Python
  // refuses or that cannot be run, and for more than 1024 keys that are not
  // plain names; `what` names the table in messages.
  static absl::StatusOr<PatternTable> Create(absl::string_view what,
                                             std::vector<std::string> keys);

  // The index of the first key that matches; nullopt when none does. Fails
  // where a regex takes too much work.
  absl::StatusOr<std::optional<size_t>> Find(absl::string_view name);

  // The keys that matched none of the names given to Find, sorted.
  std::vector<std::string> Unmatched() const;

 private:
  PatternTable() = default;
  // Plain keys of one length, under the places of their dots, which stand for
  // any character; the values are their indices.
  using KeysByDots =
      std::map<std::vector<size_t>, std::unordered_map<std::string, size_t>>;

  void AddPlain(size_t index);
  // Marks a key as used and lowers *first to it.
  void Hit(size_t index, size_t* first);
  void FindPlain(absl::string_view name, size_t* first);
  absl::Status FindPlainByRegex(absl::string_view name, size_t* first);

  std::string what_;
  std::vector<std::string> keys_;
  std::vector<bool> used_;
  std::unordered_map<size_t, KeysByDots> plain_;         // by length
  std::vector<std::pair<size_t, PythonRegex>> regexes_;  // in order
  std::unordered_map<std::string, size_t> exact_;  // the regexes as they are
};

}  // namespace peft

#endif  // PEFT_CC_CONFIG_PATTERN_TABLE_H_
