// Bounded reading of little-endian numbers and bytes.
#ifndef PEFT_CC_TENSORS_BYTE_READER_H_
#define PEFT_CC_TENSORS_BYTE_READER_H_

#include <cstdint>
#include <type_traits>

#include "absl/types/span.h"

namespace peft {

// A position in bytes that something else owns. Functions that return false
// have changed nothing. Thread-compatible.
class ByteReader {
 public:
  explicit ByteReader(absl::Span<const uint8_t> data, uint64_t position = 0)
      : data_(data),
        position_(position < data.size() ? position : data.size()) {}

  // Bytes before and behind the position.
  uint64_t position() const { return position_; }
  uint64_t remaining() const { return data_.size() - position_; }

  // Reads `size` bytes, as a view; false when fewer remain.
  bool ReadBytes(uint64_t size, absl::Span<const uint8_t>* out) {
    if (size > remaining()) return false;
    *out = data_.subspan(position_, size);
    position_ += size;
    return true;
  }

  // Reads a little-endian integer; false when too few bytes remain.
  template <typename T>
  bool Read(T* out) {
    static_assert(std::is_integral<T>::value, "numbers only");
    absl::Span<const uint8_t> bytes;
    if (!ReadBytes(sizeof(T), &bytes)) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) {
      value |= static_cast<uint64_t>(bytes[i]) << (8 * i);
    }
    *out = static_cast<T>(value);
    return true;
  }

  // Reads several numbers in a row.
  template <typename T, typename... Others>
  bool Read(T* first, Others*... others) {
    const uint64_t start = position_;
    if (Read(first) && Read(others...)) return true;
    position_ = start;
    return false;
  }

 private:
  absl::Span<const uint8_t> data_;
  uint64_t position_;
};

}  // namespace peft

#endif  // PEFT_CC_TENSORS_BYTE_READER_H_
