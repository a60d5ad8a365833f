// A base model with adapters merged into it, as a folder of its own.
#ifndef PEFT_CC_MODELS_MERGED_MODEL_H_
#define PEFT_CC_MODELS_MERGED_MODEL_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "kernels/thread_pool.h"
#include "peft_cc/adapters/merge.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/models/base_model.h"

namespace peft {

// How a merged model is written.
struct MergedModelOptions {
  MergeAdapterOptions merge;
  // Called after each tensor with the bytes that are written and those of all
  // weights; false: cancels. May be empty.
  std::function<bool(int64_t done, int64_t total)> on_progress;
};

// Writes `base` under `plan`, which has no overlay, to the new folder `path`:
// the weights under the names, in the files and of the element types of the
// base's own, config.json and the other small files as they are. A head that
// was tied to the embedding and is not any more gets a tensor of its own, and
// config.json says so. One merged tensor is in memory at a time. The folder
// appears whole or not at all. Fails as MergePlan and NewFolder do, with
// INVALID_ARGUMENT (ADAPTER_NOT_MERGEABLE) for a bias where the model has none,
// and CANCELLED (CANCELLED).
absl::Status WriteMergedModel(const BaseModel& base, const Plan& plan,
                              const std::string& path,
                              const MergedModelOptions& options,
                              kernels::ThreadPool& pool);

}  // namespace peft

#endif  // PEFT_CC_MODELS_MERGED_MODEL_H_
