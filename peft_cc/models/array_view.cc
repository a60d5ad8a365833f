#include "peft_cc/models/array_view.h"

#include <limits>

namespace peft {
namespace {

// Axes [first, last) as one, `stride` apart.
struct Axis {
  int64_t size = 1;
  int64_t stride = 1;
};

// nullopt where no single stride leads through these axes. Those of one element
// do not matter. `unit` is the stride where there is no other.
std::optional<Axis> Collapse(const ArrayView& view, int first, int last,
                             int64_t unit) {
  Axis all = {1, unit};
  for (int axis = last - 1; axis >= first; --axis) {
    const int64_t size = view.sizes[axis];
    if (size == 1) continue;
    if (all.size == 1) {
      all.stride = view.strides[axis];
    } else if (view.strides[axis] != all.stride * all.size) {
      return std::nullopt;
    }
    all.size *= size;
  }
  return all;
}

int64_t Product(absl::Span<const int64_t> sizes) {
  int64_t product = 1;
  for (const int64_t size : sizes) product *= size;
  return product;
}

}  // namespace

std::optional<ArrayRows> RowsOf(const ArrayView& view, int row_axes) {
  const int first = view.rank() - row_axes;
  ArrayRows rows;
  rows.rows = Product(view.sizes.subspan(0, first));
  rows.stride = rows.cols = Product(view.sizes.subspan(first));
  if (view.strides.empty() || rows.rows * rows.cols == 0) return rows;
  const std::optional<Axis> inner = Collapse(view, first, view.rank(), 1);
  const std::optional<Axis> outer = Collapse(view, 0, first, rows.cols);
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max() / 16;
  if (!inner.has_value() || inner->stride != 1 || !outer.has_value() ||
      outer->stride < rows.cols || outer->stride > kMax / rows.rows) {
    return std::nullopt;
  }
  rows.stride = outer->stride;
  return rows;
}

bool Overlap(const ArrayView& a, int64_t extent_a, const ArrayView& b,
             int64_t extent_b) {
  const auto begin_a = reinterpret_cast<uintptr_t>(a.data);
  const auto begin_b = reinterpret_cast<uintptr_t>(b.data);
  const uintptr_t end_a =
      begin_a + static_cast<uintptr_t>(extent_a) * DTypeSize(a.dtype);
  const uintptr_t end_b =
      begin_b + static_cast<uintptr_t>(extent_b) * DTypeSize(b.dtype);
  return begin_a < end_b && begin_b < end_a;
}

void RowsToF32(const ArrayView& view, const ArrayRows& rows, float* to) {
  const auto* from = static_cast<const char*>(view.data);
  for (int64_t row = 0; row < rows.rows; ++row) {
    ConvertToF32(view.dtype, from, rows.cols, to);
    from += rows.stride * DTypeSize(view.dtype);
    to += rows.cols;
  }
}

void RowsFromF32(const float* from, const ArrayRows& rows,
                 const ArrayView& view) {
  auto* to = static_cast<char*>(const_cast<void*>(view.data));
  for (int64_t row = 0; row < rows.rows; ++row) {
    ConvertFromF32(from, rows.cols, view.dtype, to);
    from += rows.cols;
    to += rows.stride * DTypeSize(view.dtype);
  }
}

}  // namespace peft
