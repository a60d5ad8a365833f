// The parser's part for what follows a parenthesis.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/python_regex_parser_internal.h"

namespace peft {
namespace python_regex_internal {
namespace {

// Deep enough for people, shallow enough for every recursion over the tree
// and for PCRE2, which stops at 250.
constexpr int kMaxDepth = 100;

constexpr RegexFlags kTypeFlags = kRegexAscii | kRegexUnicode;

bool IsIdentifier(absl::string_view name) {
  if (name.empty() || absl::ascii_isdigit(name.front())) return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return c == '_' || absl::ascii_isalnum(c);
  });
}

bool IsDecimal(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_isdigit(c); });
}

RegexFlags FlagOf(const RegexToken& token) {
  if (token.end || token.escaped) return 0;
  switch (token.code) {
    case 'a':
      return kRegexAscii;
    case 'i':
      return kRegexIgnoreCase;
    case 'm':
      return kRegexMultiline;
    case 's':
      return kRegexDotAll;
    case 'u':
      return kRegexUnicode;
    case 'x':
      return kRegexVerbose;
    default:
      return 0;
  }
}

}  // namespace

absl::Status Parser::ParseGroup(const RegexToken& start, Place place,
                                RegexSequence* out) {
  if (place.depth > kMaxDepth) {
    return scanner_.Unsupported("groups nested more than 100 deep", start);
  }
  if (scanner_.Eat('?')) return ParseExtension(start, place, out);
  return ParseCapture(start, "", place, out);
}

absl::Status Parser::ParseExtension(const RegexToken& start, Place place,
                                    RegexSequence* out) {
  const RegexToken token = scanner_.Next();
  if (token.end) return scanner_.Refused("unexpected end of pattern", token);
  if (FlagOf(token) != 0 || token.Is('-')) {
    return ParseFlagGroup(start, token, place, out);
  }
  switch (token.escaped ? 0 : token.code) {
    case 'P':
      return ParseNamed(start, place, out);
    case ':':
      return ParsePlain(start, RegexKind::kGroup, place, out);
    case '>':
      return ParsePlain(start, RegexKind::kAtomic, place, out);
    case '#':
      return SkipComment(start);
    case '=':
    case '!':
    case '<':
      return ParseLook(start, token, place, out);
    case '(':
      return ParseConditional(start, place, out);
    default:
      return scanner_.Refused("unknown extension", token);
  }
}

absl::Status Parser::ParseNamed(const RegexToken& start, Place place,
                                RegexSequence* out) {
  if (scanner_.Eat('=')) return ParseNamedReference(place.flags, out);
  if (!scanner_.Eat('<')) {
    return scanner_.Refused("unknown extension ?P", scanner_.Peek());
  }
  const RegexToken at = scanner_.Peek();
  PEFT_ASSIGN_OR_RETURN(const std::string name, scanner_.TakeName('>'));
  if (!IsIdentifier(name)) {
    return scanner_.Refused(
        absl::StrCat("bad character in group name ", Quoted(name)), at);
  }
  if (names_.count(name) != 0) {
    return scanner_.Refused(
        absl::StrCat("redefinition of group name ", Quoted(name)), at);
  }
  return ParseCapture(start, name, place, out);
}

absl::Status Parser::ParseNamedReference(RegexFlags flags, RegexSequence* out) {
  const RegexToken at = scanner_.Peek();
  PEFT_ASSIGN_OR_RETURN(const std::string name, scanner_.TakeName(')'));
  PEFT_ASSIGN_OR_RETURN(const uint32_t group, FindName(name, at));
  return AddBackreference(group, at, flags, out);
}

absl::StatusOr<uint32_t> Parser::FindName(const std::string& name,
                                          const RegexToken& at) const {
  if (!IsIdentifier(name)) {
    return scanner_.Refused(
        absl::StrCat("bad character in group name ", Quoted(name)), at);
  }
  const auto found = names_.find(name);
  if (found != names_.end()) return found->second;
  return scanner_.Refused(absl::StrCat("unknown group name ", Quoted(name)),
                          at);
}

absl::Status Parser::ParseCapture(const RegexToken& start,
                                  const std::string& name, Place place,
                                  RegexSequence* out) {
  const auto number = static_cast<uint32_t>(groups_.size());
  groups_.emplace_back();
  if (!name.empty()) names_[name] = number;
  RegexNode node;
  node.kind = RegexKind::kGroup;
  node.code = number;
  PEFT_RETURN_IF_ERROR(ParseBranches(place, &node));
  PEFT_RETURN_IF_ERROR(CloseGroup(start));
  groups_[number] = {/*open=*/false, node.width};
  out->push_back(std::move(node));
  return absl::OkStatus();
}

absl::Status Parser::ParsePlain(const RegexToken& start, RegexKind kind,
                                Place place, RegexSequence* out) {
  RegexNode node;
  node.kind = kind;
  PEFT_RETURN_IF_ERROR(ParseBranches(place, &node));
  PEFT_RETURN_IF_ERROR(CloseGroup(start));
  out->push_back(std::move(node));
  return absl::OkStatus();
}

absl::Status Parser::ParseLook(const RegexToken& start, RegexToken sign,
                               Place place, RegexSequence* out) {
  const bool behind = sign.Is('<');
  if (behind) sign = scanner_.Next();
  if (!sign.Is('=') && !sign.Is('!')) {
    return scanner_.Refused("unknown extension ?<", sign);
  }
  const bool outermost = behind && !lookbehind_groups_.has_value();
  if (outermost) lookbehind_groups_ = groups_.size();
  RegexNode node;
  node.kind = behind ? RegexKind::kLookbehind : RegexKind::kLookahead;
  node.negative = sign.Is('!');
  PEFT_RETURN_IF_ERROR(ParseBranches(place, &node));
  if (outermost) lookbehind_groups_.reset();
  PEFT_RETURN_IF_ERROR(CloseGroup(start));
  if (behind && node.width.min != node.width.max) {
    return scanner_.Refused("look-behind requires fixed-width pattern", start);
  }
  node.width = RegexWidth();
  out->push_back(std::move(node));
  return absl::OkStatus();
}

absl::Status Parser::ParseConditional(const RegexToken& start, Place place,
                                      RegexSequence* out) {
  RegexNode node;
  node.kind = RegexKind::kConditional;
  node.flags = place.flags;
  PEFT_ASSIGN_OR_RETURN(node.code, ParseCondition());
  do {
    if (node.branches.size() == 2) {
      return scanner_.Refused("conditional backref with more than two branches",
                              scanner_.Peek());
    }
    node.branches.emplace_back();
    PEFT_RETURN_IF_ERROR(
        ParseSequence(place, /*first=*/false, &node.branches.back()));
  } while (scanner_.Eat('|'));
  PEFT_RETURN_IF_ERROR(CloseGroup(start));
  node.width = WidthOf(node.branches);
  if (node.branches.size() == 1) node.width.min = 0;
  out->push_back(std::move(node));
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> Parser::ParseCondition() {
  const RegexToken at = scanner_.Peek();
  PEFT_ASSIGN_OR_RETURN(const std::string name, scanner_.TakeName(')'));
  uint32_t group = 0;
  if (!IsDecimal(name)) {
    PEFT_ASSIGN_OR_RETURN(group, FindName(name, at));
  } else if (!absl::SimpleAtoi(name, &group)) {
    return scanner_.Refused(absl::StrCat("invalid group reference ", name), at);
  } else if (group == 0) {
    return scanner_.Refused("bad group number", at);
  } else {
    conditions_.emplace_back(group, at);
  }
  PEFT_RETURN_IF_ERROR(CheckLookbehind(group, at));
  if (group < groups_.size() && groups_[group].open) {
    return scanner_.Unsupported("a condition on the group around it", at);
  }
  return group;
}

absl::Status Parser::ParseFlagGroup(const RegexToken& start,
                                    const RegexToken& token, Place place,
                                    RegexSequence* out) {
  const bool at_start = at_start_;
  PEFT_ASSIGN_OR_RETURN(const FlagChange change, ParseFlags(token));
  if (change.global) {
    if (!at_start) {
      return scanner_.Refused("global flags not at the start of the expression",
                              start);
    }
    global_flags_ |= change.add;
    return absl::OkStatus();
  }
  if ((change.add & kTypeFlags) != 0) place.flags &= ~kTypeFlags;
  place.flags = (place.flags | change.add) & ~change.remove;
  return ParsePlain(start, RegexKind::kGroup, place, out);
}

absl::StatusOr<Parser::FlagChange> Parser::ParseFlags(RegexToken token) {
  FlagChange change;
  if (!token.Is('-')) {
    PEFT_RETURN_IF_ERROR(ParseAddedFlags(&token, &change));
  }
  change.global = token.Is(')');
  if (token.Is('-')) PEFT_RETURN_IF_ERROR(ParseRemovedFlags(&change));
  if ((change.add & change.remove) != 0) {
    return scanner_.Refused("bad inline flags: flag turned on and off", token);
  }
  return change;
}

// Takes flags up to the -, : or ) that `token` is afterwards.
absl::Status Parser::ParseAddedFlags(RegexToken* token, FlagChange* change) {
  while (!token->Is(')') && !token->Is('-') && !token->Is(':')) {
    const RegexFlags flag = FlagOf(*token);
    if (flag == 0) return scanner_.Refused("unknown flag", *token);
    change->add |= flag;
    if ((change->add & kTypeFlags) == kTypeFlags) {
      return scanner_.Refused(
          "bad inline flags: flags 'a', 'u' and 'L' are incompatible", *token);
    }
    *token = scanner_.Next();
  }
  return absl::OkStatus();
}

// Takes at least one flag and the colon after it.
absl::Status Parser::ParseRemovedFlags(FlagChange* change) {
  RegexToken token = scanner_.Next();
  do {
    const RegexFlags flag = FlagOf(token);
    if (flag == 0) return scanner_.Refused("missing flag or :", token);
    if ((flag & kTypeFlags) != 0) {
      return scanner_.Refused(
          "bad inline flags: cannot turn off flags 'a', 'u' and 'L'", token);
    }
    change->remove |= flag;
    token = scanner_.Next();
  } while (!token.Is(':'));
  return absl::OkStatus();
}

absl::Status Parser::SkipComment(const RegexToken& start) {
  RegexToken token = scanner_.Next();
  while (!token.end && !token.Is(')')) token = scanner_.Next();
  if (!token.end) return absl::OkStatus();
  return scanner_.Refused("missing ), unterminated comment", start);
}

absl::Status Parser::CloseGroup(const RegexToken& start) {
  if (scanner_.Eat(')')) return absl::OkStatus();
  return scanner_.Refused("missing ), unterminated subpattern", start);
}

// A lookbehind may only refer to groups that were complete before it.
absl::Status Parser::CheckLookbehind(uint32_t group,
                                     const RegexToken& at) const {
  if (!lookbehind_groups_.has_value()) return absl::OkStatus();
  if (group >= *lookbehind_groups_) {
    return scanner_.Refused(
        "cannot refer to group defined in the same lookbehind subpattern", at);
  }
  if (!groups_[group].open) return absl::OkStatus();
  return scanner_.Refused("cannot refer to an open group", at);
}

absl::Status Parser::AddBackreference(uint32_t group, const RegexToken& at,
                                      RegexFlags flags, RegexSequence* out) {
  if (groups_[group].open) {
    return scanner_.Refused("cannot refer to an open group", at);
  }
  PEFT_RETURN_IF_ERROR(CheckLookbehind(group, at));
  RegexNode node;
  node.kind = RegexKind::kBackreference;
  node.code = group;
  node.flags = flags;
  node.width = groups_[group].width;
  out->push_back(std::move(node));
  return absl::OkStatus();
}

}  // namespace python_regex_internal
}  // namespace peft
