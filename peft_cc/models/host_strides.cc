#include "peft_cc/models/host_strides.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/dtype.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

absl::Status WrongStrides(const std::string& name,
                          absl::Span<const int64_t> strides,
                          absl::string_view problem,
                          absl::string_view expected) {
  return ArgumentError(
      absl::StrCat("layer ", Quoted(name), ": the weight's strides ",
                   ShapeToString(strides), " ", problem, ", expected ",
                   expected, "; with copy_weights 1 any are taken"),
      {name, std::string(expected), ShapeToString(strides)});
}

std::vector<int64_t> ShapeOf(const Tensor& tensor) {
  return {tensor.shape().begin(), tensor.shape().end()};
}

absl::Status CheckPositive(const std::string& name, const Tensor& weight,
                           absl::Span<const int64_t> strides) {
  for (int axis = 0; axis < weight.rank(); ++axis) {
    if (weight.dim(axis) <= 1 || strides[axis] > 0) continue;
    return WrongStrides(name, strides,
                        absl::StrCat(strides[axis] == 0 ? "repeat" : "reverse",
                                     " the elements of axis ", axis),
                        "strides of 1 or more");
  }
  return absl::OkStatus();
}

// True where the axes behind the first follow each other without gaps.
bool HasRows(const Tensor& weight, absl::Span<const int64_t> strides) {
  int64_t step = 1;
  for (int axis = weight.rank() - 1; axis > 0; --axis) {
    if (weight.dim(axis) > 1 && strides[axis] != step) return false;
    step *= weight.dim(axis);
  }
  return true;
}

// `length` elements without gaps are one of `count` lines; the strides say how
// far these lie apart.
struct Apart {
  int64_t count;
  int64_t length;
  int64_t stride;

  bool overlap() const { return count > 1 && stride < length; }
  // That of a single line does not matter.
  int64_t step() const { return count > 1 ? stride : length; }
};

// Bytes of one tensor of a site: `count` lines of `length`, `step` apart.
struct Lines {
  const Site* site;
  uintptr_t begin;
  uintptr_t count;
  uintptr_t length;
  uintptr_t step;

  uintptr_t end() const { return begin + (count - 1) * step + length; }
};

// `a` begins first.
bool ShareMemory(const Lines& a, const Lines& b) {
  if (b.begin >= a.end()) return false;
  if (a.step != b.step) return true;
  // The place between lines of `a` in which those of `b` would lie.
  const uintptr_t place = (b.begin - a.begin) % a.step;
  return place < a.length || place + b.length > a.step;
}

void AddLines(const Site& site, const Tensor& tensor,
              std::vector<Lines>& lines) {
  if (tensor.size_bytes() == 0) return;
  const auto size = static_cast<uintptr_t>(DTypeSize(tensor.dtype()));
  lines.push_back({&site, reinterpret_cast<uintptr_t>(tensor.data()),
                   static_cast<uintptr_t>(tensor.num_lines()),
                   static_cast<uintptr_t>(tensor.line_length()) * size,
                   static_cast<uintptr_t>(tensor.line_stride()) * size});
}

}  // namespace

absl::StatusOr<Tensor> WithStrides(const std::string& name,
                                   const Tensor& weight,
                                   absl::Span<const int64_t> strides,
                                   bool takes_columns) {
  PEFT_RETURN_IF_ERROR(CheckPositive(name, weight, strides));
  if (weight.rank() == 1) {
    if (weight.dim(0) == 1 || strides[0] == 1) return weight;
    return WrongStrides(name, strides, "leave gaps", "a vector without");
  }
  const bool has_columns =
      takes_columns && (weight.dim(0) == 1 || strides[0] == 1);
  const bool has_rows = HasRows(weight, strides);
  if (!has_rows && !has_columns) {
    return WrongStrides(name, strides, "leave gaps",
                        takes_columns ? "rows or columns without gaps in them"
                                      : "rows without gaps in them");
  }
  const Apart rows = {weight.dim(0), weight.num_elements() / weight.dim(0),
                      strides[0]};
  if (has_rows && !rows.overlap()) {
    return Tensor::InLines(weight.dtype(), ShapeOf(weight), weight.data(),
                           weight.owner(), Tensor::Lines::kRows, rows.step());
  }
  const Apart columns = {weight.dim(weight.rank() - 1), weight.dim(0),
                         strides[weight.rank() - 1]};
  if (!has_columns || columns.overlap()) {
    return WrongStrides(
        name, strides, "make elements overlap",
        absl::StrCat("lines at least ", has_rows ? rows.length : columns.length,
                     " apart"));
  }
  return Tensor::InLines(weight.dtype(), ShapeOf(weight), weight.data(),
                         weight.owner(), Tensor::Lines::kColumns,
                         columns.step());
}

absl::Status CheckWritable(absl::Span<const Site> sites) {
  std::vector<Lines> lines;
  for (const Site& site : sites) {
    AddLines(site, site.weight, lines);
    AddLines(site, site.bias, lines);
  }
  std::sort(lines.begin(), lines.end(),
            [](const Lines& a, const Lines& b) { return a.begin < b.begin; });
  std::vector<Lines> open;  // those before that have not ended
  for (const Lines& next : lines) {
    open.erase(
        std::remove_if(open.begin(), open.end(),
                       [&](const Lines& l) { return l.end() <= next.begin; }),
        open.end());
    for (const Lines& other : open) {
      const bool is_written = next.site->is_writable || other.site->is_writable;
      if (!is_written || !ShareMemory(other, next)) continue;
      return ArgumentError(
          absl::StrCat("layer ", Quoted(next.site->name),
                       ": shares memory with ", Quoted(other.site->name),
                       ", and writable_weights must not"),
          {next.site->name, "", ""});
    }
    open.push_back(next);
  }
  return absl::OkStatus();
}

}  // namespace peft
