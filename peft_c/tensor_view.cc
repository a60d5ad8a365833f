// Copies what a program's tensor view describes.

#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "peft_c/arguments.h"
#include "peft_c/struct_size.h"
#include "peft_c/tensor.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// More than any tensor has; what is larger is memory nobody initialised.
constexpr int32_t kMaxRank = 16;

// A view as checked: strides are there, in elements.
struct Strided {
  DType dtype = DType::kUnspecified;
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
  const uint8_t* data = nullptr;
};

absl::Status Bad(absl::string_view argument, absl::string_view field,
                 absl::string_view problem) {
  return BadArgument(absl::StrCat(argument, ".", field), problem);
}

absl::Status CheckDType(absl::string_view argument, int32_t dtype) {
  if (dtype > 0 && DTypeBits(static_cast<DType>(dtype)) > 0) {
    return absl::OkStatus();
  }
  return Bad(argument, "dtype",
             absl::StrCat("is ", dtype, ", expected a PEFT_DTYPE_..."));
}

// Where a view's memory has to be.
struct Place {
  int32_t device_type = PEFT_DEVICE_CPU;
  int32_t device_index = 0;
};

absl::Status CheckPlace(absl::string_view argument, const Place& place,
                        const peft_tensor_view_t& view) {
  if (view.device_type == place.device_type &&
      view.device_index == place.device_index) {
    return absl::OkStatus();
  }
  const absl::string_view name = place.device_type == PEFT_DEVICE_CPU
                                     ? "PEFT_DEVICE_CPU"
                                     : "PEFT_DEVICE_CUDA";
  return Bad(
      argument, "device_type",
      absl::StrCat("is ", view.device_type, " with index ", view.device_index,
                   ", expected ", name, " with index ", place.device_index));
}

absl::Status CheckFields(absl::string_view argument,
                         const peft_tensor_view_t& view,
                         const Place& place = {}) {
  PEFT_RETURN_IF_ERROR(CheckDType(argument, view.dtype));
  PEFT_RETURN_IF_ERROR(CheckPlace(argument, place, view));
  if (view.rank < 0 || view.rank > kMaxRank) {
    return Bad(argument, "rank",
               absl::StrCat("is ", view.rank, ", expected 0 to ", kMaxRank));
  }
  if (view.rank > 0 && view.sizes == nullptr) {
    return Bad(argument, "sizes", "is NULL");
  }
  return absl::OkStatus();
}

absl::Status CheckSizes(absl::string_view argument, DType dtype,
                        absl::Span<const int64_t> sizes) {
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] >= 0) continue;
    return Bad(argument, absl::StrCat("sizes[", i, "]"),
               absl::StrCat("is ", sizes[i], ", expected 0 or more"));
  }
  if (CheckedSizeBytes(dtype, sizes)) return absl::OkStatus();
  return Bad(argument, "sizes",
             absl::StrCat(ShapeToString(sizes),
                          " is too large, or ends within a byte"));
}

// Checks that no element's offset leaves the address space.
absl::Status CheckStrides(absl::string_view argument, const Strided& view) {
  constexpr int64_t kMax = std::numeric_limits<ptrdiff_t>::max() / 8;
  int64_t reach = 0;
  for (size_t i = 0; i < view.sizes.size(); ++i) {
    const int64_t steps = view.sizes[i] - 1;
    const int64_t stride = view.strides[i];
    if (steps <= 0 || stride == 0) continue;
    const bool huge = stride < -kMax || stride > kMax;
    const int64_t step = huge ? kMax : stride < 0 ? -stride : stride;
    if (huge || step > (kMax - reach) / steps) {
      return Bad(argument, absl::StrCat("strides[", i, "]"),
                 absl::StrCat("is ", stride, ", too large"));
    }
    reach += step * steps;
  }
  return absl::OkStatus();
}

void CopyElements(const Strided& view, size_t axis, const uint8_t* from,
                  int element_size, uint8_t** to) {
  if (axis == view.sizes.size()) {
    std::memcpy(*to, from, element_size);
    *to += element_size;
    return;
  }
  // An axis of one element has no next one, whatever its stride says.
  const int64_t step =
      view.sizes[axis] > 1 ? view.strides[axis] * element_size : 0;
  for (int64_t i = 0; i < view.sizes[axis]; ++i) {
    CopyElements(view, axis + 1, from + i * step, element_size, to);
  }
}

absl::StatusOr<Tensor> CopyContiguous(const Strided& view) {
  void* data = nullptr;
  PEFT_ASSIGN_OR_RETURN(Tensor tensor,
                        Tensor::Allocate(view.dtype, view.sizes, &data));
  if (tensor.num_elements() > 0) {
    std::memcpy(data, view.data, tensor.size_bytes());
  }
  return tensor;
}

absl::StatusOr<Tensor> CopyStrided(absl::string_view argument,
                                   const Strided& view) {
  const int element_size = DTypeSize(view.dtype);
  if (element_size == 0) {
    return Bad(argument, "strides",
               absl::StrCat("must be NULL for elements of type ",
                            DTypeName(view.dtype), ", which are packed"));
  }
  PEFT_RETURN_IF_ERROR(CheckStrides(argument, view));
  void* data = nullptr;
  PEFT_ASSIGN_OR_RETURN(Tensor tensor,
                        Tensor::Allocate(view.dtype, view.sizes, &data));
  auto* to = static_cast<uint8_t*>(data);
  if (tensor.num_elements() > 0) {
    CopyElements(view, 0, view.data, element_size, &to);
  }
  return tensor;
}

bool HasData(const Strided& view) {
  return view.data != nullptr || CheckedNumElements(view.sizes) == 0;
}

// All of a view but its data, and its strides, which are checked where they are
// needed.
absl::StatusOr<Strided> CheckedShape(absl::string_view argument,
                                     const peft_tensor_view_t* view) {
  peft_tensor_view_t known = PEFT_TENSOR_VIEW_INIT;
  PEFT_RETURN_IF_ERROR(ReadStruct(argument, view, &known));
  PEFT_RETURN_IF_ERROR(CheckFields(argument, known));
  Strided strided;
  strided.dtype = static_cast<DType>(known.dtype);
  strided.data = static_cast<const uint8_t*>(known.data);
  strided.sizes.assign(known.sizes, known.sizes + known.rank);
  PEFT_RETURN_IF_ERROR(CheckSizes(argument, strided.dtype, strided.sizes));
  if (known.strides != nullptr) {
    strided.strides.assign(known.strides, known.strides + known.rank);
  }
  return strided;
}

absl::StatusOr<Strided> CheckedView(absl::string_view argument,
                                    const peft_tensor_view_t* view) {
  PEFT_ASSIGN_OR_RETURN(Strided strided, CheckedShape(argument, view));
  if (!HasData(strided)) return Bad(argument, "data", "is NULL");
  return strided;
}

// True where the last axis is the fastest and nothing lies between.
bool IsContiguous(const Strided& view) {
  int64_t step = 1;
  for (size_t i = view.strides.size(); i-- > 0;) {
    if (view.sizes[i] != 1 && view.strides[i] != step) return false;
    step *= view.sizes[i];
  }
  return true;
}

absl::StatusOr<ArrayView> ReadArray(absl::string_view argument,
                                    const peft_tensor_view_t* view,
                                    const Place& place) {
  peft_tensor_view_t known = PEFT_TENSOR_VIEW_INIT;
  PEFT_RETURN_IF_ERROR(ReadStruct(argument, view, &known));
  PEFT_RETURN_IF_ERROR(CheckFields(argument, known, place));
  ArrayView array;
  array.dtype = static_cast<DType>(known.dtype);
  array.data = known.data;
  array.sizes = absl::MakeConstSpan(known.sizes, known.rank);
  PEFT_RETURN_IF_ERROR(CheckSizes(argument, array.dtype, array.sizes));
  if (known.data == nullptr && CheckedNumElements(array.sizes) != 0) {
    return Bad(argument, "data", "is NULL");
  }
  if (known.strides != nullptr) {
    array.strides = absl::MakeConstSpan(known.strides, known.rank);
  }
  return array;
}

}  // namespace

absl::StatusOr<ViewShape> ReadViewShape(absl::string_view argument,
                                        const peft_tensor_view_t* view) {
  PEFT_ASSIGN_OR_RETURN(Strided strided, CheckedShape(argument, view));
  const bool has_data = HasData(strided);
  return ViewShape{strided.dtype, std::move(strided.sizes), has_data};
}

absl::StatusOr<Tensor> CopyTensorView(absl::string_view argument,
                                      const peft_tensor_view_t* view) {
  PEFT_ASSIGN_OR_RETURN(const Strided strided, CheckedView(argument, view));
  return strided.strides.empty() ? CopyContiguous(strided)
                                 : CopyStrided(argument, strided);
}

absl::StatusOr<Tensor> BorrowTensorView(absl::string_view argument,
                                        const peft_tensor_view_t* view) {
  PEFT_ASSIGN_OR_RETURN(const Strided strided, CheckedView(argument, view));
  if (!IsContiguous(strided)) {
    return Bad(
        argument, "strides",
        "must be those of contiguous elements where they are not copied");
  }
  return Tensor(strided.dtype, strided.sizes, strided.data, nullptr);
}

absl::StatusOr<Tensor> BorrowStridedView(absl::string_view argument,
                                         const peft_tensor_view_t* view,
                                         std::vector<int64_t>& out_strides) {
  PEFT_ASSIGN_OR_RETURN(Strided strided, CheckedView(argument, view));
  if (!IsContiguous(strided)) {
    PEFT_RETURN_IF_ERROR(CheckStrides(argument, strided));
    out_strides = std::move(strided.strides);
  }
  return Tensor(strided.dtype, strided.sizes, strided.data, nullptr);
}

absl::StatusOr<ArrayView> ReadArrayView(absl::string_view argument,
                                        const peft_tensor_view_t* view) {
  return ReadArray(argument, view, {});
}

absl::StatusOr<ArrayView> ReadCudaArrayView(absl::string_view argument,
                                            const peft_tensor_view_t* view,
                                            int device_index) {
  return ReadArray(argument, view, {PEFT_DEVICE_CUDA, device_index});
}

}  // namespace peft
