#include "peft_cc/adapters/merge_memory.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "peft_cc/base/huge_pages.h"
#include "peft_cc/base/round_up.h"

namespace peft {
namespace {

// A few huge pages: what one tensor keeps alive of others that have gone.
constexpr int64_t kBlockSize = 16 * static_cast<int64_t>(kHugePage);

constexpr int64_t kAlignment = 64;

}  // namespace

absl::StatusOr<Tensor> MergeMemory::Allocate(DType dtype,
                                             std::vector<int64_t> shape,
                                             void** out_data) {
  const std::optional<int64_t> checked = CheckedSizeBytes(dtype, shape);
  // Tensors that are larger, or of no size that exists, need no neighbours.
  if (!checked.has_value() || *checked > kBlockSize) {
    return Tensor::Allocate(dtype, std::move(shape), out_data);
  }
  const int64_t size = RoundUp(*checked, kAlignment);
  // A block whose tensors have all gone begins anew.
  if (block_.use_count() == 1) used_ = 0;
  if (size > block_size_ - used_) {
    block_size_ = std::max(size, std::min(kBlockSize, remaining_));
    block_ = AllocateBlock(static_cast<uint64_t>(block_size_));
    if (block_ == nullptr) block_size_ = 0;
    used_ = 0;
  }
  if (block_ == nullptr) {
    return Tensor::Allocate(dtype, std::move(shape), out_data);
  }
  *out_data = block_.get() + used_;
  used_ += size;
  remaining_ = std::max<int64_t>(remaining_ - size, 0);
  return Tensor(dtype, std::move(shape), *out_data, block_);
}

float* MergeMemory::Workspace(int64_t size) {
  if (size > workspace_size_) {
    workspace_size_ = 0;
    workspace_.reset();
    // Not std::make_unique, which would clear it.
    workspace_.reset(new float[size]);
    workspace_size_ = size;
  }
  return workspace_.get();
}

}  // namespace peft
