// What ParseTorchFile accepts has all its bytes, and can be read through.
#include <cstdint>

#include "peft_cc/tensors/torch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto tensors = peft::ParseTorchFile({{data, size}, nullptr}, "fuzz");
  if (!tensors.ok()) return 0;
  volatile uint8_t sum = 0;
  for (const auto& [name, tensor] : *tensors) {
    const uint8_t* bytes = static_cast<const uint8_t*>(tensor.data());
    for (int64_t i = 0; i < tensor.size_bytes(); ++i) sum = sum + bytes[i];
    tensor.ToF32();
  }
  return 0;
}
