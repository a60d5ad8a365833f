// Descriptors: like the real library's functions, these check no values, only
// that an attribute exists and has that size. All else comes to light when a
// product is planned. Read-only attributes cannot be set.
#include <cstring>
#include <initializer_list>

#include "kernels/cuda/lt/abi.h"
#include "testing/fake_cublaslt/state.h"

namespace peft {
namespace testing {
namespace lt {
namespace {

// A field of a descriptor.
struct Field {
  int attribute;
  void* data;
  size_t size;
};

template <typename Attribute, typename Value>
Field FieldOf(Attribute attribute, Value* value) {
  return {static_cast<int>(attribute), value, sizeof(*value)};
}

const Field* Find(std::initializer_list<Field> fields, int attribute) {
  for (const Field& field : fields) {
    if (field.attribute == attribute) return &field;
  }
  return nullptr;
}

LtStatus SetField(std::initializer_list<Field> fields, int attribute,
                  const void* value, size_t size) {
  const Field* const field = Find(fields, attribute);
  if (field == nullptr) {
    return Refuse(kLtInvalidValue, "no attribute " + std::to_string(attribute));
  }
  if (value == nullptr || size != field->size) {
    return Refuse(kLtInvalidValue, "attribute " + std::to_string(attribute) +
                                       " has " + std::to_string(field->size) +
                                       " bytes, not " + std::to_string(size));
  }
  std::memcpy(field->data, value, size);
  return Accept();
}

template <typename Contents>
LtStatus CheckMagic(const Contents* contents) {
  if (contents == nullptr || contents->magic != kMagic) {
    return Refuse(kLtInvalidValue, "a descriptor was not initialised");
  }
  return kLtSuccess;
}

template <typename Descriptor>
LtStatus CheckInit(const Descriptor* descriptor, size_t size) {
  if (descriptor == nullptr) return Refuse(kLtInvalidValue, "no descriptor");
  if (size < sizeof(*descriptor)) {
    return Refuse(kLtAllocFailed, "too little memory for a descriptor");
  }
  return kLtSuccess;
}

// The fields of an algorithm, and where each starts: two have 16 bits.
size_t SizeOf(LtAlgoAttribute attribute) {
  return attribute >= LtAlgoAttribute::kInnerShape ? 2 : 4;
}

}  // namespace
}  // namespace lt
}  // namespace testing
}  // namespace peft

using namespace peft::testing::lt;  // NOLINT: as the library's users see it.

extern "C" {

LtStatus cublasLtMatrixLayoutInit_internal(LtMatrixLayout* layout, size_t size,
                                           LtDataType type, uint64_t rows,
                                           uint64_t cols, int64_t ld) {
  if (const LtStatus status = CheckInit(layout, size)) return status;
  *As<Layout>(layout) = {kMagic, type, LtOrder::kColumn, 1, rows, cols, ld, 0};
  return Accept();
}

LtStatus cublasLtGroupedMatrixLayoutInit_internal(LtMatrixLayout* layout,
                                                  size_t size, LtDataType type,
                                                  int groups, const void* rows,
                                                  const void* cols,
                                                  const void* ld) {
  if (const LtStatus status = CheckInit(layout, size)) return status;
  const auto address = [](const void* array) {
    return reinterpret_cast<uint64_t>(array);
  };
  *As<Layout>(layout) = {kMagic,
                         type,
                         LtOrder::kColumn,
                         groups,
                         address(rows),
                         address(cols),
                         static_cast<int64_t>(address(ld)),
                         0,
                         LtBatchMode::kGrouped};
  return Accept();
}

LtStatus cublasLtMatrixLayoutSetAttribute(LtMatrixLayout* layout,
                                          LtLayoutAttribute attribute,
                                          const void* value, size_t size) {
  Layout* const to = As<Layout>(layout);
  if (const LtStatus status = CheckMagic(to)) return status;
  return SetField(
      {FieldOf(LtLayoutAttribute::kType, &to->type),
       FieldOf(LtLayoutAttribute::kOrder, &to->order),
       FieldOf(LtLayoutAttribute::kRows, &to->rows),
       FieldOf(LtLayoutAttribute::kCols, &to->cols),
       FieldOf(LtLayoutAttribute::kLd, &to->ld),
       FieldOf(LtLayoutAttribute::kBatchCount, &to->batch_count),
       FieldOf(LtLayoutAttribute::kBatchMode, &to->mode),
       FieldOf(LtLayoutAttribute::kRowsArray, &to->rows),
       FieldOf(LtLayoutAttribute::kColsArray, &to->cols),
       FieldOf(LtLayoutAttribute::kLdArray, &to->ld),
       FieldOf(LtLayoutAttribute::kSizesWidth, &to->sizes_width),
       FieldOf(LtLayoutAttribute::kLdWidth, &to->ld_width),
       FieldOf(LtLayoutAttribute::kStridedBatchOffset, &to->batch_stride)},
      static_cast<int>(attribute), value, size);
}

LtStatus cublasLtMatmulDescInit_internal(LtMatmulDesc* desc, size_t size,
                                         LtCompute compute,
                                         LtDataType scale_type) {
  if (const LtStatus status = CheckInit(desc, size)) return status;
  *As<Desc>(desc) = {kMagic,
                     compute,
                     scale_type,
                     LtPointerMode::kHost,
                     LtOperation::kNone,
                     LtOperation::kNone,
                     LtOperation::kNone,
                     LtEpilogue::kDefault,
                     -1,
                     nullptr,
                     0};
  return Accept();
}

LtStatus cublasLtMatmulDescSetAttribute(LtMatmulDesc* desc,
                                        LtDescAttribute attribute,
                                        const void* value, size_t size) {
  Desc* const to = As<Desc>(desc);
  if (const LtStatus status = CheckMagic(to)) return status;
  return SetField(
      {FieldOf(LtDescAttribute::kComputeType, &to->compute),
       FieldOf(LtDescAttribute::kScaleType, &to->scale_type),
       FieldOf(LtDescAttribute::kPointerMode, &to->pointer_mode),
       FieldOf(LtDescAttribute::kTransA, &to->trans_a),
       FieldOf(LtDescAttribute::kTransB, &to->trans_b),
       FieldOf(LtDescAttribute::kTransC, &to->trans_c),
       FieldOf(LtDescAttribute::kEpilogue, &to->epilogue),
       FieldOf(LtDescAttribute::kBiasPointer, &to->bias),
       FieldOf(LtDescAttribute::kBiasBatchStride, &to->bias_batch_stride),
       FieldOf(LtDescAttribute::kBiasDataType, &to->bias_type)},
      static_cast<int>(attribute), value, size);
}

LtStatus cublasLtMatmulPreferenceInit_internal(LtPreference* preference,
                                               size_t size) {
  if (const LtStatus status = CheckInit(preference, size)) return status;
  *As<Preference>(preference) = {
      kMagic, 0, kLtReductionMask, {256, 256, 256, 256}, 0};
  return Accept();
}

LtStatus cublasLtMatmulPreferenceSetAttribute(LtPreference* preference,
                                              LtPreferenceAttribute attribute,
                                              const void* value, size_t size) {
  Preference* const to = As<Preference>(preference);
  if (const LtStatus status = CheckMagic(to)) return status;
  return SetField(
      {FieldOf(LtPreferenceAttribute::kSearchMode, &to->search_mode),
       FieldOf(LtPreferenceAttribute::kMaxWorkspaceBytes, &to->workspace_bytes),
       FieldOf(LtPreferenceAttribute::kReductionSchemeMask,
               &to->reduction_mask),
       FieldOf(LtPreferenceAttribute::kGroupedAverageK,
               &to->grouped_average[0]),
       FieldOf(LtPreferenceAttribute::kGroupedAverageRows,
               &to->grouped_average[1]),
       FieldOf(LtPreferenceAttribute::kGroupedAverageCols,
               &to->grouped_average[2]),
       FieldOf(LtPreferenceAttribute::kMinAlignmentA, &to->alignment[0]),
       FieldOf(LtPreferenceAttribute::kMinAlignmentB, &to->alignment[1]),
       FieldOf(LtPreferenceAttribute::kMinAlignmentC, &to->alignment[2]),
       FieldOf(LtPreferenceAttribute::kMinAlignmentD, &to->alignment[3])},
      static_cast<int>(attribute), value, size);
}

LtStatus cublasLtMatmulAlgoConfigSetAttribute(LtAlgo* algo,
                                              LtAlgoAttribute attribute,
                                              const void* value, size_t size) {
  Algo* const to = As<Algo>(algo);
  if (const LtStatus status = CheckMagic(to)) return status;
  const int index = static_cast<int>(attribute);
  if (attribute <= LtAlgoAttribute::kId ||
      attribute > LtAlgoAttribute::kClusterShape || value == nullptr ||
      size != SizeOf(attribute)) {
    return Refuse(kLtInvalidValue, "an algorithm has no such attribute");
  }
  to->config[index] = 0;
  std::memcpy(&to->config[index], value, size);
  return Accept();
}

LtStatus cublasLtMatmulAlgoConfigGetAttribute(const LtAlgo* algo,
                                              LtAlgoAttribute attribute,
                                              void* value, size_t size,
                                              size_t* written) {
  const Algo* const from = As<Algo>(algo);
  if (const LtStatus status = CheckMagic(from)) return status;
  if (attribute < LtAlgoAttribute::kId ||
      attribute > LtAlgoAttribute::kClusterShape || value == nullptr ||
      size != SizeOf(attribute)) {
    return Refuse(kLtInvalidValue, "an algorithm has no such attribute");
  }
  std::memcpy(value, &from->config[static_cast<int>(attribute)], size);
  if (written != nullptr) *written = size;
  return Accept();
}

}  // extern "C"
