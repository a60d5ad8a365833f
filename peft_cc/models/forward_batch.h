// One forward, and the part of it that runs at once.
#ifndef PEFT_CC_MODELS_FORWARD_BATCH_H_
#define PEFT_CC_MODELS_FORWARD_BATCH_H_

#include <cstdint>

#include "peft_cc/adapters/batch_plan.h"

namespace peft {

// One forward: what ForwardInput says, checked.
struct ForwardBatch {
  const int64_t* ids = nullptr;
  const int64_t* attention_mask = nullptr;  // null: no padding
  const int64_t* position_ids = nullptr;    // null: counted on from the cache
  int64_t batch = 0;
  int64_t length = 0;
  const int64_t* token_type_ids = nullptr;  // null: none, or all 0
  int64_t keep = 0;  // positions of each row that the head runs for: the last
  // Which position that is, where keep is 1 and it is another; else null.
  const int64_t* keep_at = nullptr;
  uint32_t outputs = 0;              // ForwardOutput bits, at least one
  bool has_padding = false;          // a 0 in attention_mask
  const BatchPlan* plans = nullptr;  // what each row runs
  // Gates look for their tokens among the first so many of each row, those in
  // the cache included; 0: all.
  int64_t gate_tokens = 0;
};

// Positions [first, first + length) of the batch rows [first_row, first_row +
// rows), counted in the order of the plans.
struct ForwardChunk {
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t first = 0;
  int64_t length = 0;

  int64_t tokens() const { return rows * length; }
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_FORWARD_BATCH_H_
