// The structs of DLPack, the format in which frameworks hand tensors to each
// other, written down from its specification
// (https://dmlc.github.io/dlpack/latest/c_api.html). The layout of
// DLManagedTensor is the one of major version 0, which every consumer takes.
#ifndef PEFT_C_DLPACK_H_
#define PEFT_C_DLPACK_H_

#include <cstdint>

// Where the elements are.
struct DLDevice {
  int32_t device_type;  // 1: CPU
  int32_t device_id;
};

// What an element is.
struct DLDataType {
  uint8_t code;    // a DLPackCode
  uint8_t bits;    // of one element
  uint16_t lanes;  // 1: no vectors
};

// A view of elements, which owns nothing.
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements
  uint64_t byte_offset;
};

// A view that keeps its memory until the deleter is called.
struct DLManagedTensor {
  DLTensor dl_tensor;
  void* manager_ctx;                         // the producer's
  void (*deleter)(DLManagedTensor* tensor);  // called once by the consumer
};

namespace peft {

// DLDataType::code; those of DLPack that safetensors' types have.
enum DLPackCode : uint8_t {
  kDLInt = 0,
  kDLUInt = 1,
  kDLFloat = 2,
  kDLBfloat = 4,
  kDLComplex = 5,
  kDLBool = 6,
  kDLFloat8E4M3FN = 10,
  kDLFloat8E4M3FNUZ = 11,
  kDLFloat8E5M2 = 12,
  kDLFloat8E5M2FNUZ = 13,
  kDLFloat8E8M0FNU = 14,
};

}  // namespace peft

#endif  // PEFT_C_DLPACK_H_
