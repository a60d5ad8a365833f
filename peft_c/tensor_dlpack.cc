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

struct Code {
  DType dtype;
  uint8_t code;
};

// Missing are F4 and F6, packed in ways that consumers of major version 0 do
// not know.
constexpr Code kCodes[] = {
    {DType::kBool, kDLBool},
    {DType::kU8, kDLUInt},
    {DType::kI8, kDLInt},
    {DType::kU16, kDLUInt},
    {DType::kI16, kDLInt},
    {DType::kU32, kDLUInt},
    {DType::kI32, kDLInt},
    {DType::kU64, kDLUInt},
    {DType::kI64, kDLInt},
    {DType::kF16, kDLFloat},
    {DType::kBF16, kDLBfloat},
    {DType::kF32, kDLFloat},
    {DType::kF64, kDLFloat},
    {DType::kC64, kDLComplex},
    {DType::kF8E4M3, kDLFloat8E4M3FN},
    {DType::kF8E4M3FNUZ, kDLFloat8E4M3FNUZ},
    {DType::kF8E5M2, kDLFloat8E5M2},
    {DType::kF8E5M2FNUZ, kDLFloat8E5M2FNUZ},
    {DType::kF8E8M0, kDLFloat8E8M0FNU},
};

absl::StatusOr<DLDataType> DataType(DType dtype) {
  for (const Code& known : kCodes) {
    if (known.dtype != dtype) continue;
    return DLDataType{known.code, static_cast<uint8_t>(DTypeBits(dtype)), 1};
  }
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
