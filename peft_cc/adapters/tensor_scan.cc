#include "peft_cc/adapters/tensor_scan.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "peft_cc/base/dtype.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// Elements compared at a time: two such buffers fit into the first cache.
constexpr int64_t kChunk = 1024;

// For the lanes of a 64-bit word: the exponent's bits, its lowest bit, and the
// sign's bit, which is clear in a masked word and so takes the carry that
// exponent + lowest gives when all bits of the exponent are set.
struct Lanes {
  uint64_t exponent;
  uint64_t lowest;
  uint64_t carry;
};

constexpr Lanes kF32Lanes = {0x7f8000007f800000, 0x0080000000800000,
                             0x8000000080000000};
constexpr Lanes kBF16Lanes = {0x7f807f807f807f80, 0x0080008000800080,
                              0x8000800080008000};
constexpr Lanes kF16Lanes = {0x7c007c007c007c00, 0x0400040004000400,
                             0x8000800080008000};

// A machine vector of words that every x86-64 and Arm has; gcc makes none of
// its own at -O2, and keeps larger ones in memory.
typedef uint64_t Words __attribute__((vector_size(16)));

Words WordsAt(const uint8_t* data) {
  Words words;
  std::memcpy(&words, data, sizeof(words));
  return words;
}

// Loading looks at every byte, so this goes at the rate of memory.
bool AnyFullExponent(const uint8_t* data, int64_t size, const Lanes& lanes) {
  constexpr int64_t kWord = sizeof(uint64_t);
  constexpr int64_t kWords = sizeof(Words);
  const Words exponent = {lanes.exponent, lanes.exponent};
  const Words lowest = {lanes.lowest, lanes.lowest};
  int64_t i = 0;
  Words even = {0, 0};
  Words odd = {0, 0};
  for (; i + 2 * kWords <= size; i += 2 * kWords) {
    even |= (WordsAt(data + i) & exponent) + lowest;
    odd |= (WordsAt(data + i + kWords) & exponent) + lowest;
  }
  even |= odd;
  uint64_t found = even[0] | even[1];
  uint64_t word = 0;
  for (; i + kWord <= size; i += kWord) {
    std::memcpy(&word, data + i, kWord);
    found |= (word & lanes.exponent) + lanes.lowest;
  }
  word = 0;
  if (i < size) std::memcpy(&word, data + i, size - i);
  found |= (word & lanes.exponent) + lanes.lowest;
  return (found & lanes.carry) != 0;
}

// Null for dtypes that are not looked at.
const Lanes* LanesOf(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return &kF32Lanes;
    case DType::kBF16:
      return &kBF16Lanes;
    case DType::kF16:
      return &kF16Lanes;
    default:
      return nullptr;
  }
}

bool EqualRange(const Tensor& a, const Tensor& b, int64_t begin,
                int64_t count) {
  float left[kChunk];
  float right[kChunk];
  if (!a.CopyF32(begin, count, left)) return false;
  if (!b.CopyF32(begin, count, right)) return false;
  return std::equal(left, left + count, right);
}

// Spares the conversion in the usual case, and makes a NaN equal itself.
bool EqualBytes(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && !a.is_quantized() && a.is_contiguous() &&
         b.is_contiguous() &&
         std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace

bool HasNonFinite(const Tensor& tensor) {
  const Lanes* const lanes = LanesOf(tensor.dtype());
  if (lanes == nullptr) return false;
  const uint8_t* data = static_cast<const uint8_t*>(tensor.data());
  const int size = DTypeSize(tensor.dtype());
  for (int64_t line = 0; line < tensor.num_lines(); ++line) {
    if (AnyFullExponent(data, tensor.line_length() * size, *lanes)) return true;
    data += tensor.line_stride() * size;
  }
  return false;
}

bool EqualValues(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return false;
  const int64_t count = a.num_elements();
  if (count == 0 || EqualBytes(a, b)) return true;
  for (int64_t begin = 0; begin < count; begin += kChunk) {
    if (!EqualRange(a, b, begin, std::min(kChunk, count - begin))) {
      return false;
    }
  }
  return true;
}

absl::StatusOr<Tensor> CopyTensor(const Tensor& tensor) {
  void* data = nullptr;
  const absl::Span<const int64_t> shape = tensor.shape();
  PEFT_ASSIGN_OR_RETURN(
      Tensor copy,
      Tensor::Allocate(tensor.dtype(), {shape.begin(), shape.end()}, &data));
  tensor.CopyTo(data);
  return copy;
}

}  // namespace peft
