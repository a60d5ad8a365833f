// Decoding a batch whose rows have an adapter each.
#ifndef BENCHMARKS_BATCH_DECODE_H_
#define BENCHMARKS_BATCH_DECODE_H_

#include <cstdint>

#include "benchmarks/llama_folders.h"

namespace peft {

// Prints, for one and two threads, how long a step of `batch` rows takes with
// one adapter for all and with one for each, and the latter beside the former
// and the time in which the machine reads the other adapters; all measured in
// turns in one run.
void MeasureBatch(BaseKind kind, int64_t batch, int rounds);

}  // namespace peft

#endif  // BENCHMARKS_BATCH_DECODE_H_
