// Python `re` patterns (str, no flags), as found in target_modules,
// exclude_modules, rank_pattern and alpha_pattern.
#ifndef PEFT_CC_CONFIG_PYTHON_REGEX_H_
#define PEFT_CC_CONFIG_PYTHON_REGEX_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace peft {

// Translates Python regex syntax to PCRE2's. Fails with INVALID_ARGUMENT
// (REGEX) for what Python's re.compile refuses, and UNIMPLEMENTED (REGEX) for
// what cannot be said in PCRE2 with the same meaning.
absl::StatusOr<std::string> TranslatePythonRegex(absl::string_view pattern);

// A compiled pattern. Immutable, thread-safe.
class PythonRegex {
 public:
  static absl::StatusOr<PythonRegex> Compile(absl::string_view pattern);

  // re.fullmatch, re.match (anchored at the start only) and re.search. Work
  // is bounded: a pattern that backtracks too much is RESOURCE_EXHAUSTED
  // (REGEX) and never hangs.
  absl::StatusOr<bool> FullMatch(absl::string_view text) const;
  absl::StatusOr<bool> Match(absl::string_view text) const;
  absl::StatusOr<bool> Search(absl::string_view text) const;

 private:
  struct Code;
  explicit PythonRegex(std::shared_ptr<const Code> code);
  absl::StatusOr<bool> Run(absl::string_view text, uint32_t anchors) const;

  std::shared_ptr<const Code> code_;
};

}  // namespace peft

#endif  // PEFT_CC_CONFIG_PYTHON_REGEX_H_
