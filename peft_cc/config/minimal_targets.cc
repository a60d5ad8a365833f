#include "peft_cc/config/minimal_targets.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace peft {
namespace {

// The last component, the last two and so on; the name itself is the last.
std::vector<std::string> EndsOf(const std::string& name) {
  std::vector<std::string> ends;
  for (size_t dot = name.rfind('.'); dot != std::string::npos;
       dot = dot == 0 ? std::string::npos : name.rfind('.', dot - 1)) {
    ends.push_back(name.substr(dot + 1));
  }
  ends.push_back(name);
  return ends;
}

}  // namespace

std::vector<std::string> MinimalTargets(
    const std::vector<std::string>& targets,
    const std::vector<std::string>& others) {
  std::set<std::string> taken;
  for (const std::string& other : others) {
    for (std::string& end : EndsOf(other)) taken.insert(std::move(end));
  }
  std::set<std::vector<std::string>> ordered;
  for (const std::string& target : targets) ordered.insert(EndsOf(target));
  std::vector<std::string> result;
  for (const std::vector<std::string>& ends : ordered) {
    const std::string& name = ends.back();
    const bool is_covered =
        std::any_of(result.begin(), result.end(), [&](const std::string& end) {
          return absl::EndsWith(name, absl::StrCat(".", end));
        });
    if (is_covered) continue;
    const auto found =
        std::find_if(ends.begin(), ends.end(), [&](const std::string& end) {
          return taken.count(end) == 0 &&
                 std::find(result.begin(), result.end(), end) == result.end();
        });
    if (found != ends.end()) result.push_back(*found);
  }
  return result.empty() ? targets : result;
}

}  // namespace peft
