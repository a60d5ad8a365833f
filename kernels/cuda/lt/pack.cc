#include "kernels/cuda/lt/pack.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/round_up.h"

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

// One row of a matrix, converted, with a factor for each column unless
// `factors` is null.
void PackRow(const MatrixView& from, int64_t row, const float* factors,
             DType dtype, std::vector<float>* scratch, void* to) {
  const auto* const data = static_cast<const char*>(from.data) +
                           row * from.stride * DTypeSize(from.dtype);
  if (factors == nullptr && from.dtype == dtype) {
    std::memcpy(to, data, from.cols * DTypeSize(dtype));
    return;
  }
  scratch->resize(from.cols);
  ConvertToF32(from.dtype, data, from.cols, scratch->data());
  for (int64_t i = 0; factors != nullptr && i < from.cols; ++i) {
    (*scratch)[i] *= factors[i];
  }
  ConvertFromF32(scratch->data(), from.cols, dtype, to);
}

std::vector<float> ScalesOf(const LowRankSegment& segment) {
  std::vector<float> scales(segment.a.rows, segment.scale);
  const auto* const factors =
      static_cast<const float*>(segment.rank_scale.data);
  for (size_t i = 0; factors != nullptr && i < scales.size(); ++i) {
    scales[i] *= factors[i];
  }
  return scales;
}

// Writes a segment to the slot's ranks from `first` on.
void PackSegment(const FactorSlot& slot, const LowRankSegment& segment,
                 int64_t first, char* a, char* b, float* scales) {
  const int64_t size = DTypeSize(slot.dtype);
  const int64_t total = slot.total_rank();
  const std::vector<float> own = ScalesOf(segment);
  std::vector<float> scratch;
  for (int64_t row = 0; row < segment.a.rows; ++row) {
    PackRow(segment.a, row, nullptr, slot.dtype, &scratch,
            a + (first + row) * slot.in * size);
  }
  for (int64_t row = 0; row < slot.out; ++row) {
    PackRow(segment.b, row, slot.fold_scales ? own.data() : nullptr, slot.dtype,
            &scratch, b + (row * total + first) * size);
  }
  if (!slot.fold_scales) std::copy(own.begin(), own.end(), scales + first);
}

}  // namespace

int64_t PaddedRank(int64_t rank, DType dtype) {
  return RoundUp(rank, kRowBytes / DTypeSize(dtype));
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
  std::fill_n(scales, slot.total_rank(), slot.fold_scales ? 1.0f : 0.0f);
  int64_t first = 0;
  for (size_t i = 0; i < segments.size(); ++i) {
    PackSegment(slot, segments[i], first, static_cast<char*>(a),
                static_cast<char*>(b), scales);
    first += slot.ranks[i];
  }
  return absl::OkStatus();
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
