// Python `re` patterns (str, no flags), as found in target_modules,
// exclude_modules, rank_pattern and alpha_pattern.
//
// The syntax is Python 3.11's (docs.python.org/3.11/library/re.html). A
// pattern is parsed, refused where Python refuses it, written anew in PCRE2's
// syntax and run there, with bounded work.
#ifndef PEFT_CC_CONFIG_PYTHON_REGEX_H_
#define PEFT_CC_CONFIG_PYTHON_REGEX_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace peft {

// Translates Python regex syntax to PCRE2's. Fails with INVALID_ARGUMENT
// (REGEX) for what Python's re.compile refuses, and UNIMPLEMENTED (REGEX) for
// what cannot be said in PCRE2 with the same meaning.
absl::StatusOr<std::string> TranslatePythonRegex(absl::string_view pattern);

// A compiled pattern. Immutable, thread-safe; copies share the program.
class PythonRegex {
 public:
  // Fails as TranslatePythonRegex, and with UNIMPLEMENTED (REGEX) for a
  // pattern that PCRE2 finds too large.
  static absl::StatusOr<PythonRegex> Compile(absl::string_view pattern);

  // re.fullmatch, re.match (anchored at the start only) and re.search. Work
  // is bounded: a pattern that backtracks too much is RESOURCE_EXHAUSTED
  // (REGEX) and never hangs. A text that is not UTF-8 or longer than 4096
  // bytes is INVALID_ARGUMENT (REGEX).
  absl::StatusOr<bool> FullMatch(absl::string_view text) const;
  absl::StatusOr<bool> Match(absl::string_view text) const;
  absl::StatusOr<bool> Search(absl::string_view text) const;

  // re.match(...).group(name): nullopt when the pattern does not match, has
  // no group of that name, or the group took no part in the match. The view
  // points into `text`.
  absl::StatusOr<std::optional<absl::string_view>> MatchGroup(
      absl::string_view text, absl::string_view name) const;

 private:
  struct Code;
  explicit PythonRegex(std::shared_ptr<const Code> code)
      : code_(std::move(code)) {}
  absl::StatusOr<bool> Run(absl::string_view text, uint32_t anchors) const;

  std::shared_ptr<const Code> code_;
};

}  // namespace peft

#endif  // PEFT_CC_CONFIG_PYTHON_REGEX_H_
