// Text as bytes, for what writes, hashes or sends bytes.
#ifndef PEFT_CC_BASE_TEXT_BYTES_H_
#define PEFT_CC_BASE_TEXT_BYTES_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace peft {

// The bytes of `text`, which stays their owner.
inline absl::Span<const uint8_t> BytesOf(absl::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace peft

#endif  // PEFT_CC_BASE_TEXT_BYTES_H_
