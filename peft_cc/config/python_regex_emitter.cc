#include "peft_cc/config/python_regex_emitter.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// The largest bound of a quantifier in PCRE2.
constexpr uint64_t kMaxRepeat = 65535;

// Python's classes, as the inside of a set. str.isalnum() is true for exactly
// the letters and numbers of Unicode, str.isdecimal() for Nd.
constexpr char kWord[] = "\\p{L}\\p{N}_";
constexpr char kAsciiWord[] = "A-Za-z0-9_";
constexpr char kSpace[] =
    "\\x{9}-\\x{d}\\x{1c}-\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}"
    "\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";
constexpr char kNotSpace[] =
    "\\x{0}-\\x{8}\\x{e}-\\x{1b}\\x{21}-\\x{84}\\x{86}-\\x{9f}"
    "\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}"
    "\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"
    "\\x{3001}-\\x{10ffff}";
constexpr char kAsciiSpace[] = "\\x{9}-\\x{d}\\x{20}";
constexpr char kNotAsciiSpace[] =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{10ffff}";
constexpr char kNotAsciiDigit[] = "\\x{0}-\\x{2f}\\x{3a}-\\x{10ffff}";
constexpr char kNotAsciiWord[] =
    "\\x{0}-\\x{2f}\\x{3a}-\\x{40}\\x{5b}-\\x{5e}\\x{60}\\x{7b}-\\x{10ffff}";
constexpr char kNotNewline[] = "[^\\x{a}]";

absl::Status Unsupported(absl::string_view what) {
  return MakeError(absl::StatusCode::kUnimplemented, error_id::kRegex,
                   absl::StrCat("a regex uses ", what,
                                ", which is not supported; write it in "
                                "another way"));
}

std::string Character(char32_t code) {
  if (code < 0x80 && absl::ascii_isalnum(static_cast<unsigned char>(code))) {
    return std::string(1, static_cast<char>(code));
  }
  return absl::StrCat("\\x{", absl::Hex(static_cast<uint32_t>(code)), "}");
}

bool IsSurrogate(char32_t code) { return code >= 0xd800 && code <= 0xdfff; }

bool IsAsciiLetter(char32_t code) {
  return code < 0x80 && absl::ascii_isalpha(static_cast<unsigned char>(code));
}

// The other characters that match an ASCII letter when case is ignored: with
// Unicode the Turkish i, the long s and the Kelvin sign belong to it.
std::string OtherCases(char32_t letter, RegexFlags flags) {
  const char lower = absl::ascii_tolower(static_cast<unsigned char>(letter));
  std::string others = {lower, absl::ascii_toupper(lower)};
  if ((flags & kRegexAscii) != 0) return others;
  if (lower == 'i') absl::StrAppend(&others, "\\x{130}\\x{131}");
  if (lower == 'k') absl::StrAppend(&others, "\\x{212a}");
  if (lower == 's') absl::StrAppend(&others, "\\x{17f}");
  return others;
}

// The inside of a set for category `letter`; empty for a Unicode \W, which no
// set can hold beside other members.
absl::string_view Category(char letter, RegexFlags flags) {
  const bool ascii = (flags & kRegexAscii) != 0;
  switch (letter) {
    case 'd':
      return ascii ? "0-9" : "\\p{Nd}";
    case 'D':
      return ascii ? kNotAsciiDigit : "\\P{Nd}";
    case 's':
      return ascii ? kAsciiSpace : kSpace;
    case 'S':
      return ascii ? kNotAsciiSpace : kNotSpace;
    case 'w':
      return ascii ? kAsciiWord : kWord;
    default:
      return ascii ? kNotAsciiWord : "";
  }
}

// Whether something of `kind` matches in one way only.
bool IsUnit(RegexKind kind) {
  switch (kind) {
    case RegexKind::kLiteral:
    case RegexKind::kAny:
    case RegexKind::kSet:
    case RegexKind::kBackreference:
    case RegexKind::kAtomic:
      return true;
    default:
      return false;
  }
}

// Whether what is written for `kind` takes a quantifier as it is.
bool IsAtom(RegexKind kind) {
  switch (kind) {
    case RegexKind::kLookahead:
    case RegexKind::kLookbehind:
    case RegexKind::kConditional:
      return false;
    default:
      return true;
  }
}

std::string Quantifier(uint64_t min, uint64_t max) {
  if (max == 1 && min == 0) return "?";
  if (max != kRegexUnbounded) return absl::StrCat("{", min, ",", max, "}");
  if (min <= 1) return min == 0 ? "*" : "+";
  return absl::StrCat("{", min, ",}");
}

// The groups that `node` holds and those that it refers to.
struct GroupUse {
  std::set<uint32_t> held;
  std::set<uint32_t> referred;

  void Collect(const RegexNode& node) {
    if (node.kind == RegexKind::kGroup) held.insert(node.code);
    if (node.kind == RegexKind::kBackreference ||
        node.kind == RegexKind::kConditional) {
      referred.insert(node.code);
    }
    for (const RegexSequence& branch : node.branches) {
      for (const RegexNode& child : branch) Collect(child);
    }
  }
};

// True for a loop whose turns can be empty and can see what an earlier turn
// captured. After an empty turn Python may take another, PCRE2 does not.
bool SeesEarlierTurns(const RegexNode& repeat) {
  const RegexNode& item = repeat.branches.front().front();
  if (repeat.max <= 1 || item.width.min > 0) return false;
  GroupUse use;
  use.Collect(item);
  return std::any_of(use.referred.begin(), use.referred.end(),
                     [&use](uint32_t g) { return use.held.count(g) != 0; });
}

class Emitter {
 public:
  absl::Status Node(const RegexNode& node);
  std::string Take() { return std::move(text_); }

 private:
  absl::Status Literal(const RegexNode& node);
  absl::Status Set(const RegexNode& node);
  absl::Status Range(const RegexSet::Range& range, RegexFlags flags,
                     std::string* inside);
  void Anchor(const RegexNode& node);
  absl::Status Group(absl::string_view open, const RegexNode& node);
  absl::Status Conditional(const RegexNode& node);
  void Never(const RegexNode& item);
  absl::Status Repeat(const RegexNode& node);

  std::string text_;
};

absl::Status Emitter::Node(const RegexNode& node) {
  switch (node.kind) {
    case RegexKind::kLiteral:
      return Literal(node);
    case RegexKind::kAny:
      text_ += (node.flags & kRegexDotAll) != 0 ? "." : kNotNewline;
      return absl::OkStatus();
    case RegexKind::kSet:
      return Set(node);
    case RegexKind::kAnchor:
      Anchor(node);
      return absl::OkStatus();
    case RegexKind::kGroup:
      return Group(node.code == 0 ? "(?:" : "(", node);
    case RegexKind::kAtomic:
      return Group("(?>", node);
    case RegexKind::kLookahead:
      return Group(node.negative ? "(?!" : "(?=", node);
    case RegexKind::kLookbehind:
      return Group(node.negative ? "(?<!" : "(?<=", node);
    case RegexKind::kBackreference:
      if ((node.flags & kRegexIgnoreCase) != 0) {
        return Unsupported("a case-insensitive backreference");
      }
      absl::StrAppend(&text_, "\\g{", node.code, "}");
      return absl::OkStatus();
    case RegexKind::kConditional:
      return Conditional(node);
    case RegexKind::kRepeat:
      return Repeat(node);
  }
  return MakeError(absl::StatusCode::kInternal, error_id::kInternal,
                   "a regex node of an unknown kind");
}

absl::Status Emitter::Literal(const RegexNode& node) {
  const char32_t code = node.code;
  if (IsSurrogate(code)) return Unsupported("a surrogate");
  const bool fold = (node.flags & kRegexIgnoreCase) != 0;
  if (fold && code > 0x7f && (node.flags & kRegexAscii) == 0) {
    return Unsupported("case-insensitive characters outside of ASCII");
  }
  if (fold && IsAsciiLetter(code)) {
    absl::StrAppend(&text_, "[", OtherCases(code, node.flags), "]");
  } else {
    text_ += Character(code);
  }
  return absl::OkStatus();
}

absl::Status Emitter::Range(const RegexSet::Range& range, RegexFlags flags,
                            std::string* inside) {
  if (IsSurrogate(range.first) || IsSurrogate(range.last)) {
    return Unsupported("a surrogate");
  }
  *inside += Character(range.first);
  if (range.last != range.first) {
    absl::StrAppend(inside, "-", Character(range.last));
  }
  if ((flags & kRegexIgnoreCase) == 0) return absl::OkStatus();
  if (range.last > 0x7f && (flags & kRegexAscii) == 0) {
    return Unsupported("case-insensitive characters outside of ASCII");
  }
  const char32_t last = std::min<char32_t>(range.last, 0x7f);
  for (char32_t code = range.first; code <= last; ++code) {
    if (IsAsciiLetter(code)) *inside += OtherCases(code, flags);
  }
  return absl::OkStatus();
}

absl::Status Emitter::Set(const RegexNode& node) {
  std::string inside;
  for (const RegexSet::Range& range : node.set->ranges) {
    PEFT_RETURN_IF_ERROR(Range(range, node.flags, &inside));
  }
  bool not_word = false;
  for (const char letter : node.set->categories) {
    const absl::string_view category = Category(letter, node.flags);
    not_word |= category.empty();
    absl::StrAppend(&inside, category);
  }
  if (!not_word) {
    absl::StrAppend(&text_, node.set->negated ? "[^" : "[", inside, "]");
  } else if (node.set->negated) {
    if (!inside.empty()) inside = absl::StrCat("(?![", inside, "])");
    absl::StrAppend(&text_, "(?:", inside, "[", kWord, "])");
  } else {
    if (!inside.empty()) inside = absl::StrCat("[", inside, "]|");
    absl::StrAppend(&text_, "(?:", inside, "[^", kWord, "])");
  }
  return absl::OkStatus();
}

void Emitter::Anchor(const RegexNode& node) {
  const bool multiline = (node.flags & kRegexMultiline) != 0;
  const std::string word = absl::StrCat(
      "[", (node.flags & kRegexAscii) != 0 ? kAsciiWord : kWord, "]");
  switch (node.code) {
    case '^':
      text_ += multiline ? "(?<![^\\x{a}])" : "\\A";
      return;
    case '$':
      text_ += multiline ? "(?![^\\x{a}])" : "(?=\\x{a}?\\z)";
      return;
    case 'A':
      text_ += "\\A";
      return;
    case 'Z':
      text_ += "\\z";
      return;
    case 'b':
      absl::StrAppend(&text_, "(?:(?<=", word, ")(?!", word, ")|(?<!", word,
                      ")(?=", word, "))");
      return;
    default:  // \B, which Python never finds in an empty text
      absl::StrAppend(&text_, "(?:(?<=", word, ")(?=", word, ")|(?<!", word,
                      ")(?!", word, ")(?!\\A\\z))");
      return;
  }
}

absl::Status Emitter::Group(absl::string_view open, const RegexNode& node) {
  absl::StrAppend(&text_, open);
  bool first = true;
  for (const RegexSequence& branch : node.branches) {
    if (!first) text_ += '|';
    first = false;
    for (const RegexNode& child : branch) PEFT_RETURN_IF_ERROR(Node(child));
  }
  text_ += ')';
  return absl::OkStatus();
}

absl::Status Emitter::Conditional(const RegexNode& node) {
  return Group(absl::StrCat("(?(", node.code, ")"), node);
}

// Writes X{0}: nothing, but the groups in X keep their numbers and stay unset.
// (PCRE2 10.42 takes an anchor within X for one of the whole pattern.)
void Emitter::Never(const RegexNode& item) {
  GroupUse use;
  use.Collect(item);
  use.held.erase(0);
  if (use.held.empty()) return;
  text_ += "(?:|(?!)";
  for (size_t i = 0; i < use.held.size(); ++i) text_ += "()";
  text_ += ')';
}

absl::Status Emitter::Repeat(const RegexNode& node) {
  const bool bounded = node.max != kRegexUnbounded;
  if (node.min > kMaxRepeat || (bounded && node.max > kMaxRepeat)) {
    return Unsupported("a repetition of more than 65535");
  }
  if (SeesEarlierTurns(node)) {
    return Unsupported("a reference to a group within a loop of both");
  }
  const RegexNode& item = node.branches.front().front();
  if (node.max == 0) {
    Never(item);
    return absl::OkStatus();
  }
  absl::string_view open;
  if (node.greed == RegexGreed::kPossessive && !IsUnit(item.kind)) {
    open = "(?>";  // in Python each turn of a possessive loop is atomic
  } else if (!IsAtom(item.kind)) {
    open = "(?:";
  }
  absl::StrAppend(&text_, open);
  PEFT_RETURN_IF_ERROR(Node(item));
  if (!open.empty()) text_ += ')';
  text_ += Quantifier(node.min, node.max);
  if (node.greed == RegexGreed::kLazy) text_ += '?';
  if (node.greed == RegexGreed::kPossessive) text_ += '+';
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> EmitPcre2(const RegexNode& root) {
  Emitter emitter;
  PEFT_RETURN_IF_ERROR(emitter.Node(root));
  return emitter.Take();
}

}  // namespace peft
