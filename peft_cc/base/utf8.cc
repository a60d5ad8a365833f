#include "peft_cc/base/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace peft {
namespace {

bool IsContinuation(uint8_t byte) { return (byte & 0xc0) == 0x80; }

// The first two bytes decide about overlong forms, surrogates and the range.
bool IsValidSecond(uint8_t first, uint8_t second) {
  switch (first) {
    case 0xe0:
      return second >= 0xa0 && second <= 0xbf;
    case 0xed:
      return second >= 0x80 && second <= 0x9f;
    case 0xf0:
      return second >= 0x90 && second <= 0xbf;
    case 0xf4:
      return second >= 0x80 && second <= 0x8f;
    default:
      return IsContinuation(second);
  }
}

size_t LengthFromFirst(uint8_t first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return 2;
  if (first >= 0xe0 && first <= 0xef) return 3;
  if (first >= 0xf0 && first <= 0xf4) return 4;
  return 0;
}

// The length of the character at the start of `text`, 0 if it is invalid.
size_t CharacterLength(absl::string_view text) {
  const uint8_t first = static_cast<uint8_t>(text[0]);
  const size_t length = LengthFromFirst(first);
  if (length <= 1) return length;
  if (length > text.size()) return 0;
  if (!IsValidSecond(first, static_cast<uint8_t>(text[1]))) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (!IsContinuation(static_cast<uint8_t>(text[i]))) return 0;
  }
  return length;
}

// Eight bytes at a time: headers are almost all ASCII and may be large.
size_t AsciiPrefix(absl::string_view text) {
  size_t pos = 0;
  while (text.size() - pos >= 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + pos, sizeof(word));
    if ((word & 0x8080808080808080u) != 0) break;
    pos += 8;
  }
  return pos;
}

void AppendHex(uint8_t byte, std::string& out) {
  constexpr char kDigits[] = "0123456789abcdef";
  out += "\\x";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

void AppendAscii(char c, bool escape_quotes, std::string& out) {
  if (c == '\n') {
    out += "\\n";
  } else if (escape_quotes && (c == '"' || c == '\\')) {
    out += '\\';
    out += c;
  } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) {
    AppendHex(static_cast<uint8_t>(c), out);
  } else {
    out += c;
  }
}

std::string Escape(absl::string_view text, size_t max_size,
                   bool escape_quotes) {
  std::string out;
  size_t pos = 0;
  while (pos < text.size() && pos < max_size) {
    const size_t length = CharacterLength(text.substr(pos));
    if (length == 0) {
      AppendHex(static_cast<uint8_t>(text[pos++]), out);
    } else if (length == 1) {
      AppendAscii(text[pos++], escape_quotes, out);
    } else {
      out.append(text.data() + pos, length);
      pos += length;
    }
  }
  if (pos < text.size()) out += "...";
  return out;
}

}  // namespace

size_t ValidUtf8Prefix(absl::string_view text) {
  size_t pos = AsciiPrefix(text);
  while (pos < text.size()) {
    const size_t length = CharacterLength(text.substr(pos));
    if (length == 0) break;
    pos += length;
    pos += AsciiPrefix(text.substr(pos));
  }
  return pos;
}

std::string Quoted(absl::string_view text, size_t max_size) {
  std::string out = "\"";
  out += Escape(text, max_size, /*escape_quotes=*/true);
  out += '"';
  return out;
}

std::string ShortList(absl::Span<const std::string> names, size_t max_names) {
  const size_t shown = std::min(names.size(), max_names);
  std::string text = absl::StrJoin(
      names.subspan(0, shown), ", ",
      [](std::string* out, const std::string& name) { *out += Quoted(name); });
  if (shown < names.size()) {
    absl::StrAppend(&text, " and ", names.size() - shown, " more");
  }
  return text;
}

std::string Printable(absl::string_view text, size_t max_size) {
  return Escape(text, max_size, /*escape_quotes=*/false);
}

}  // namespace peft
