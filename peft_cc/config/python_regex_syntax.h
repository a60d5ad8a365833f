// The syntax tree of a Python regular expression. Flags are resolved while
// parsing: every node carries those that hold at its place.
#ifndef PEFT_CC_CONFIG_PYTHON_REGEX_SYNTAX_H_
#define PEFT_CC_CONFIG_PYTHON_REGEX_SYNTAX_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace peft {

// What `(?aimsux)` switches. L is an error in a str pattern.
using RegexFlags = uint8_t;
inline constexpr RegexFlags kRegexIgnoreCase = 1;
inline constexpr RegexFlags kRegexMultiline = 2;
inline constexpr RegexFlags kRegexDotAll = 4;
inline constexpr RegexFlags kRegexVerbose = 8;
inline constexpr RegexFlags kRegexAscii = 16;
inline constexpr RegexFlags kRegexUnicode = 32;

// Python's MAXREPEAT: "no upper bound", and where widths end.
inline constexpr uint64_t kRegexUnbounded = 0xffffffff;

// How many characters something can match, at least and at most.
struct RegexWidth {
  uint64_t min = 0;
  uint64_t max = 0;
};

// `[...]`, or a class such as \d on its own.
struct RegexSet {
  // From `first` to `last`, both included.
  struct Range {
    char32_t first;
    char32_t last;
  };
  bool negated = false;
  std::vector<Range> ranges;
  std::string categories;  // of "dDsSwW", each at most once
};

// What a node is, and what its fields mean.
enum class RegexKind : uint8_t {
  kLiteral,        // `code` is the character
  kAny,            // .
  kSet,            // `set`
  kAnchor,         // `code` is one of ^ $ A Z b B
  kGroup,          // `code` is the group's number, 0 for (?:...)
  kAtomic,         // (?>...)
  kLookahead,      // (?=...), or (?!...) with `negative`
  kLookbehind,     // (?<=...), or (?<!...) with `negative`
  kBackreference,  // `code` is the group's number
  kConditional,    // (?(code)yes|no): one or two branches
  kRepeat,         // one branch with one node, `min` to `max` times
};

// How a repetition gives back what it took: a*, a*? and a*+.
enum class RegexGreed : uint8_t { kGreedy, kLazy, kPossessive };

// A part of a pattern, with the parts in it.
struct RegexNode {
  RegexKind kind = RegexKind::kLiteral;
  RegexFlags flags = 0;
  RegexGreed greed = RegexGreed::kGreedy;
  bool negative = false;
  uint32_t code = 0;
  uint64_t min = 0;
  uint64_t max = 0;  // kRegexUnbounded where there is no bound
  RegexWidth width;
  std::unique_ptr<RegexSet> set;
  std::vector<std::vector<RegexNode>> branches;
};

// Nodes one after another.
using RegexSequence = std::vector<RegexNode>;

// A parsed pattern.
struct RegexSyntax {
  RegexNode root;  // a kGroup without a number
  std::map<std::string, uint32_t> group_names;
};

}  // namespace peft

#endif  // PEFT_CC_CONFIG_PYTHON_REGEX_SYNTAX_H_
