// Recognises files that are often found where weights were expected.
#ifndef PEFT_CC_TENSORS_FILE_KIND_H_
#define PEFT_CC_TENSORS_FILE_KIND_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace peft {

// What a file that cannot be read seems to be, and what to do, as the end of
// an error message: "; it is a Git LFS pointer ...". Empty for the unknown.
absl::string_view DescribeForeignFile(absl::Span<const uint8_t> file);

// True for a zip archive, which torch.save writes since 1.6.
bool IsZip(absl::Span<const uint8_t> file);

}  // namespace peft

#endif  // PEFT_CC_TENSORS_FILE_KIND_H_
