#include "peft_cc/config/lora_ranks.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/match_deadline.h"
#include "peft_cc/config/pattern_table.h"

namespace peft {
namespace {

// Sets `field` of every target to the value of the first key that matches.
template <typename Value>
absl::Status ApplyPattern(
    absl::string_view what,
    const std::vector<std::pair<std::string, Value>>& pattern,
    absl::Span<const std::string> targets, Value LoraRank::*field,
    std::vector<LoraRank>& ranks, std::vector<std::string>* out_notes) {
  if (pattern.empty()) return absl::OkStatus();
  const MatchDeadline deadline;
  std::vector<std::string> keys;
  for (const auto& [key, value] : pattern) keys.push_back(key);
  PEFT_ASSIGN_OR_RETURN(PatternTable table,
                        PatternTable::Create(what, std::move(keys)));
  for (size_t i = 0; i < targets.size(); ++i) {
    PEFT_RETURN_IF_ERROR(deadline.Check());
    PEFT_ASSIGN_OR_RETURN(const std::optional<size_t> index,
                          table.Find(targets[i]));
    if (index.has_value()) ranks[i].*field = pattern[*index].second;
  }
  const std::vector<std::string> unmatched = table.Unmatched();
  if (!unmatched.empty()) {
    out_notes->push_back(absl::StrCat(
        what, " has keys that match no target: ", ShortList(unmatched)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<LoraRank>> FindLoraRanks(
    const LoraConfig& config, absl::Span<const std::string> targets,
    std::vector<std::string>* out_notes) {
  std::vector<LoraRank> ranks(targets.size(), {config.r, config.lora_alpha});
  PEFT_RETURN_IF_ERROR(ApplyPattern("rank_pattern", config.rank_pattern,
                                    targets, &LoraRank::r, ranks, out_notes));
  PEFT_RETURN_IF_ERROR(ApplyPattern("alpha_pattern", config.alpha_pattern,
                                    targets, &LoraRank::alpha, ranks,
                                    out_notes));
  return ranks;
}

}  // namespace peft
