// What merging needs in memory: blocks for the merged weights, and a workspace.
#ifndef PEFT_CC_ADAPTERS_MERGE_MEMORY_H_
#define PEFT_CC_ADAPTERS_MERGE_MEMORY_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// Puts tensors one behind the other into large blocks, which huge pages can
// back: one weight alone is often too small for that, and fresh small pages
// cost more than merging itself. Thread-compatible.
class MergeMemory {
 public:
  // `expected_bytes`: of all tensors together, as far as is known; no block is
  // larger than that unless a tensor is.
  explicit MergeMemory(int64_t expected_bytes) : remaining_(expected_bytes) {}

  // A tensor whose elements are for the caller to write. A block goes with the
  // last of its tensors; until the next is begun, this object is one more
  // owner. RESOURCE_EXHAUSTED (OUT_OF_MEMORY).
  absl::StatusOr<Tensor> Allocate(DType dtype, std::vector<int64_t> shape,
                                  void** out_data);

  // At least `size` floats, valid until the next call. Throws std::bad_alloc.
  float* Workspace(int64_t size);

 private:
  int64_t remaining_;
  std::shared_ptr<uint8_t> block_;
  int64_t block_size_ = 0;
  int64_t used_ = 0;  // of the block
  std::unique_ptr<float[]> workspace_;
  int64_t workspace_size_ = 0;
};

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_MERGE_MEMORY_H_
