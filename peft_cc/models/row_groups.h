// The plans of a batch, as kernels take them: consecutive rows of activations
// that run one plan, and which of them the plans' gates let through.
#ifndef PEFT_CC_MODELS_ROW_GROUPS_H_
#define PEFT_CC_MODELS_ROW_GROUPS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "kernels/linear.h"
#include "kernels/linear_plan.h"
#include "peft_cc/adapters/batch_plan.h"
#include "peft_cc/models/kv_cache.h"

namespace peft {

// Activations lie batch row after batch row, in the order of the plan's groups,
// `per_row` tokens of each. Thread-compatible.
class RowGroups {
 public:
  // Tokens that an operation runs over: of all of the batch's, the `count` from
  // token `first` on. Each batch row has `per_row` of them, the first of which
  // stands at cache position `position`.
  struct Range {
    int64_t per_row = 0;
    int64_t position = 0;
    int64_t first = 0;
    int64_t count = 0;
  };

  // Makes room for a batch of `batch` rows and ranges of up to `tokens` tokens.
  // Allocates nothing once it has been called for as much. RESOURCE_EXHAUSTED
  // (OUT_OF_MEMORY).
  absl::Status Reserve(const BatchPlan& plans, int64_t batch, int64_t tokens);

  // Looks for what opens the gates among the first `end` tokens of each row in
  // `cache`. Call when these are written, before the ranges of a batch.
  void FindGates(const KvCache& cache, int64_t end);

  // What At gives from here on.
  void SetRange(const Range& range);

  // What linear or embedding site `site` runs over the range. Borrowed, until
  // the next call with the same place, below kernels::kMaxLinears.
  absl::Span<const kernels::LinearGroup> At(int site, int place = 0);

  // Calls call(norm, first row, rows) for the rows of the range, those together
  // whose norm of `site` has the same weights.
  template <typename Call>
  void ForEachNorm(int site, Call call) const {
    const NormPlan* norm = nullptr;
    int64_t first = 0;
    int64_t rows = 0;
    for (const Slice& slice : slices_) {
      const NormPlan& next = slice.plan->norm(site);
      if (norm != nullptr && (norm->weight.data != next.weight.data ||
                              norm->bias.data != next.bias.data)) {
        call(*norm, first, rows);
        first += rows;
        rows = 0;
      }
      norm = &next;
      rows += slice.rows;
    }
    if (norm != nullptr) call(*norm, first, rows);
  }

 private:
  struct Slice {
    const Plan* plan;
    int64_t rows;
    const uint8_t* const* gates;  // null: the plan has none
  };

  // Fetches the plans of a site into the cache, all at once: those of many
  // adapters are far from each other, and found one at a time they cost a tenth
  // of a step.
  void FetchPlans(int site) const;

  // The gates' bytes of the group's tokens [first, first + count).
  const uint8_t* const* FillGates(const Range& range, const Plan& plan,
                                  int64_t first, int64_t count);

  const BatchPlan* plans_ = nullptr;
  int64_t batch_ = 0;
  size_t max_gates_ = 0;
  std::vector<int64_t> gate_starts_;  // (batch in plan order, max_gates_)
  std::vector<uint8_t> gate_bytes_;   // (groups, max_gates_, tokens)
  std::vector<const uint8_t*> gate_pointers_;
  size_t num_bytes_ = 0;
  size_t num_pointers_ = 0;
  std::vector<Slice> slices_;
  // By the place of At.
  std::array<std::vector<kernels::LinearGroup>, kernels::kMaxLinears> groups_;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_ROW_GROUPS_H_
