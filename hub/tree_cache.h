// The listing of a commit as huggingface_hub keeps it, trees/<commit>.json.
#ifndef HUB_TREE_CACHE_H_
#define HUB_TREE_CACHE_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "hub/answers.h"

namespace peft {
namespace hub {

// Nothing for a text of another version, or one that is not a listing: then
// the Hub is asked again.
absl::optional<Tree> ParseTreeCache(absl::string_view text);

// The bytes that Python would write.
std::string DumpTreeCache(const Tree& tree);

}  // namespace hub
}  // namespace peft

#endif  // HUB_TREE_CACHE_H_
