// Files read into memory that is used again.
#ifndef PEFT_CC_BASE_FILE_IN_BLOCK_H_
#define PEFT_CC_BASE_FILE_IN_BLOCK_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "peft_cc/base/block_cache.h"
#include "peft_cc/base/file.h"

namespace peft {

// As ReadFile with ReadMode::kRead, into memory from `blocks`, which it goes
// back to. Of a given file into memory of its own, as ReadFile does.
absl::StatusOr<Bytes> ReadFileInBlock(const File& file, uint64_t max_size,
                                      PieceRunner run, BlockCache& blocks);

}  // namespace peft

#endif  // PEFT_CC_BASE_FILE_IN_BLOCK_H_
