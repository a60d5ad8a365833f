// Uninitialised floats that grow and never shrink. They start at a cache line:
// kernels that stream a weight read them faster there.
#ifndef PEFT_CC_MODELS_FLOAT_BUFFER_H_
#define PEFT_CC_MODELS_FLOAT_BUFFER_H_

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/error.h"

namespace peft {

// The product of non-negative factors, or -1 when it does not fit.
inline int64_t CheckedProduct(std::initializer_list<int64_t> factors) {
  int64_t product = 1;
  for (const int64_t factor : factors) {
    if (factor < 0 || __builtin_mul_overflow(product, factor, &product)) {
      return -1;
    }
  }
  return product;
}

// RESOURCE_EXHAUSTED (OUT_OF_MEMORY) for `purpose`.
inline absl::Status OutOfMemory(absl::string_view purpose) {
  return MakeError(absl::StatusCode::kResourceExhausted, error_id::kOutOfMemory,
                   absl::StrCat("not enough memory for ", purpose));
}

// Thread-compatible.
class FloatBuffer {
 public:
  // Floats of a cache line.
  static constexpr int64_t kAlign = 16;

  // Makes room for `size` floats; what was there is lost if it grows. A size
  // of -1 (see CheckedProduct) fails as one that memory does not have.
  absl::Status Reserve(int64_t size, absl::string_view purpose) {
    if (size >= 0 && size <= size_) return absl::OkStatus();
    // 64 TiB: beyond any machine, so not worth asking for.
    constexpr int64_t kMax = int64_t{1} << 44;
    std::unique_ptr<float[]> data(
        size < 0 || size > kMax ? nullptr
                                : new (std::nothrow) float[size + kAlign]);
    if (data == nullptr) return OutOfMemory(purpose);
    const auto address =
        reinterpret_cast<uintptr_t>(data.get()) / sizeof(float);
    begin_ = data.get() + (kAlign - address % kAlign) % kAlign;
    data_ = std::move(data);
    size_ = size;
    return absl::OkStatus();
  }

  // Room for size() floats, never initialised; null while size() is 0.
  float* data() { return begin_; }
  const float* data() const { return begin_; }
  int64_t size() const { return size_; }

 private:
  std::unique_ptr<float[]> data_;
  float* begin_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_FLOAT_BUFFER_H_
