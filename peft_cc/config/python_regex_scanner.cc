#include "peft_cc/config/python_regex_scanner.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

// More than any list of module names that a person or PEFT writes as a regex;
// keeps parsing and compiling in milliseconds.
constexpr size_t kMaxPatternSize = 64 << 10;

absl::Status RegexError(absl::StatusCode code, absl::string_view message) {
  return MakeError(code, error_id::kRegex, message);
}

// Decodes the character at the start of `text`, which is valid UTF-8.
char32_t DecodeUtf8(absl::string_view* text) {
  const auto lead = static_cast<unsigned char>(text->front());
  const size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  char32_t code = size == 1 ? lead : lead & (0x7f >> size);
  for (size_t i = 1; i < size; ++i) {
    code = code << 6 | (static_cast<unsigned char>((*text)[i]) & 0x3f);
  }
  text->remove_prefix(size);
  return code;
}

// The value of a letter escape that stands for one character, or 0.
char32_t SimpleEscape(char32_t letter) {
  switch (letter) {
    case 'a':
      return '\a';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    default:
      return 0;
  }
}

bool IsDigit(const RegexToken& token, int base) {
  if (token.end || token.escaped || token.code > 0x7f) return false;
  const char c = static_cast<char>(token.code);
  return base == 16 ? absl::ascii_isxdigit(c) : c >= '0' && c < '0' + base;
}

}  // namespace

absl::StatusOr<RegexScanner> RegexScanner::Create(absl::string_view pattern) {
  if (pattern.size() > kMaxPatternSize) {
    return RegexError(absl::StatusCode::kInvalidArgument,
                      absl::StrCat("a regex of ", pattern.size(),
                                   " bytes is too long, at most ",
                                   kMaxPatternSize, " are allowed"));
  }
  if (!IsValidUtf8(pattern)) {
    return RegexError(
        absl::StatusCode::kInvalidArgument,
        absl::StrCat("the regex ", Quoted(pattern), " is not valid UTF-8"));
  }
  RegexScanner scanner;
  scanner.quoted_ = Quoted(pattern);
  uint32_t position = 0;
  while (!pattern.empty()) {
    RegexToken token;
    token.position = position++;
    token.code = DecodeUtf8(&pattern);
    if (token.code == '\\') {
      if (pattern.empty()) {
        return scanner.Refused("bad escape (end of pattern)", token);
      }
      token.escaped = true;
      token.code = DecodeUtf8(&pattern);
      ++position;
    }
    scanner.tokens_.push_back(token);
  }
  RegexToken end;
  end.end = true;
  end.position = position;
  scanner.tokens_.push_back(end);
  return scanner;
}

RegexToken RegexScanner::Next() {
  const RegexToken token = tokens_[next_];
  if (!token.end) ++next_;
  return token;
}

bool RegexScanner::Eat(char c) {
  if (!Peek().Is(c)) return false;
  ++next_;
  return true;
}

std::string RegexScanner::TakeDigits(int base, size_t limit) {
  std::string digits;
  while (digits.size() < limit && IsDigit(Peek(), base)) {
    digits.push_back(static_cast<char>(Next().code));
  }
  return digits;
}

absl::StatusOr<std::string> RegexScanner::TakeName(char terminator) {
  const RegexToken start = Peek();
  std::string name;
  for (RegexToken token = Next(); !token.Is(terminator); token = Next()) {
    if (token.end) {
      return Refused(absl::StrCat("missing ", absl::string_view(&terminator, 1),
                                  ", unterminated name"),
                     start);
    }
    if (token.code > 0x7f) {
      return Unsupported("names with characters outside of ASCII", token);
    }
    if (token.escaped) name.push_back('\\');
    name.push_back(static_cast<char>(token.code));
  }
  if (name.empty()) return Refused("missing group name", start);
  return name;
}

absl::StatusOr<char32_t> RegexScanner::CharacterEscape(
    const RegexToken& token) {
  if (token.code > 0x7f) return token.code;
  switch (token.code) {
    case 'x':
      return HexEscape(token, 2);
    case 'u':
      return HexEscape(token, 4);
    case 'U':
      return HexEscape(token, 8);
    case 'N':
      return NamedEscape(token);
    default:
      break;
  }
  const char32_t simple = SimpleEscape(token.code);
  if (simple != 0) return simple;
  const char c = static_cast<char>(token.code);
  if (!absl::ascii_isalnum(c)) return token.code;
  return Refused(absl::StrCat("bad escape \\", absl::string_view(&c, 1)),
                 token);
}

absl::StatusOr<char32_t> RegexScanner::HexEscape(const RegexToken& token,
                                                 size_t digits) {
  const std::string text = TakeDigits(16, digits);
  if (text.size() != digits) return Refused("incomplete escape", token);
  const std::string bytes = absl::HexStringToBytes(text);
  char32_t code = 0;
  for (const char byte : bytes) {
    code = code << 8 | static_cast<unsigned char>(byte);
  }
  if (code > 0x10ffff) return Refused("bad escape", token);
  return code;
}

absl::Status RegexScanner::NamedEscape(const RegexToken& token) {
  if (!Eat('{')) return Refused("missing {", token);
  PEFT_RETURN_IF_ERROR(TakeName('}').status());
  return Unsupported("\\N{...}", token);
}

absl::StatusOr<char32_t> RegexScanner::Octal(const std::string& digits,
                                             const RegexToken& token) const {
  char32_t code = 0;
  for (const char digit : digits) code = code * 8 + (digit - '0');
  if (code > 0377) {
    return Refused("octal escape value outside of range 0-0o377", token);
  }
  return code;
}

absl::Status RegexScanner::Refused(absl::string_view reason,
                                   const RegexToken& at) const {
  return RegexError(absl::StatusCode::kInvalidArgument,
                    absl::StrCat("the regex ", quoted_, " is not valid: ",
                                 reason, " at position ", at.position));
}

absl::Status RegexScanner::Unsupported(absl::string_view what,
                                       const RegexToken& at) const {
  return RegexError(absl::StatusCode::kUnimplemented,
                    absl::StrCat("the regex ", quoted_, " uses ", what,
                                 " at position ", at.position,
                                 ", which is not supported; write it in "
                                 "another way"));
}

}  // namespace peft
