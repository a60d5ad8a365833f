#include "peft_cc/adapters/batch_plan.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace peft {

BatchPlan::BatchPlan(std::shared_ptr<const Plan> plan)
    : plans_(1, std::move(plan)), groups_(1, Group{plans_[0].get(), 0}) {}

// Plans stand in the order of their first rows, so that a batch of one plan, or
// one that is grouped already, needs no other order.
BatchPlan::BatchPlan(absl::Span<const std::shared_ptr<const Plan>> rows) {
  std::vector<size_t> group_of_row;
  for (const std::shared_ptr<const Plan>& plan : rows) {
    const auto found = std::find(plans_.begin(), plans_.end(), plan);
    group_of_row.push_back(found - plans_.begin());
    of_row_.push_back(plan.get());
    if (found == plans_.end()) {
      plans_.push_back(plan);
      groups_.push_back({plan.get(), 0});
    }
    ++groups_[group_of_row.back()].rows;
  }
  order_.resize(rows.size());
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(), [&](int64_t a, int64_t b) {
    return group_of_row[a] < group_of_row[b];
  });
  places_.resize(rows.size());
  for (size_t i = 0; i < order_.size(); ++i) {
    places_[order_[i]] = static_cast<int64_t>(i);
  }
}

// In place. What belongs at `row` lies at its place, or where the swaps of
// earlier rows have brought it.
void BatchPlan::RestoreOrder(int64_t size, float* rows) const {
  for (size_t row = 0; row < places_.size(); ++row) {
    size_t from = places_[row];
    while (from < row) from = places_[from];
    if (from == row) continue;
    std::swap_ranges(rows + row * size, rows + (row + 1) * size,
                     rows + from * size);
  }
}

const Plan& BatchPlan::OfRow(int64_t row) const {
  return of_row_.empty() ? *groups_[0].plan : *of_row_[row];
}

bool BatchPlan::SameAs(const BatchPlan& other, int64_t batch) const {
  for (int64_t row = 0; row < batch; ++row) {
    const Plan& mine = OfRow(row);
    const Plan& theirs = other.OfRow(row);
    if (&mine == &theirs) continue;
    if (mine.overlay() != theirs.overlay() ||
        !mine.activation().SameAs(theirs.activation())) {
      return false;
    }
  }
  return true;
}

}  // namespace peft
