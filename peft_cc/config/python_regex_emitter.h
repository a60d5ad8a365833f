// Writes the syntax tree of a Python regular expression as PCRE2 text.
#ifndef PEFT_CC_CONFIG_PYTHON_REGEX_EMITTER_H_
#define PEFT_CC_CONFIG_PYTHON_REGEX_EMITTER_H_

#include <string>

#include "absl/status/statusor.h"
#include "peft_cc/config/python_regex_syntax.h"

namespace peft {

// The text means in PCRE2, compiled with PCRE2_UTF and PCRE2_DOTALL, what
// `root` means in Python's re on str: nothing in it depends on a version of
// Unicode's \w, on a newline convention or on a locale, and every character
// but ASCII letters and digits is written as a number, so that no syntax of
// PCRE2 alone can come through. Groups keep their numbers and lose their
// names. Fails with UNIMPLEMENTED (REGEX) for case-insensitive matching of
// characters outside of ASCII and of backreferences, surrogates, and more than
// 65,535 repetitions.
absl::StatusOr<std::string> EmitPcre2(const RegexNode& root);

}  // namespace peft

#endif  // PEFT_CC_CONFIG_PYTHON_REGEX_EMITTER_H_
