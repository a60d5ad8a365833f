#include "peft_cc/config/python_regex_parser.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/config/python_regex_parser_internal.h"
#include "peft_cc/config/python_regex_scanner.h"
#include "peft_cc/config/python_regex_set.h"

namespace peft {
namespace python_regex_internal {
namespace {

// Where sums of widths stop growing; far above kRegexUnbounded, so that a sum
// of one more term is never mistaken for a small width.
constexpr uint64_t kMaxWidth = uint64_t{1} << 40;

RegexWidth Repeated(const RegexWidth& width, uint64_t min, uint64_t max) {
  return {std::min(width.min * min, kMaxWidth),
          std::min(width.max * max, kMaxWidth)};
}

void Add(RegexKind kind, uint32_t code, uint64_t width, RegexFlags flags,
         RegexSequence* out) {
  RegexNode node;
  node.kind = kind;
  node.code = code;
  node.width = {width, width};
  node.flags = flags;
  out->push_back(std::move(node));
}

void AddSet(std::unique_ptr<RegexSet> set, RegexFlags flags,
            RegexSequence* out) {
  Add(RegexKind::kSet, 0, 1, flags, out);
  out->back().set = std::move(set);
}

}  // namespace

RegexWidth WidthOf(const RegexSequence& sequence) {
  RegexWidth sum;
  for (const RegexNode& node : sequence) {
    sum.min = std::min(sum.min + node.width.min, kMaxWidth);
    sum.max = std::min(sum.max + node.width.max, kMaxWidth);
  }
  return {std::min(sum.min, kRegexUnbounded - 1),
          std::min(sum.max, kRegexUnbounded)};
}

RegexWidth WidthOf(const std::vector<RegexSequence>& branches) {
  RegexWidth width{kRegexUnbounded - 1, 0};
  for (const RegexSequence& branch : branches) {
    const RegexWidth one = WidthOf(branch);
    width = {std::min(width.min, one.min), std::max(width.max, one.max)};
  }
  return width;
}

absl::StatusOr<RegexSyntax> Parser::Parse() {
  RegexSyntax syntax;
  syntax.root.kind = RegexKind::kGroup;
  PEFT_RETURN_IF_ERROR(ParseBranches(Place(), &syntax.root));
  if (!scanner_.Peek().end) {
    return scanner_.Refused("unbalanced parenthesis", scanner_.Peek());
  }
  constexpr RegexFlags kBoth = kRegexAscii | kRegexUnicode;
  if ((global_flags_ & kBoth) == kBoth) {
    return scanner_.Refused("ASCII and UNICODE flags are incompatible",
                            RegexToken());
  }
  for (const auto& [group, token] : conditions_) {
    if (group >= groups_.size()) {
      return scanner_.Refused(absl::StrCat("invalid group reference ", group),
                              token);
    }
  }
  syntax.group_names = std::move(names_);
  return syntax;
}

absl::Status Parser::ParseBranches(Place place, RegexNode* node) {
  do {
    const bool first = place.depth == 0 && node->branches.empty();
    if (place.depth == 0) place.flags = global_flags_;
    node->branches.emplace_back();
    PEFT_RETURN_IF_ERROR(ParseSequence(place, first, &node->branches.back()));
  } while (scanner_.Eat('|'));
  node->flags = place.flags;
  node->width = WidthOf(node->branches);
  return absl::OkStatus();
}

absl::Status Parser::ParseSequence(Place place, bool first,
                                   RegexSequence* out) {
  while (true) {
    const RegexToken& peek = scanner_.Peek();
    if (peek.end || peek.Is('|') || peek.Is(')')) return absl::OkStatus();
    const RegexToken token = scanner_.Next();
    at_start_ = first && out->empty();
    // Global flags stand at the very start, so they hold for all that follows.
    if (first) place.flags = global_flags_;
    if ((place.flags & kRegexVerbose) != 0 && SkipVerbose(token)) continue;
    PEFT_RETURN_IF_ERROR(ParseItem(token, place, out));
  }
}

absl::Status Parser::ParseItem(const RegexToken& token, Place place,
                               RegexSequence* out) {
  if (token.escaped) return ParseEscape(token, place.flags, out);
  switch (token.code) {
    case '[': {
      PEFT_ASSIGN_OR_RETURN(auto set, ParseRegexSet(&scanner_, token));
      AddSet(std::move(set), place.flags, out);
      return absl::OkStatus();
    }
    case '.':
      Add(RegexKind::kAny, 0, 1, place.flags, out);
      return absl::OkStatus();
    case '^':
    case '$':
      Add(RegexKind::kAnchor, token.code, 0, place.flags, out);
      return absl::OkStatus();
    case '*':
    case '+':
    case '?':
    case '{':
      return ParseRepeat(token, place.flags, out);
    case '(':
      return ParseGroup(token, {place.flags, place.depth + 1}, out);
    default:
      Add(RegexKind::kLiteral, token.code, 1, place.flags, out);
      return absl::OkStatus();
  }
}

// Skips white space, and a comment up to the end of its line.
bool Parser::SkipVerbose(const RegexToken& token) {
  if (token.escaped || token.code > 0x7f) return false;
  if (absl::ascii_isspace(static_cast<unsigned char>(token.code))) return true;
  if (!token.Is('#')) return false;
  RegexToken skipped = token;
  while (!skipped.end && !skipped.Is('\n')) skipped = scanner_.Next();
  return true;
}

absl::Status Parser::ParseEscape(const RegexToken& token, RegexFlags flags,
                                 RegexSequence* out) {
  const char32_t letter = token.code;
  if (IsRegexCategory(letter)) {
    auto set = std::make_unique<RegexSet>();
    set->categories.push_back(static_cast<char>(letter));
    AddSet(std::move(set), flags, out);
    return absl::OkStatus();
  }
  if (letter == 'A' || letter == 'Z' || letter == 'b' || letter == 'B') {
    Add(RegexKind::kAnchor, letter, 0, flags, out);
    return absl::OkStatus();
  }
  if (letter >= '0' && letter <= '9') return ParseNumber(token, flags, out);
  PEFT_ASSIGN_OR_RETURN(const char32_t code, scanner_.CharacterEscape(token));
  Add(RegexKind::kLiteral, code, 1, flags, out);
  return absl::OkStatus();
}

// \0 and three octal digits are a character, other digits a group's number.
absl::Status Parser::ParseNumber(const RegexToken& token, RegexFlags flags,
                                 RegexSequence* out) {
  std::string digits(1, static_cast<char>(token.code));
  bool octal = token.code == '0';
  if (octal) {
    digits += scanner_.TakeDigits(8, 2);
  } else {
    digits += scanner_.TakeDigits(10, 1);
    if (digits.size() == 2 && digits[0] < '8' && digits[1] < '8') {
      digits += scanner_.TakeDigits(8, 1);
      octal = digits.size() == 3;
    }
  }
  if (octal) {
    PEFT_ASSIGN_OR_RETURN(const char32_t code, scanner_.Octal(digits, token));
    Add(RegexKind::kLiteral, code, 1, flags, out);
    return absl::OkStatus();
  }
  uint32_t group = 0;
  if (!absl::SimpleAtoi(digits, &group) || group >= groups_.size()) {
    return scanner_.Refused(absl::StrCat("invalid group reference ", digits),
                            token);
  }
  return AddBackreference(group, token, flags, out);
}

// Parses ? * + or what follows a {. Returns false for a { that is a literal.
absl::StatusOr<bool> Parser::ParseBounds(const RegexToken& token,
                                         RegexNode* repeat) {
  repeat->min = token.Is('+') ? 1 : 0;
  repeat->max = token.Is('?') ? 1 : kRegexUnbounded;
  if (!token.Is('{')) return true;
  if (scanner_.Peek().Is('}')) return false;
  const size_t start = scanner_.Tell();
  const std::string low = scanner_.TakeDigits(10, std::string::npos);
  const bool comma = scanner_.Eat(',');
  const std::string high =
      comma ? scanner_.TakeDigits(10, std::string::npos) : low;
  if (!scanner_.Eat('}')) {
    scanner_.Seek(start);
    return false;
  }
  const auto parse = [](const std::string& digits, uint64_t* out) {
    if (digits.empty()) return true;
    return absl::SimpleAtoi(digits, out) && *out < kRegexUnbounded;
  };
  if (!parse(low, &repeat->min) || !parse(high, &repeat->max)) {
    return scanner_.Refused("the repetition number is too large", token);
  }
  if (repeat->max < repeat->min) {
    return scanner_.Refused("min repeat greater than max repeat", token);
  }
  return true;
}

absl::Status Parser::ParseRepeat(const RegexToken& token, RegexFlags flags,
                                 RegexSequence* out) {
  RegexNode repeat;
  PEFT_ASSIGN_OR_RETURN(const bool quantifier, ParseBounds(token, &repeat));
  if (!quantifier) {
    Add(RegexKind::kLiteral, token.code, 1, flags, out);
    return absl::OkStatus();
  }
  if (out->empty() || out->back().kind == RegexKind::kAnchor) {
    return scanner_.Refused("nothing to repeat", token);
  }
  if (out->back().kind == RegexKind::kRepeat) {
    return scanner_.Refused("multiple repeat", token);
  }
  repeat.kind = RegexKind::kRepeat;
  repeat.flags = flags;
  if (scanner_.Eat('?')) {
    repeat.greed = RegexGreed::kLazy;
  } else if (scanner_.Eat('+')) {
    repeat.greed = RegexGreed::kPossessive;
  }
  repeat.width = Repeated(out->back().width, repeat.min, repeat.max);
  repeat.branches.emplace_back();
  repeat.branches.back().push_back(std::move(out->back()));
  out->back() = std::move(repeat);
  return absl::OkStatus();
}

}  // namespace python_regex_internal

absl::StatusOr<RegexSyntax> ParsePythonRegex(absl::string_view pattern) {
  PEFT_ASSIGN_OR_RETURN(RegexScanner scanner, RegexScanner::Create(pattern));
  return python_regex_internal::Parser(std::move(scanner)).Parse();
}

}  // namespace peft
