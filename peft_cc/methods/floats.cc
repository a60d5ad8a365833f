#include "peft_cc/methods/floats.h"

#include <cstdint>
#include <utility>

namespace peft {
namespace {

bool IsAlignedForFloats(const void* data) {
  return reinterpret_cast<uintptr_t>(data) % alignof(float) == 0;
}

}  // namespace

Floats::Floats(std::vector<float> values) {
  const auto owner =
      std::make_shared<const std::vector<float>>(std::move(values));
  values_ = *owner;
  owner_ = owner;
}

Floats Floats::Of(const Tensor& tensor) {
  if (tensor.dtype() != DType::kF32 || !IsAlignedForFloats(tensor.data())) {
    return Floats(tensor.ToF32());
  }
  Floats floats;
  floats.values_ = absl::MakeConstSpan(static_cast<const float*>(tensor.data()),
                                       tensor.num_elements());
  floats.owner_ = tensor.owner();
  return floats;
}

}  // namespace peft
