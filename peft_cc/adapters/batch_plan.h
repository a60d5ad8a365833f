// Which plan each row of a batch runs.
#ifndef PEFT_CC_ADAPTERS_BATCH_PLAN_H_
#define PEFT_CC_ADAPTERS_BATCH_PLAN_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "peft_cc/adapters/plan.h"

namespace peft {

// A value that keeps its plans alive. Rows of one plan are run together,
// wherever they stand in the batch: an executor takes the rows in order().
// Making one for a single plan allocates nothing.
class BatchPlan {
 public:
  // Consecutive rows, in order(), of one plan.
  struct Group {
    const Plan* plan = nullptr;
    int64_t rows = 0;
  };

  // No plan at all: of a cache that nobody has written.
  BatchPlan() = default;
  // One plan for every row of a batch of any size.
  explicit BatchPlan(std::shared_ptr<const Plan> plan);
  // One per row.
  explicit BatchPlan(absl::Span<const std::shared_ptr<const Plan>> rows);

  bool empty() const { return groups_.empty(); }
  // The rows that the batch must have; 0: any number.
  int64_t batch() const { return static_cast<int64_t>(order_.size()); }
  // At least one; the only one of a plan for any batch has 0 rows.
  absl::Span<const Group> groups() const { return groups_; }
  // The batch's row that stands at place `i` of the groups.
  int64_t RowAt(int64_t i) const { return order_.empty() ? i : order_[i]; }
  // Brings rows of `size` floats each from the groups' order to the batch's.
  void RestoreOrder(int64_t size, float* rows) const;
  // The plan of row `row` of the batch.
  const Plan& OfRow(int64_t row) const;

  // True if both name the same plans for the same rows.
  bool IsIdentical(const BatchPlan& other) const {
    return plans_ == other.plans_ && order_ == other.order_ &&
           of_row_ == other.of_row_;
  }
  // True if every row of a batch of `batch` rows has the same activation.
  bool SameAs(const BatchPlan& other, int64_t batch) const;

 private:
  absl::InlinedVector<std::shared_ptr<const Plan>, 1> plans_;  // distinct
  absl::InlinedVector<Group, 1> groups_;
  std::vector<int64_t> order_;   // by place: the row
  std::vector<int64_t> places_;  // by row: the place
  std::vector<const Plan*> of_row_;
};

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_BATCH_PLAN_H_
