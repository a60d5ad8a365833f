// The adapted embedding: rows of a table, some of them replaced, and the stages
// of a plan on them.
#ifndef KERNELS_EMBEDDING_H_
#define KERNELS_EMBEDDING_H_

#include <cstdint>

#include "absl/types/span.h"
#include "kernels/linear_plan.h"
#include "kernels/thread_pool.h"
#include "kernels/view.h"

namespace peft {
namespace kernels {

// Floats of workspace that RunEmbedding needs for these groups.
int64_t EmbeddingWorkspaceFloats(absl::Span<const LinearGroup> groups);

// y[t] = row ids[t] of the group's table, then its stages. A plan means here:
// weight is the table, (vocabulary, width); patch.rows, (n, width), stand for
// the rows patch.ids, which rise; a segment's A is (r, vocabulary), of which
// column ids[t] is taken, and its B (width, r). There is no in_scale. The ids
// are in range (checked by the caller). Allocates nothing.
void RunEmbedding(absl::Span<const LinearGroup> groups, const int64_t* ids,
                  Rows y, float* workspace, ThreadPool& pool);
// The stages alone, on the rows that y holds.
void RunEmbeddingStages(absl::Span<const LinearGroup> groups,
                        const int64_t* ids, Rows y, float* workspace,
                        ThreadPool& pool);

}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_EMBEDDING_H_
