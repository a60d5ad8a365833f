// The numbers of a form that is a vector.
#ifndef PEFT_CC_METHODS_FLOATS_H_
#define PEFT_CC_METHODS_FLOATS_H_

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// f32 values with shared ownership: those of a tensor where they lie, if they
// are f32, and else a copy. Copying it copies no elements. Immutable, so
// thread-safe.
class Floats {
 public:
  Floats() = default;
  // Converts from what holds such numbers.
  Floats(std::vector<float> values);  // NOLINT(google-explicit-constructor)
  Floats(std::initializer_list<float> values)
      : Floats(std::vector<float>(values)) {}

  // The elements of `tensor`, in row-major order; none for dtypes without a
  // conversion.
  static Floats Of(const Tensor& tensor);

  const float* data() const { return values_.data(); }
  size_t size() const { return values_.size(); }
  bool empty() const { return values_.empty(); }
  float operator[](size_t i) const { return values_[i]; }
  const float* begin() const { return values_.data(); }
  const float* end() const { return values_.data() + values_.size(); }

  friend bool operator==(const Floats& a, const Floats& b) {
    return a.values_ == b.values_;
  }

 private:
  absl::Span<const float> values_;
  std::shared_ptr<const void> owner_;
};

}  // namespace peft

#endif  // PEFT_CC_METHODS_FLOATS_H_
