// What ParseSafetensors accepts has all its bytes, and can be read through.
#include <cstdint>

#include "peft_cc/tensors/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
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
