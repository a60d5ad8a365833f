// The JSON header of a safetensors file, read without building a document.
#ifndef PEFT_CC_TENSORS_SAFETENSORS_HEADER_H_
#define PEFT_CC_TENSORS_SAFETENSORS_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/dtype.h"

namespace peft {

// The reference reader's limit for the header, in bytes.
inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;

// More dimensions than any framework supports; further ones are refused.
inline constexpr size_t kMaxSafetensorsRank = 64;

// The key that tensors cannot have.
inline constexpr char kSafetensorsMetadataKey[] = "__metadata__";

// A tensor as the header describes it.
struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::kUnspecified;
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // offsets into the data behind the header
  uint64_t end = 0;
};

// The header of a file, checked for form alone.
struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of the header
  std::map<std::string, std::string> metadata;
};

// Parses a header. Each entry has its three fields, of the right types, and
// nothing else; names are unique, not empty and without NUL. How offsets fit
// to shapes and to the file is left to the caller. Fails with INVALID_ARGUMENT
// (SAFETENSORS); `what` names the file.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(
    absl::string_view json, absl::string_view what);

}  // namespace peft

#endif  // PEFT_CC_TENSORS_SAFETENSORS_HEADER_H_
