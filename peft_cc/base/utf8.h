// UTF-8 checks, and quoting of text that strangers wrote.
#ifndef PEFT_CC_BASE_UTF8_H_
#define PEFT_CC_BASE_UTF8_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace peft {

// The number of bytes at the start of `text` that are valid UTF-8 (Unicode
// 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF).
// Equals text.size() when all of it is valid.
size_t ValidUtf8Prefix(absl::string_view text);

// True if all of `text` is valid UTF-8. NUL bytes are valid.
inline bool IsValidUtf8(absl::string_view text) {
  return ValidUtf8Prefix(text) == text.size();
}

// `text` between double quotes for an error message: always valid UTF-8 on one
// line. Control characters, quotes, backslashes and invalid bytes are escaped
// (\n, \", \x1b), and what is longer than `max_size` bytes is cut with "...".
std::string Quoted(absl::string_view text, size_t max_size = 200);

// The first `max_names` of `names`, each quoted: "a", "b" and 17 more.
std::string ShortList(absl::Span<const std::string> names,
                      size_t max_names = 10);

// As Quoted, without the quotes and with quotes left as they are: for a
// message of another library that repeats its input.
std::string Printable(absl::string_view text, size_t max_size = 400);

}  // namespace peft

#endif  // PEFT_CC_BASE_UTF8_H_
