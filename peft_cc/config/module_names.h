// Sets of module names as PEFT compares them: "q_proj" stands for every module
// of that name and every "....q_proj".
#ifndef PEFT_CC_CONFIG_MODULE_NAMES_H_
#define PEFT_CC_CONFIG_MODULE_NAMES_H_

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace peft {

// What follows the first dot of `name`; empty when there is none. Walks over
// the dotted suffixes of a name.
absl::string_view AfterFirstDot(absl::string_view name);

// A list of names. Immutable after construction; looking a name up costs its
// number of dots, whatever the size of the list.
class ModuleNames {
 public:
  ModuleNames() = default;
  explicit ModuleNames(const std::vector<std::string>& names)
      : names_(names.begin(), names.end()) {}

  // `name` is in the list.
  bool Has(absl::string_view name) const { return names_.count(name) > 0; }

  // `name` ends in a dot and a name of the list.
  bool HasSuffixOf(absl::string_view name) const;

  // How many different names there are.
  size_t size() const { return names_.size(); }

  // In the order of their bytes.
  std::vector<std::string> Sorted() const;

 private:
  std::set<std::string, std::less<>> names_;
};

// The shortest suffixes that pick the same of `all` as `names` does: PEFT
// shrinks lists of 20 names and more before it matches. That can be seen in one
// case: a full name in the list skips the layer filter, its suffix does not.
std::vector<std::string> MinimalNames(
    const ModuleNames& names, const std::vector<absl::string_view>& all);

}  // namespace peft

#endif  // PEFT_CC_CONFIG_MODULE_NAMES_H_
