#include "peft_cc/tensors/torch_storage.h"

#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {
namespace {

// Copies may need this much more than the file, and always the constant.
constexpr uint64_t kMaxCopyFactor = 64;
constexpr uint64_t kMinCopyLimit = 1u << 20;

absl::Status ViewError(const std::string& name, absl::string_view problem) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kTorchFile,
                   absl::StrCat("tensor ", Quoted(name), " ", problem), {name});
}

// Row-major and without gaps; dimensions of size 1 may have any stride.
bool IsContiguous(const TorchTensor& tensor) {
  int64_t expected = 1;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] == 1) continue;
    if (tensor.strides[i] != expected) return false;
    expected *= tensor.shape[i];
  }
  return true;
}

// The index of the last element in the storage; nullopt on overflow. All
// sizes are at least 1 here.
std::optional<int64_t> LastElement(const TorchTensor& tensor) {
  int64_t last = tensor.offset;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    int64_t reach;
    if (__builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i],
                               &reach) ||
        __builtin_add_overflow(last, reach, &last)) {
      return std::nullopt;
    }
  }
  return last;
}

// Checks that all elements lie inside a storage of `storage_size` bytes.
absl::Status CheckView(const std::string& name, const TorchTensor& tensor,
                       uint64_t storage_size) {
  const auto size = CheckedSizeBytes(tensor.dtype, tensor.shape);
  if (!size.has_value()) {
    return ViewError(name,
                     absl::StrCat("has shape ", ShapeToString(tensor.shape),
                                  ", which is negative or overflows"));
  }
  bool is_negative = tensor.offset < 0;
  for (int64_t stride : tensor.strides) is_negative |= stride < 0;
  if (is_negative) return ViewError(name, "has a negative offset or stride");
  if (*size == 0) return absl::OkStatus();
  const int64_t num_elements =
      static_cast<int64_t>(storage_size) / DTypeSize(tensor.dtype);
  const std::optional<int64_t> last = LastElement(tensor);
  if (last.has_value() && *last < num_elements) return absl::OkStatus();
  return ViewError(
      name, absl::StrCat(
                "with shape ", ShapeToString(tensor.shape), ", strides ",
                ShapeToString(tensor.strides), " and offset ", tensor.offset,
                " reaches outside its storage of ", num_elements, " elements"));
}

struct Dimension {
  int64_t size;
  int64_t stride;
};

// Those with more than one element, which are all that a copy has to walk.
std::vector<Dimension> RealDimensions(const TorchTensor& tensor) {
  std::vector<Dimension> dims;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    if (tensor.shape[i] == 1) continue;
    dims.push_back({tensor.shape[i], tensor.strides[i]});
  }
  return dims;
}

// Copies the first of `dims` and those inside it; returns the end of what was
// written. The recursion is as deep as the rank, at most 64.
template <size_t kSize>
uint8_t* CopyStrided(absl::Span<const Dimension> dims, const uint8_t* src,
                     uint8_t* dst) {
  const int64_t count = dims[0].size;
  const int64_t step = dims[0].stride * static_cast<int64_t>(kSize);
  if (dims.size() > 1) {
    for (int64_t i = 0; i < count; ++i) {
      dst = CopyStrided<kSize>(dims.subspan(1), src + i * step, dst);
    }
    return dst;
  }
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(dst + i * kSize, src + i * step, kSize);
  }
  return dst + count * kSize;
}

// For tensors that are not contiguous: those have a dimension to walk.
void CopyElements(const TorchTensor& tensor, const uint8_t* src, uint8_t* dst) {
  const std::vector<Dimension> dims = RealDimensions(tensor);
  switch (DTypeSize(tensor.dtype)) {
    case 1:
      CopyStrided<1>(dims, src, dst);
      break;
    case 2:
      CopyStrided<2>(dims, src, dst);
      break;
    case 4:
      CopyStrided<4>(dims, src, dst);
      break;
    default:
      CopyStrided<8>(dims, src, dst);
  }
}

class TensorMaker {
 public:
  explicit TensorMaker(const Bytes& file)
      : file_(file),
        copy_limit_(file.data.size() * kMaxCopyFactor + kMinCopyLimit) {}

  absl::StatusOr<Tensor> Make(const std::string& name,
                              const TorchTensor& tensor,
                              absl::Span<const uint8_t> storage) {
    PEFT_RETURN_IF_ERROR(CheckView(name, tensor, storage.size()));
    const int64_t size = *CheckedSizeBytes(tensor.dtype, tensor.shape);
    if (size == 0) {
      return Tensor(tensor.dtype, tensor.shape, file_.data.data(), file_.owner);
    }
    const uint8_t* start =
        storage.data() + tensor.offset * DTypeSize(tensor.dtype);
    if (IsContiguous(tensor)) {
      return Tensor(tensor.dtype, tensor.shape, start, file_.owner);
    }
    if (static_cast<uint64_t>(size) > copy_limit_ - copied_) {
      return MakeError(
          absl::StatusCode::kResourceExhausted, error_id::kTorchFile,
          absl::StrCat("tensor ", Quoted(name), " of shape ",
                       ShapeToString(tensor.shape),
                       " repeats elements: copies may have at most ",
                       copy_limit_, " bytes for a file of this size"),
          {name});
    }
    copied_ += static_cast<uint64_t>(size);
    void* data;
    PEFT_ASSIGN_OR_RETURN(Tensor copy,
                          Tensor::Allocate(tensor.dtype, tensor.shape, &data));
    CopyElements(tensor, start, static_cast<uint8_t*>(data));
    return copy;
  }

 private:
  const Bytes& file_;
  const uint64_t copy_limit_;
  uint64_t copied_ = 0;
};

}  // namespace

absl::StatusOr<TensorMap> MakeTensors(
    const TorchStateDict& dict,
    absl::Span<const absl::Span<const uint8_t>> storages, const Bytes& file) {
  TensorMap tensors;
  TensorMaker maker(file);
  for (const auto& [name, view] : dict.tensors) {
    PEFT_ASSIGN_OR_RETURN(Tensor tensor,
                          maker.Make(name, view, storages[view.storage]));
    tensors.emplace(name, std::move(tensor));
  }
  return tensors;
}

}  // namespace peft
