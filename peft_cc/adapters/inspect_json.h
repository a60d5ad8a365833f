// A summary of an adapter as JSON: what `peft inspect --json` prints.
#ifndef PEFT_CC_ADAPTERS_INSPECT_JSON_H_
#define PEFT_CC_ADAPTERS_INSPECT_JSON_H_

#include "peft_cc/adapters/inspect.h"
#include "peft_cc/base/json.h"

namespace peft {

// An object with: folder, peft_type, task_type, peft_version,
// base_model_name_or_path, runnable, reason_id and reason (null when
// runnable), rank and lora_alpha (null for other methods), target_modules (as
// in the config), ranks ([{rank, num_modules}], from the tensors), modules
// ([{name, rank, num_parameters}]), num_tensors, num_parameters, size_bytes,
// dtypes ({"F32": 4}), ignored_keys, notes. With `fit` also model: {matched,
// unmatched, loads, reason_id, reason}.
Json SummaryToJson(const AdapterSummary& summary,
                   const AdapterFit* fit = nullptr);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_INSPECT_JSON_H_
