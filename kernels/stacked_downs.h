// The first factors of layers that share an input, as one product: a rank of 16
// alone fills a third of the registers that a product of many rows has.
#ifndef KERNELS_STACKED_DOWNS_H_
#define KERNELS_STACKED_DOWNS_H_

#include <cstdint>

#include "absl/types/span.h"
#include "kernels/linear.h"
#include "kernels/product_queue.h"

namespace peft {
namespace kernels {

using StackOfDowns = const void* [kMaxLinears];

// Where x A^T of layer i is: at thin + i * rank, `stride` floats from row to
// row. Null where nothing was queued.
struct StackedDowns {
  float* thin = nullptr;
  int64_t rank = 0;
  int64_t stride = 0;
};

// Queues x A^T of the first step of all calls, where these have many rows, one
// plan each and factors that differ in nothing but their numbers. Writes to the
// start of the `workspace` of all calls; `stack` must live until the queue has
// run.
StackedDowns QueueStack(absl::Span<const LinearCall> calls, ConstRows x,
                        float* workspace, StackOfDowns& stack,
                        ProductQueue& queue);

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_STACKED_DOWNS_H_
