// The characters of a Python regular expression, and its character escapes.
#ifndef PEFT_CC_CONFIG_PYTHON_REGEX_SCANNER_H_
#define PEFT_CC_CONFIG_PYTHON_REGEX_SCANNER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace peft {

// A character, or a backslash with the character after it.
struct RegexToken {
  char32_t code = 0;
  bool escaped = false;
  bool end = false;       // after the last character
  uint32_t position = 0;  // in characters, for messages

  // It is the unescaped `c`.
  bool Is(char c) const {
    return !end && !escaped && code == static_cast<unsigned char>(c);
  }
};

// Walks over a pattern as Python's re does. Thread-compatible.
class RegexScanner {
 public:
  // Fails with INVALID_ARGUMENT (REGEX) for invalid UTF-8, a pattern of more
  // than 64 KiB or a lone backslash at the end.
  static absl::StatusOr<RegexScanner> Create(absl::string_view pattern);

  // The next token, which stays; `end` after the last one.
  const RegexToken& Peek() const { return tokens_[next_]; }
  RegexToken Next();  // takes it; the end is never taken
  bool Eat(char c);   // takes the next token if it is the unescaped `c`
  // A place to come back to.
  size_t Tell() const { return next_; }
  void Seek(size_t index) { next_ = index; }

  // The digits that follow, at most `limit`, of "01234567" for base 8 and so
  // on.
  std::string TakeDigits(int base, size_t limit);

  // The characters before the unescaped `terminator`, which is taken too.
  absl::StatusOr<std::string> TakeName(char terminator);

  // The character that the escape `token` stands for: \x, \u, \U, \n and its
  // like, or an escaped punctuation. Fails for other letters and for digits,
  // which mean different things inside and outside of sets.
  absl::StatusOr<char32_t> CharacterEscape(const RegexToken& token);

  // An octal escape of `digits`, which are at most three.
  absl::StatusOr<char32_t> Octal(const std::string& digits,
                                 const RegexToken& token) const;

  // What Python's re refuses, with its words.
  absl::Status Refused(absl::string_view reason, const RegexToken& at) const;

  // What Python's re accepts and we cannot run.
  absl::Status Unsupported(absl::string_view what, const RegexToken& at) const;

 private:
  RegexScanner() = default;
  absl::StatusOr<char32_t> HexEscape(const RegexToken& token, size_t digits);
  absl::Status NamedEscape(const RegexToken& token);

  std::string quoted_;  // the pattern, for messages
  std::vector<RegexToken> tokens_;
  size_t next_ = 0;
};

}  // namespace peft

#endif  // PEFT_CC_CONFIG_PYTHON_REGEX_SCANNER_H_
