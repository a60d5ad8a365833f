// What ParseSafetensors accepts has all its bytes, and can be read through; a
// header that the fast reader accepts means what a JSON reader makes of it.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "peft_cc/tensors/byte_reader.h"
#include "peft_cc/tensors/safetensors.h"
#include "peft_cc/tensors/safetensors_canonical.h"

namespace {

bool AreEqual(const peft::SafetensorsHeader& a,
              const peft::SafetensorsHeader& b) {
  if (a.metadata != b.metadata || a.entries.size() != b.entries.size()) {
    return false;
  }
  for (size_t i = 0; i < a.entries.size(); ++i) {
    const peft::SafetensorsEntry& left = a.entries[i];
    const peft::SafetensorsEntry& right = b.entries[i];
    if (left.name != right.name || left.dtype != right.dtype ||
        left.shape != right.shape || left.begin != right.begin ||
        left.end != right.end) {
      return false;
    }
  }
  return true;
}

// Compares the two readers on the header of a file.
void CheckHeader(absl::Span<const uint8_t> file) {
  peft::ByteReader reader(file);
  uint64_t size;
  if (!reader.Read(&size) || size > file.size() - 8) return;
  const absl::string_view json(reinterpret_cast<const char*>(file.data()) + 8,
                               size);
  const auto fast = peft::ReadCanonicalHeader(json);
  if (!fast.has_value()) return;
  // The blank keeps the fast reader away from it.
  const auto slow =
      peft::ParseSafetensorsHeader(absl::StrCat("{ ", json.substr(1)), "fuzz");
  if (!slow.ok() || !AreEqual(*fast, *slow)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  CheckHeader({data, size});
  const auto file = peft::ParseSafetensors({{data, size}, nullptr}, "fuzz");
  if (!file.ok()) return 0;
  volatile uint8_t sum = 0;
  for (const auto& [name, tensor] : file->tensors) {
    const uint8_t* bytes = static_cast<const uint8_t*>(tensor.data());
    for (int64_t i = 0; i < tensor.size_bytes(); ++i) sum = sum + bytes[i];
    tensor.ToF32();
  }
  return 0;
}
