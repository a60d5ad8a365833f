// Tensors as DLPack.

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_c/arguments.h"
#include "peft_c/dlpack.h"
#include "peft_c/tensor.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// What the consumer's deleter frees: the struct with all that it points to.
struct Export {
  DLManagedTensor managed = {};
  Tensor tensor;  // keeps the memory alive
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
};

void Delete(DLManagedTensor* managed) {
  if (managed != nullptr) delete static_cast<Export*>(managed->manager_ctx);
}

// False for element types that DLPack has no code for, or packs in ways that
// consumers of major version 0 do not know.
bool CodeOf(DType dtype, uint8_t* code) {
  switch (dtype) {
    case DType::kBool:
      *code = kDLBool;
      return true;
    case DType::kU8:
    case DType::kU16:
    case DType::kU32:
    case DType::kU64:
      *code = kDLUInt;
      return true;
    case DType::kI8:
    case DType::kI16:
    case DType::kI32:
    case DType::kI64:
      *code = kDLInt;
      return true;
    case DType::kF16:
    case DType::kF32:
    case DType::kF64:
      *code = kDLFloat;
      return true;
    case DType::kBF16:
      *code = kDLBfloat;
      return true;
    case DType::kC64:
      *code = kDLComplex;
      return true;
    case DType::kF8E4M3:
      *code = kDLFloat8E4M3FN;
      return true;
    case DType::kF8E4M3FNUZ:
      *code = kDLFloat8E4M3FNUZ;
      return true;
    case DType::kF8E5M2:
      *code = kDLFloat8E5M2;
      return true;
    case DType::kF8E5M2FNUZ:
      *code = kDLFloat8E5M2FNUZ;
      return true;
    case DType::kF8E8M0:
      *code = kDLFloat8E8M0FNU;
      return true;
    default:
      return false;
  }
}

absl::StatusOr<DLDataType> DataType(DType dtype) {
  DLDataType type = {0, static_cast<uint8_t>(DTypeBits(dtype)), 1};
  if (CodeOf(dtype, &type.code)) return type;
  return MakeError(
      absl::StatusCode::kUnimplemented, error_id::kTensorDType,
      absl::StrCat("DLPack has no code for elements of type ", DTypeName(dtype),
                   "; read them with peft_tensor_get_view"),
      {"tensor", "", std::string(DTypeName(dtype))});
}

// `tensor`, or a copy of it where its elements lie unaligned in their file:
// consumers take alignment for granted.
absl::StatusOr<Tensor> Aligned(const Tensor& tensor) {
  // Of a complex number the alignment is that of its parts.
  const int size = DTypeSize(tensor.dtype());
  const int alignment = tensor.dtype() == DType::kC64 ? size / 2 : size;
  const auto address = reinterpret_cast<uintptr_t>(tensor.data());
  if (address % alignment == 0) return tensor;
  void* data = nullptr;
  const absl::Span<const int64_t> shape = tensor.shape();
  PEFT_ASSIGN_OR_RETURN(
      Tensor copy,
      Tensor::Allocate(tensor.dtype(), {shape.begin(), shape.end()}, &data));
  std::memcpy(data, tensor.data(), tensor.size_bytes());
  return copy;
}

std::vector<int64_t> RowMajorStrides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) {
    strides[i - 1] = strides[i] * shape[i];
  }
  return strides;
}

void Fill(const DLDataType& type, Export* made) {
  const absl::Span<const int64_t> shape = made->tensor.shape();
  made->shape.assign(shape.begin(), shape.end());
  made->strides = RowMajorStrides(made->shape);
  DLTensor& tensor = made->managed.dl_tensor;
  tensor.data = const_cast<void*>(made->tensor.data());
  tensor.device = {PEFT_DEVICE_CPU, 0};
  tensor.ndim = made->tensor.rank();
  tensor.dtype = type;
  tensor.shape = made->shape.data();
  tensor.strides = made->strides.data();
  made->managed.manager_ctx = made;
  made->managed.deleter = Delete;
}

}  // namespace
}  // namespace peft

peft_status_t* peft_tensor_to_dlpack(const peft_tensor_t* tensor,
                                     DLManagedTensor** out_managed) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_managed", out_managed));
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("tensor", tensor));
    PEFT_ASSIGN_OR_RETURN(const DLDataType type,
                          peft::DataType(object->dtype()));
    auto made = std::make_unique<peft::Export>();
    PEFT_ASSIGN_OR_RETURN(made->tensor, peft::Aligned(*object));
    peft::Fill(type, made.get());
    *out_managed = &made.release()->managed;
    return absl::OkStatus();
  });
}
