// The parser behind ParsePythonRegex. Its parts lie in python_regex_parser.cc
// (branches, items, repeats) and python_regex_groups.cc (what follows a
// parenthesis).
#ifndef PEFT_CC_CONFIG_PYTHON_REGEX_PARSER_INTERNAL_H_
#define PEFT_CC_CONFIG_PYTHON_REGEX_PARSER_INTERNAL_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "peft_cc/config/python_regex_scanner.h"
#include "peft_cc/config/python_regex_syntax.h"

namespace peft {
namespace python_regex_internal {

// The widths of nodes one after another, and of branches beside each other.
RegexWidth WidthOf(const RegexSequence& sequence);
RegexWidth WidthOf(const std::vector<RegexSequence>& branches);

// Where the parser stands: the flags that hold and how deep it is in groups.
struct Place {
  RegexFlags flags = 0;
  int depth = 0;
};

// Parses one pattern. Recursive descent; used once. Thread-compatible.
class Parser {
 public:
  explicit Parser(RegexScanner scanner) : scanner_(std::move(scanner)) {}

  // Parses the whole pattern.
  absl::StatusOr<RegexSyntax> Parse();

 private:
  // A capturing group; nothing may refer to it while it is open.
  struct Group {
    bool open = true;
    RegexWidth width;
  };
  // What `(?add-remove:...)` switches.
  struct FlagChange {
    RegexFlags add = 0;
    RegexFlags remove = 0;
    bool global = false;  // `(?add)`: for the whole pattern
  };

  // Branches up to a parenthesis or the end, into `node`.
  absl::Status ParseBranches(Place place, RegexNode* node);
  // One branch, up to a bar as well.
  absl::Status ParseSequence(Place place, bool first, RegexSequence* out);
  absl::Status ParseItem(const RegexToken& token, Place place,
                         RegexSequence* out);
  bool SkipVerbose(const RegexToken& token);
  absl::Status ParseEscape(const RegexToken& token, RegexFlags flags,
                           RegexSequence* out);
  absl::Status ParseNumber(const RegexToken& token, RegexFlags flags,
                           RegexSequence* out);
  absl::StatusOr<bool> ParseBounds(const RegexToken& token, RegexNode* repeat);
  absl::Status ParseRepeat(const RegexToken& token, RegexFlags flags,
                           RegexSequence* out);

  // What follows the parenthesis `start`.
  absl::Status ParseGroup(const RegexToken& start, Place place,
                          RegexSequence* out);
  absl::Status ParseExtension(const RegexToken& start, Place place,
                              RegexSequence* out);
  absl::Status ParseNamed(const RegexToken& start, Place place,
                          RegexSequence* out);
  absl::Status ParseNamedReference(RegexFlags flags, RegexSequence* out);
  absl::Status ParseCapture(const RegexToken& start, const std::string& name,
                            Place place, RegexSequence* out);
  absl::Status ParsePlain(const RegexToken& start, RegexKind kind, Place place,
                          RegexSequence* out);
  absl::Status ParseLook(const RegexToken& start, RegexToken sign, Place place,
                         RegexSequence* out);
  absl::Status ParseConditional(const RegexToken& start, Place place,
                                RegexSequence* out);
  absl::StatusOr<uint32_t> ParseCondition();
  absl::Status ParseFlagGroup(const RegexToken& start, const RegexToken& token,
                              Place place, RegexSequence* out);
  absl::StatusOr<FlagChange> ParseFlags(RegexToken token);
  absl::Status ParseAddedFlags(RegexToken* token, FlagChange* change);
  absl::Status ParseRemovedFlags(FlagChange* change);
  absl::Status SkipComment(const RegexToken& start);
  absl::Status CloseGroup(const RegexToken& start);
  absl::StatusOr<uint32_t> FindName(const std::string& name,
                                    const RegexToken& at) const;
  absl::Status CheckLookbehind(uint32_t group, const RegexToken& at) const;
  absl::Status AddBackreference(uint32_t group, const RegexToken& at,
                                RegexFlags flags, RegexSequence* out);

  RegexScanner scanner_;
  RegexFlags global_flags_ = 0;
  bool at_start_ = true;  // nothing yet but comments and global flags
  std::vector<Group> groups_ = std::vector<Group>(1);  // 0 is the whole
  std::map<std::string, uint32_t> names_;
  // How many groups there were before the outermost lookbehind that is open.
  std::optional<size_t> lookbehind_groups_;
  // Conditions by number: they may name groups that come later.
  std::vector<std::pair<uint32_t, RegexToken>> conditions_;
};

}  // namespace python_regex_internal
}  // namespace peft

#endif  // PEFT_CC_CONFIG_PYTHON_REGEX_PARSER_INTERNAL_H_
