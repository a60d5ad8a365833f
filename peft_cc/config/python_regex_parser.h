// Parses Python's regular expression syntax (module re of Python 3.11, str
// patterns), refusing what re.compile refuses.
#ifndef PEFT_CC_CONFIG_PYTHON_REGEX_PARSER_H_
#define PEFT_CC_CONFIG_PYTHON_REGEX_PARSER_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/config/python_regex_syntax.h"

namespace peft {

// Fails with INVALID_ARGUMENT (REGEX) in re's words, and with UNIMPLEMENTED
// (REGEX) for the few things that re knows and we do not: \N{...}, names
// outside of ASCII, groups nested more than 100 deep.
absl::StatusOr<RegexSyntax> ParsePythonRegex(absl::string_view pattern);

}  // namespace peft

#endif  // PEFT_CC_CONFIG_PYTHON_REGEX_PARSER_H_
