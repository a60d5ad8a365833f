#include "kernels/cuda/lt/pack.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr int64_t kRowBytes = 16;

absl::Status CheckSegment(const FactorSlot& slot, int64_t place,
                          const LowRankSegment& segment) {
  const int64_t rank = segment.a.rows;
  if (segment.a.cols != slot.in || segment.b.rows != slot.out ||
      segment.b.cols != rank || rank > place) {
    return ArgumentError(absl::StrFormat(
        "factors [%d, %d] and [%d, %d] do not fit a slot of rank %d from %d to "
        "%d",
        rank, segment.a.cols, segment.b.rows, segment.b.cols, place, slot.in,
        slot.out));
  }
  if (segment.gate >= 0) {
    return MakeError(absl::StatusCode::kUnimplemented, error_id::kUnimplemented,
                     "cuBLASLt has no gates: own kernels compute this term");
  }
  for (DType dtype : {segment.a.dtype, segment.b.dtype}) {
    if (IsComputeDType(dtype)) continue;
    return MakeError(absl::StatusCode::kUnimplemented, error_id::kUnimplemented,
                     absl::StrCat("a factor is ", DTypeName(dtype),
                                  ", expected F32, F16 or BF16"));
  }
  return absl::OkStatus();
}

// One row of a matrix, converted.
void PackRow(const MatrixView& from, int64_t row, DType dtype,
             std::vector<float>* scratch, void* to) {
  const auto* const data = static_cast<const char*>(from.data) +
                           row * from.stride * DTypeSize(from.dtype);
  if (from.dtype == dtype) {
    std::memcpy(to, data, from.cols * DTypeSize(dtype));
    return;
  }
  scratch->resize(from.cols);
  ConvertToF32(from.dtype, data, from.cols, scratch->data());
  ConvertFromF32(scratch->data(), from.cols, dtype, to);
}

}  // namespace

int64_t PaddedRank(int64_t rank, DType dtype) {
  const int64_t multiple = kRowBytes / DTypeSize(dtype);
  return (rank + multiple - 1) / multiple * multiple;
}

int64_t FactorSlot::total_rank() const {
  int64_t total = 0;
  for (int64_t rank : ranks) total += rank;
  return total;
}

absl::Status PackFactors(const FactorSlot& slot,
                         absl::Span<const LowRankSegment> segments, void* a,
                         void* b, float* scales) {
  if (segments.size() > slot.ranks.size()) {
    return ArgumentError(absl::StrCat(segments.size(), " adapters for ",
                                      slot.ranks.size(), " places of a slot"));
  }
  for (size_t i = 0; i < segments.size(); ++i) {
    PEFT_RETURN_IF_ERROR(CheckSegment(slot, slot.ranks[i], segments[i]));
  }
  std::memset(a, 0, slot.a_bytes());
  std::memset(b, 0, slot.b_bytes());
  std::memset(scales, 0, slot.scale_bytes());
  const int64_t size = DTypeSize(slot.dtype);
  const int64_t total = slot.total_rank();
  std::vector<float> scratch;
  int64_t first = 0;
  for (size_t i = 0; i < segments.size(); ++i) {
    const LowRankSegment& segment = segments[i];
    const auto* const factors =
        static_cast<const float*>(segment.rank_scale.data);
    for (int64_t row = 0; row < segment.a.rows; ++row) {
      PackRow(segment.a, row, slot.dtype, &scratch,
              static_cast<char*>(a) + (first + row) * slot.in * size);
      scales[first + row] =
          segment.scale * (factors == nullptr ? 1.0f : factors[row]);
    }
    for (int64_t row = 0; row < slot.out; ++row) {
      PackRow(segment.b, row, slot.dtype, &scratch,
              static_cast<char*>(b) + (row * total + first) * size);
    }
    first += slot.ranks[i];
  }
  return absl::OkStatus();
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
