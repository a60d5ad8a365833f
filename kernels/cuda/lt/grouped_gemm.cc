#include "kernels/cuda/lt/grouped_gemm.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr int64_t kAlignment = 16;
constexpr float kZero = 0.0f;
constexpr float kOne = 1.0f;

// The arrays of a table, in order.
enum ArrayIndex {
  kM,
  kN,
  kK,
  kLeftStride,
  kRightStride,
  kOutStride,
  kLeft,
  kRight,
  kOut,
};

void* Pointer(DevicePtr address) { return reinterpret_cast<void*>(address); }

absl::Status Unimplemented(absl::string_view why) {
  return MakeError(absl::StatusCode::kUnimplemented, error_id::kCublasLt,
                   absl::StrCat("no product of groups: ", why));
}

// Whether rows begin, and end, at multiples of 16 bytes.
bool IsAligned(const DeviceMatrix& matrix) {
  const int64_t size = DTypeSize(matrix.dtype);
  return matrix.data % kAlignment == 0 &&
         matrix.stride * size % kAlignment == 0 &&
         matrix.cols * size % kAlignment == 0;
}

absl::Status CheckProducts(absl::Span<const GroupedProduct> products) {
  if (products.empty()) return ArgumentError("there are no groups");
  const DType dtype = products[0].out.dtype;
  if (dtype != DType::kF16 && dtype != DType::kBF16) {
    return Unimplemented(
        absl::StrCat(DTypeName(dtype), " is neither F16 nor BF16"));
  }
  for (const GroupedProduct& product : products) {
    for (const DeviceMatrix* matrix :
         {&product.left, &product.right, &product.out}) {
      if (matrix->dtype != dtype) return Unimplemented("dtypes differ");
      if (!IsAligned(*matrix)) {
        return Unimplemented("a row is not at a multiple of 16 bytes");
      }
      // Nobody says what the library does with these.
      if (matrix->rows == 0) return Unimplemented("a group is empty");
    }
  }
  return absl::OkStatus();
}

uint64_t NumberOf(const GroupedProduct& product, int index) {
  const int64_t sizes[] = {product.out.rows,     product.out.cols,
                           product.left.cols,    product.left.stride,
                           product.right.stride, product.out.stride};
  const DevicePtr addresses[] = {product.left.data, product.right.data,
                                 product.out.data};
  return index < kLeft ? static_cast<uint64_t>(sizes[index])
                       : addresses[index - kLeft];
}

// Of all groups, at least 1.
uint64_t AverageOf(absl::Span<const GroupedProduct> products, int index) {
  uint64_t sum = 0;
  for (const GroupedProduct& product : products) {
    sum += NumberOf(product, index);
  }
  return std::max<uint64_t>(1, sum / products.size());
}

}  // namespace

std::vector<uint64_t> GroupedTable(absl::Span<const GroupedProduct> products) {
  std::vector<uint64_t> table;
  for (int index = 0; index < kGroupedArrays; ++index) {
    for (const GroupedProduct& product : products) {
      table.push_back(NumberOf(product, index));
    }
  }
  return table;
}

absl::StatusOr<GroupedGemm> GroupedGemm::Plan(
    const LtHandle& handle, const LtSettings& settings,
    absl::Span<const GroupedProduct> products, bool accumulate,
    DevicePtr table) {
  if (!handle.library().has_grouped()) {
    return Unimplemented(absl::StrCat("cuBLASLt ", handle.library().version(),
                                      " is older than 13.2"));
  }
  PEFT_RETURN_IF_ERROR(CheckProducts(products));
  GroupedGemm result(handle);
  result.table_ = table;
  result.groups_ = static_cast<int>(products.size());
  result.accumulate_ = accumulate;
  PEFT_RETURN_IF_ERROR(result.DescribeMatrices(products[0].out.dtype));
  PEFT_RETURN_IF_ERROR(result.DescribeProduct());
  PEFT_RETURN_IF_ERROR(result.Choose(settings, products));
  return result;
}

DevicePtr GroupedGemm::Array(int index) const {
  return table_ + sizeof(uint64_t) * groups_ * index;
}

// By columns all is transposed, as LtDescriptors says: `right` is stored as a
// matrix of k rows and n columns, `left` as one of k and m, `out` of n and m.
absl::Status GroupedGemm::DescribeMatrices(DType dtype) {
  const LtLibrary& library = handle_->library();
  const LtDataType type =
      dtype == DType::kF16 ? LtDataType::kF16 : LtDataType::kBF16;
  const struct {
    LtMatrixLayout* layout;
    ArrayIndex rows, cols, stride;
  } matrices[] = {{&descriptors_.a, kK, kN, kRightStride},
                  {&descriptors_.b, kK, kM, kLeftStride},
                  {&descriptors_.d, kN, kM, kOutStride}};
  const LtIntegerWidth width = LtIntegerWidth::k64;
  for (const auto& matrix : matrices) {
    PEFT_RETURN_IF_ERROR(library.Check(
        library->cublasLtGroupedMatrixLayoutInit_internal(
            matrix.layout, sizeof(*matrix.layout), type, groups_,
            Pointer(Array(matrix.rows)), Pointer(Array(matrix.cols)),
            Pointer(Array(matrix.stride))),
        "describing matrices of groups"));
    for (LtLayoutAttribute attribute :
         {LtLayoutAttribute::kSizesWidth, LtLayoutAttribute::kLdWidth}) {
      PEFT_RETURN_IF_ERROR(
          library.Check(library->cublasLtMatrixLayoutSetAttribute(
                            matrix.layout, attribute, &width, sizeof(width)),
                        "describing matrices of groups"));
    }
  }
  return absl::OkStatus();
}

absl::Status GroupedGemm::DescribeProduct() {
  const LtLibrary& library = handle_->library();
  PEFT_RETURN_IF_ERROR(
      library.Check(library->cublasLtMatmulDescInit_internal(
                        &descriptors_.desc, sizeof(descriptors_.desc),
                        LtCompute::kF32, LtDataType::kF32),
                    "describing a product of groups"));
  const LtOperation transpose = LtOperation::kTranspose;
  return library.Check(library->cublasLtMatmulDescSetAttribute(
                           &descriptors_.desc, LtDescAttribute::kTransA,
                           &transpose, sizeof(transpose)),
                       "describing a product of groups");
}

absl::Status GroupedGemm::Choose(const LtSettings& settings,
                                 absl::Span<const GroupedProduct> products) {
  const LtLibrary& library = handle_->library();
  LtPreference* const preference = &descriptors_.preference;
  PEFT_RETURN_IF_ERROR(
      library.Check(library->cublasLtMatmulPreferenceInit_internal(
                        preference, sizeof(*preference)),
                    "describing what is preferred"));
  const std::pair<LtPreferenceAttribute, uint64_t> preferred[] = {
      {LtPreferenceAttribute::kMaxWorkspaceBytes,
       static_cast<uint64_t>(settings.workspace_bytes)},
      {LtPreferenceAttribute::kGroupedAverageK, AverageOf(products, kK)},
      {LtPreferenceAttribute::kGroupedAverageRows, AverageOf(products, kN)},
      {LtPreferenceAttribute::kGroupedAverageCols, AverageOf(products, kM)}};
  for (const auto& [attribute, value] : preferred) {
    PEFT_RETURN_IF_ERROR(
        library.Check(library->cublasLtMatmulPreferenceSetAttribute(
                          preference, attribute, &value, sizeof(value)),
                      "describing what is preferred"));
  }
  const uint32_t mask =
      settings.deterministic ? kLtReductionNone : kLtReductionMask;
  PEFT_RETURN_IF_ERROR(
      library.Check(library->cublasLtMatmulPreferenceSetAttribute(
                        preference, LtPreferenceAttribute::kReductionSchemeMask,
                        &mask, sizeof(mask)),
                    "describing what is preferred"));
  PEFT_ASSIGN_OR_RETURN(const std::vector<LtCandidate> found,
                        FindCandidates(*handle_, descriptors_, 1));
  candidate_ = found.front();
  return absl::OkStatus();
}

absl::Status GroupedGemm::Run(const LtStream& stream) const {
  if (stream.workspace_bytes < candidate_.workspace_bytes) {
    return ArgumentError(absl::StrCat(
        "a product of groups needs a workspace of ", candidate_.workspace_bytes,
        " bytes, the stream has ", stream.workspace_bytes));
  }
  const LtLibrary& library = handle_->library();
  void* const out = Pointer(Array(kOut));
  return library.Check(
      library->cublasLtMatmul(
          handle_->get(), &descriptors_.desc, &kOne, Pointer(Array(kRight)),
          &descriptors_.a, Pointer(Array(kLeft)), &descriptors_.b,
          accumulate_ ? &kOne : &kZero, out, &descriptors_.d, out,
          &descriptors_.d, &candidate_.algo, Pointer(stream.workspace),
          static_cast<size_t>(stream.workspace_bytes), stream.stream),
      "multiplying groups");
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
