// Says in the log that a call has unmerged adapters, as PEFT warns.
#ifndef PEFT_C_UNMERGE_WARNING_H_
#define PEFT_C_UNMERGE_WARNING_H_

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_c/log.h"
#include "peft_c/peft_c.h"
#include "peft_cc/models/model.h"

namespace peft {

// Lives around the call: logs at its end where something was merged at its
// beginning and nothing is any more. `function` and `model` must outlive it.
class UnmergeWarning {
 public:
  UnmergeWarning(absl::string_view function, const Model& model)
      : function_(function),
        model_(model),
        was_merged_(!model.MergedAdapters().empty()) {}
  UnmergeWarning(const UnmergeWarning&) = delete;
  UnmergeWarning& operator=(const UnmergeWarning&) = delete;
  ~UnmergeWarning() {
    if (!was_merged_ || !model_.MergedAdapters().empty()) return;
    LogLine(PEFT_LOG_WARNING,
            absl::StrCat(function_, ": the merged adapters were unmerged"));
  }

 private:
  const absl::string_view function_;
  const Model& model_;
  const bool was_merged_;
};

}  // namespace peft

#endif  // PEFT_C_UNMERGE_WARNING_H_
