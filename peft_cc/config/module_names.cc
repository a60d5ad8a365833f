#include "peft_cc/config/module_names.h"

#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace peft {
namespace {

// The dotted suffixes of `name`, the shortest first and `name` itself last.
std::vector<absl::string_view> Suffixes(absl::string_view name) {
  std::vector<absl::string_view> suffixes;
  for (absl::string_view rest = name; !rest.empty();
       rest = AfterFirstDot(rest)) {
    suffixes.push_back(rest);
  }
  std::reverse(suffixes.begin(), suffixes.end());
  return suffixes;
}

// True if a suffix of `name` other than itself is in `chosen`.
bool IsCovered(absl::string_view name,
               const std::unordered_set<absl::string_view>& chosen) {
  for (absl::string_view rest = AfterFirstDot(name); !rest.empty();
       rest = AfterFirstDot(rest)) {
    if ((chosen.count(rest) > 0)) return true;
  }
  return false;
}

}  // namespace

absl::string_view AfterFirstDot(absl::string_view name) {
  const size_t dot = name.find('.');
  return dot == absl::string_view::npos ? absl::string_view()
                                        : name.substr(dot + 1);
}

bool ModuleNames::HasSuffixOf(absl::string_view name) const {
  for (absl::string_view rest = AfterFirstDot(name); !rest.empty();
       rest = AfterFirstDot(rest)) {
    if ((names_.count(rest) > 0)) return true;
  }
  return false;
}

std::vector<std::string> ModuleNames::Sorted() const {
  std::vector<std::string> sorted(names_.begin(), names_.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

std::vector<std::string> MinimalNames(
    const ModuleNames& names, const std::vector<absl::string_view>& all) {
  std::unordered_set<absl::string_view> others;
  for (const absl::string_view name : all) {
    if (names.Has(name) || names.HasSuffixOf(name)) continue;
    for (const absl::string_view suffix : Suffixes(name)) others.insert(suffix);
  }
  const std::vector<std::string> sorted = names.Sorted();
  std::vector<std::vector<absl::string_view>> candidates;
  for (const std::string& name : sorted) candidates.push_back(Suffixes(name));
  std::sort(candidates.begin(), candidates.end());
  std::unordered_set<absl::string_view> chosen;
  for (const std::vector<absl::string_view>& suffixes : candidates) {
    if (suffixes.empty() || IsCovered(suffixes.back(), chosen)) continue;
    for (const absl::string_view suffix : suffixes) {
      if ((chosen.count(suffix) > 0) || (others.count(suffix) > 0)) continue;
      chosen.insert(suffix);
      break;
    }
  }
  if (chosen.empty()) return sorted;
  return std::vector<std::string>(chosen.begin(), chosen.end());
}

}  // namespace peft
