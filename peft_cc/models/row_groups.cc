#include "peft_cc/models/row_groups.h"

#include <algorithm>
#include <limits>
#include <new>

#include "peft_cc/models/float_buffer.h"

namespace peft {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// True if both plans make the same of a row: those of the base, as a rule.
bool IsSamePlain(const kernels::LinearPlan& a, const kernels::LinearPlan& b) {
  const auto is_plain = [](const kernels::LinearPlan& plan) {
    return plan.stages.empty() && plan.patch.rows.rows == 0 &&
           plan.in_scale.data == nullptr;
  };
  return is_plain(a) && is_plain(b) && a.weight.data == b.weight.data &&
         a.bias.data == b.bias.data;
}

template <typename T>
void Fetch(const T* first, size_t count) {
  constexpr size_t kCacheLine = 64;
  const char* const begin = reinterpret_cast<const char*>(first);
  for (size_t byte = 0; byte < count * sizeof(T); byte += kCacheLine) {
    __builtin_prefetch(begin + byte);
  }
}

}  // namespace

absl::Status RowGroups::Reserve(const BatchPlan& plans, int64_t batch,
                                int64_t tokens) {
  plans_ = &plans;
  batch_ = batch;
  max_gates_ = 0;
  for (const BatchPlan::Group& group : plans.groups()) {
    max_gates_ = std::max(max_gates_, group.plan->gates().size());
  }
  try {
    const size_t groups = plans.groups().size();
    slices_.reserve(groups);
    for (auto& place : groups_) place.reserve(groups);
    gate_starts_.resize(batch * max_gates_);
    gate_bytes_.resize(tokens * max_gates_);
    gate_pointers_.resize(groups * max_gates_);
  } catch (const std::bad_alloc&) {
    return OutOfMemory("the row groups of a forward");
  }
  return absl::OkStatus();
}

void RowGroups::FindGates(const KvCache& cache, int64_t end) {
  if (max_gates_ == 0) return;
  for (int64_t i = 0; i < batch_; ++i) {
    const int64_t row = plans_->RowAt(i);
    const std::vector<InvocationTokens>& gates = plans_->OfRow(row).gates();
    for (size_t gate = 0; gate < gates.size(); ++gate) {
      const int64_t found = cache.FindLast(row, *gates[gate], end);
      gate_starts_[i * max_gates_ + gate] = found < 0 ? kNever : found;
    }
  }
}

void RowGroups::SetRange(const Range& range) {
  slices_.clear();
  num_bytes_ = num_pointers_ = 0;
  int64_t begin = 0;
  for (const BatchPlan::Group& group : plans_->groups()) {
    const int64_t rows = plans_->batch() == 0 ? batch_ : group.rows;
    const int64_t end = begin + rows * range.per_row;
    const int64_t first = std::max(begin, range.first);
    const int64_t last = std::min(end, range.first + range.count);
    if (first < last) {
      slices_.push_back({group.plan, last - first,
                         FillGates(range, *group.plan, first, last - first)});
    }
    begin = end;
  }
}

const uint8_t* const* RowGroups::FillGates(const Range& range, const Plan& plan,
                                           int64_t first, int64_t count) {
  if (plan.gates().empty()) return nullptr;
  const uint8_t* const* const pointers = gate_pointers_.data() + num_pointers_;
  for (size_t gate = 0; gate < plan.gates().size(); ++gate) {
    uint8_t* const bytes = gate_bytes_.data() + num_bytes_;
    gate_pointers_[num_pointers_++] = bytes;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t token = first + i;
      const int64_t row = token / range.per_row;
      const int64_t position = range.position + token % range.per_row;
      bytes[i] = position >= gate_starts_[row * max_gates_ + gate];
    }
    num_bytes_ += count;
  }
  return pointers;
}

void RowGroups::FetchPlans(int site) const {
  for (const Slice& slice : slices_) Fetch(&slice.plan->linear(site), 1);
  for (const Slice& slice : slices_) {
    const auto& stages = slice.plan->linear(site).stages;
    Fetch(stages.data(), stages.size());
  }
  for (const Slice& slice : slices_) {
    for (const kernels::LinearStage& stage : slice.plan->linear(site).stages) {
      Fetch(stage.low_rank.data(), stage.low_rank.size());
    }
  }
}

absl::Span<const kernels::LinearGroup> RowGroups::At(int site, int place) {
  if (slices_.size() > 1) FetchPlans(site);
  std::vector<kernels::LinearGroup>& groups = groups_[place];
  groups.clear();
  for (const Slice& slice : slices_) {
    const kernels::LinearPlan& plan = slice.plan->linear(site);
    if (!groups.empty() && IsSamePlain(*groups.back().plan, plan)) {
      groups.back().rows += slice.rows;
    } else {
      groups.push_back({&plan, slice.rows, slice.gates});
    }
  }
  return groups;
}

}  // namespace peft
