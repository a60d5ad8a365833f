#include "peft_cc/config/python_regex_set.h"

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// One member of a set: a character or a category.
struct Member {
  char32_t code = 0;
  bool category = false;
};

absl::StatusOr<Member> ParseMember(RegexScanner* scanner,
                                   const RegexToken& token) {
  if (!token.escaped) return Member{token.code, false};
  if (IsRegexCategory(token.code)) return Member{token.code, true};
  if (token.code == 'b') return Member{'\b', false};
  if (token.code >= '0' && token.code <= '7') {
    std::string digits(1, static_cast<char>(token.code));
    digits += scanner->TakeDigits(8, 2);
    PEFT_ASSIGN_OR_RETURN(const char32_t code, scanner->Octal(digits, token));
    return Member{code, false};
  }
  PEFT_ASSIGN_OR_RETURN(const char32_t code, scanner->CharacterEscape(token));
  return Member{code, false};
}

void Add(const Member& member, RegexSet* set) {
  if (!member.category) {
    set->ranges.push_back({member.code, member.code});
    return;
  }
  const char letter = static_cast<char>(member.code);
  if (set->categories.find(letter) == std::string::npos) {
    set->categories.push_back(letter);
  }
}

// Parses what follows "x-" where `first` is x. Sets `out_closed` when the
// minus was the last character of the set.
absl::Status ParseRangeEnd(RegexScanner* scanner, const RegexToken& start,
                           const Member& first, RegexSet* set,
                           bool* out_closed) {
  const RegexToken token = scanner->Next();
  if (token.end) return scanner->Refused("unterminated character set", start);
  if (token.Is(']')) {
    Add(first, set);
    Add({'-', false}, set);
    *out_closed = true;
    return absl::OkStatus();
  }
  PEFT_ASSIGN_OR_RETURN(const Member last, ParseMember(scanner, token));
  if (first.category || last.category || last.code < first.code) {
    return scanner->Refused("bad character range", token);
  }
  set->ranges.push_back({first.code, last.code});
  return absl::OkStatus();
}

}  // namespace

bool IsRegexCategory(char32_t letter) {
  switch (letter) {
    case 'd':
    case 'D':
    case 's':
    case 'S':
    case 'w':
    case 'W':
      return true;
    default:
      return false;
  }
}

absl::StatusOr<std::unique_ptr<RegexSet>> ParseRegexSet(
    RegexScanner* scanner, const RegexToken& start) {
  auto set = std::make_unique<RegexSet>();
  set->negated = scanner->Eat('^');
  bool closed = false;
  while (!closed) {
    const RegexToken token = scanner->Next();
    if (token.end) return scanner->Refused("unterminated character set", start);
    const bool empty = set->ranges.empty() && set->categories.empty();
    if (token.Is(']') && !empty) break;  // as the first member it is a literal
    PEFT_ASSIGN_OR_RETURN(const Member member, ParseMember(scanner, token));
    if (scanner->Eat('-')) {
      PEFT_RETURN_IF_ERROR(
          ParseRangeEnd(scanner, start, member, set.get(), &closed));
    } else {
      Add(member, set.get());
    }
  }
  return set;
}

}  // namespace peft
