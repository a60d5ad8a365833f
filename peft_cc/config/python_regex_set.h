// Character sets of Python regular expressions: `[...]`.
#ifndef PEFT_CC_CONFIG_PYTHON_REGEX_SET_H_
#define PEFT_CC_CONFIG_PYTHON_REGEX_SET_H_

#include <memory>

#include "absl/status/statusor.h"
#include "peft_cc/config/python_regex_scanner.h"
#include "peft_cc/config/python_regex_syntax.h"

namespace peft {

// True for the letters of \d \D \s \S \w \W.
bool IsRegexCategory(char32_t letter);

// Parses what follows the `[` that is `start`, up to its `]`.
absl::StatusOr<std::unique_ptr<RegexSet>> ParseRegexSet(
    RegexScanner* scanner, const RegexToken& start);

}  // namespace peft

#endif  // PEFT_CC_CONFIG_PYTHON_REGEX_SET_H_
