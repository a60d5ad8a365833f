#include "hub/patterns.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace peft {
namespace hub {
namespace {

using Characters = std::vector<uint32_t>;

// The code points of UTF-8; what is none is itself.
Characters Decode(absl::string_view text) {
  Characters result;
  for (size_t i = 0; i < text.size();) {
    const uint8_t lead = static_cast<uint8_t>(text[i++]);
    const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    uint32_t point = more == 0 ? lead : lead & (0x3fu >> more);
    for (int k = 0; k < more && i < text.size(); ++k) {
      point = point << 6 | (static_cast<uint8_t>(text[i++]) & 0x3fu);
    }
    result.push_back(point);
  }
  return result;
}

// The index of the "]" of the set that begins at `open`; 0 if it has none, and
// "[" is an ordinary character.
size_t SetEnd(const Characters& pattern, size_t open) {
  size_t end = open + 1;
  if (end < pattern.size() && pattern[end] == '!') ++end;
  // As the first one it is a member.
  if (end < pattern.size() && pattern[end] == ']') ++end;
  while (end < pattern.size() && pattern[end] != ']') ++end;
  return end < pattern.size() ? end : 0;
}

bool IsInSet(uint32_t c, const Characters& pattern, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    if (i + 2 < end && pattern[i + 1] == '-') {
      if (pattern[i] <= c && c <= pattern[i + 2]) return true;
      i += 2;
    } else if (pattern[i] == c) {
      return true;
    }
  }
  return false;
}

// Matches the character `c` with what stands at `*at`, which moves behind it.
bool MatchesOne(uint32_t c, const Characters& pattern, size_t* at) {
  const size_t open = *at;
  const size_t end = pattern[open] == '[' ? SetEnd(pattern, open) : 0;
  if (end == 0) {
    ++*at;
    return pattern[open] == '?' || pattern[open] == c;
  }
  *at = end + 1;
  const bool negated = pattern[open + 1] == '!';
  return IsInSet(c, pattern, open + (negated ? 2 : 1), end) != negated;
}

bool MatchesAny(absl::string_view path,
                absl::Span<const std::string> patterns) {
  return std::any_of(
      patterns.begin(), patterns.end(), [path](const std::string& raw) {
        std::string pattern = absl::StrReplaceAll(raw, {{"\\", "/"}});
        if (absl::EndsWith(pattern, "/")) pattern.push_back('*');
        return MatchesPattern(path, pattern);
      });
}

}  // namespace

bool MatchesPattern(absl::string_view text, absl::string_view pattern_text) {
  const Characters characters = Decode(text);
  const Characters pattern = Decode(pattern_text);
  size_t at = 0;
  size_t next = 0;
  // Behind the last "*", and the first character that it does not take: it
  // takes one more where the rest does not match.
  size_t star = 0;
  size_t star_next = 0;
  while (next < characters.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = ++at;
      star_next = next;
    } else if (at < pattern.size() &&
               MatchesOne(characters[next], pattern, &at)) {
      ++next;
    } else if (star > 0) {
      at = star;
      next = ++star_next;
    } else {
      return false;
    }
  }
  while (at < pattern.size() && pattern[at] == '*') ++at;
  return at == pattern.size();
}

bool IsWanted(absl::string_view path, absl::Span<const std::string> allow,
              absl::Span<const std::string> ignore) {
  const std::string text = absl::StrReplaceAll(path, {{"\\", "/"}});
  return (allow.empty() || MatchesAny(text, allow)) &&
         !MatchesAny(text, ignore);
}

}  // namespace hub
}  // namespace peft
