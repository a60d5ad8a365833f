// Which files of a repository are meant: shell patterns as Python's fnmatch
// reads them, in the way that huggingface_hub uses it.
#ifndef HUB_PATTERNS_H_
#define HUB_PATTERNS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace peft {
namespace hub {

// True if all of `text`, UTF-8, matches: "*" is any text, with "/" in it, "?"
// any character, "[a-z]" one of a set and "[!a-z]" one that is not. Case
// matters.
bool MatchesPattern(absl::string_view text, absl::string_view pattern);

// True for a path that matches one of `allow`, or where that is empty, and none
// of `ignore`. A pattern with a slash at its end is all below that folder;
// backslashes are slashes.
bool IsWanted(absl::string_view path, absl::Span<const std::string> allow,
              absl::Span<const std::string> ignore);

}  // namespace hub
}  // namespace peft

#endif  // HUB_PATTERNS_H_
