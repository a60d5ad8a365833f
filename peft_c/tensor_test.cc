#include "peft_c/tensor.h"

#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "peft_c/dlpack.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

using Sizes = std::vector<int64_t>;

peft_tensor_view_t ViewOf(const std::vector<float>& data, const Sizes& sizes,
                          const int64_t* strides = nullptr) {
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  view.data = data.data();
  view.dtype = PEFT_DTYPE_F32;
  view.rank = static_cast<int32_t>(sizes.size());
  view.sizes = sizes.data();
  view.strides = strides;
  return view;
}

// The elements of a copy of `view`.
std::vector<float> Copied(const peft_tensor_view_t& view) {
  const auto tensor = CopyTensorView("view", &view);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return tensor.ok() ? tensor->ToF32() : std::vector<float>();
}

std::string Problem(const peft_tensor_view_t& view) {
  return std::string(CopyTensorView("view", &view).status().message());
}

// A handle of a tensor of `dtype` whose elements begin at `data`.
OwnedTensor HandleOf(DType dtype, Sizes sizes, const void* data) {
  peft_tensor_t* handle = nullptr;
  NewHandle(std::make_shared<const Tensor>(dtype, sizes, data, nullptr),
            &handle)
      .IgnoreError();
  return OwnedTensor(handle);
}

TEST(CopyTensorViewTest, CopiesContiguousElements) {
  const std::vector<float> data = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(Copied(ViewOf(data, {2, 3})), data);
}

TEST(CopyTensorViewTest, FollowsStrides) {
  const std::vector<float> data = {1, 2, 3, 4, 5, 6};
  const int64_t transposed[] = {1, 3};
  EXPECT_EQ(Copied(ViewOf(data, {3, 2}, transposed)),
            std::vector<float>({1, 4, 2, 5, 3, 6}));
  const int64_t repeated[] = {0, 1};
  EXPECT_EQ(Copied(ViewOf(data, {2, 2}, repeated)),
            std::vector<float>({1, 2, 1, 2}));
}

TEST(CopyTensorViewTest, FollowsNegativeStrides) {
  const std::vector<float> data = {1, 2, 3};
  const int64_t backwards[] = {-1};
  peft_tensor_view_t view = ViewOf(data, {3}, backwards);
  const Sizes sizes = {3};
  view.sizes = sizes.data();
  view.data = &data[2];
  EXPECT_EQ(Copied(view), std::vector<float>({3, 2, 1}));
}

TEST(CopyTensorViewTest, TakesAnyStrideOfAnAxisWithOneElement) {
  const std::vector<float> data = {1, 2};
  const Sizes sizes = {1, 2};
  for (int64_t stride : {std::numeric_limits<int64_t>::max(),
                         std::numeric_limits<int64_t>::min()}) {
    const int64_t strides[] = {stride, 1};
    EXPECT_EQ(Copied(ViewOf(data, sizes, strides)), data);
  }
}

TEST(CopyTensorViewTest, TakesScalarsAndEmptyTensors) {
  const std::vector<float> data = {7};
  EXPECT_EQ(Copied(ViewOf(data, {})), data);
  const Sizes sizes = {2, 0};
  peft_tensor_view_t empty = ViewOf(data, sizes);
  empty.sizes = sizes.data();
  empty.data = nullptr;
  EXPECT_TRUE(Copied(empty).empty());
}

TEST(CopyTensorViewTest, RefusesFieldsThatAreOutOfRange) {
  const std::vector<float> data = {1};
  const Sizes sizes = {1};
  const peft_tensor_view_t good = ViewOf(data, sizes);
  peft_tensor_view_t view = good;
  view.dtype = 0;
  EXPECT_NE(Problem(view).find("view.dtype is 0"), std::string::npos);
  view.dtype = 23;
  EXPECT_NE(Problem(view).find("view.dtype is 23"), std::string::npos);
  view = good;
  view.device_type = 2;
  EXPECT_NE(Problem(view).find("view.device_type"), std::string::npos);
  view = good;
  view.rank = -1;
  EXPECT_NE(Problem(view).find("view.rank is -1"), std::string::npos);
  view.rank = 17;
  EXPECT_NE(Problem(view).find("view.rank is 17"), std::string::npos);
  view = good;
  view.sizes = nullptr;
  EXPECT_NE(Problem(view).find("view.sizes is NULL"), std::string::npos);
  view = good;
  view.data = nullptr;
  EXPECT_NE(Problem(view).find("view.data is NULL"), std::string::npos);
}

TEST(CopyTensorViewTest, RefusesSizesThatAreNegativeOrOverflow) {
  const std::vector<float> data = {1};
  const Sizes negative = {-1};
  EXPECT_NE(Problem(ViewOf(data, negative)).find("view.sizes[0] is -1"),
            std::string::npos);
  const Sizes huge = {int64_t{1} << 40, int64_t{1} << 40};
  EXPECT_NE(Problem(ViewOf(data, huge)).find("too large"), std::string::npos);
}

TEST(CopyTensorViewTest, RefusesStridesThatOverflow) {
  const std::vector<float> data = {1, 2};
  const Sizes sizes = {2, 2};
  for (int64_t stride : {std::numeric_limits<int64_t>::max(),
                         std::numeric_limits<int64_t>::min()}) {
    const int64_t strides[] = {1, stride};
    EXPECT_NE(Problem(ViewOf(data, sizes, strides)).find("view.strides[1]"),
              std::string::npos);
  }
}

TEST(TensorTest, ViewDescribesTheTensor) {
  const float data[] = {1, 2, 3, 4, 5, 6};
  const OwnedTensor tensor = HandleOf(DType::kF32, {2, 3}, data);
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  ASSERT_PEFT_OK(peft_tensor_get_view(tensor.get(), &view));
  EXPECT_EQ(view.data, data);
  EXPECT_EQ(view.dtype, PEFT_DTYPE_F32);
  EXPECT_EQ(view.device_type, PEFT_DEVICE_CPU);
  EXPECT_EQ(view.device_index, 0);
  EXPECT_EQ(absl::MakeSpan(view.sizes, view.rank),
            absl::Span<const int64_t>({2, 3}));
  EXPECT_EQ(view.strides, nullptr);
}

TEST(TensorTest, ViewIsEmptyAfterAFailure) {
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  view.rank = 3;
  EXPECT_PEFT_ERROR(peft_tensor_get_view(nullptr, &view), PEFT_INVALID_ARGUMENT,
                    "HANDLE");
  EXPECT_EQ(view.rank, 0);
  EXPECT_EQ(view.struct_size, sizeof(view));
}

TEST(DLPackTest, DescribesTheTensorWithStrides) {
  const float data[] = {1, 2, 3, 4, 5, 6};
  const OwnedTensor tensor = HandleOf(DType::kF32, {2, 3}, data);
  DLManagedTensor* managed = nullptr;
  ASSERT_PEFT_OK(peft_tensor_to_dlpack(tensor.get(), &managed));
  const DLTensor& dl = managed->dl_tensor;
  EXPECT_EQ(dl.data, data);
  EXPECT_EQ(dl.device.device_type, 1);
  EXPECT_EQ(dl.dtype.code, kDLFloat);
  EXPECT_EQ(dl.dtype.bits, 32);
  EXPECT_EQ(dl.dtype.lanes, 1);
  EXPECT_EQ(absl::MakeSpan(dl.shape, dl.ndim),
            absl::Span<const int64_t>({2, 3}));
  EXPECT_EQ(absl::MakeSpan(dl.strides, dl.ndim),
            absl::Span<const int64_t>({3, 1}));
  EXPECT_EQ(dl.byte_offset, 0u);
  managed->deleter(managed);
}

TEST(DLPackTest, KeepsTheMemoryWhenTheTensorIsFreed) {
  peft_tensor_t* handle = nullptr;
  void* data = nullptr;
  auto owned = Tensor::Allocate(DType::kF32, {2}, &data);
  ASSERT_TRUE(owned.ok());
  static_cast<float*>(data)[1] = 42;
  ASSERT_TRUE(
      NewHandle(std::make_shared<const Tensor>(*std::move(owned)), &handle)
          .ok());
  DLManagedTensor* managed = nullptr;
  ASSERT_PEFT_OK(peft_tensor_to_dlpack(handle, &managed));
  peft_tensor_free(handle);
  // The address sanitizer watches this one.
  EXPECT_EQ(static_cast<const float*>(managed->dl_tensor.data)[1], 42);
  managed->deleter(managed);
}

TEST(DLPackTest, CopiesElementsThatLieUnaligned) {
  alignas(8) char bytes[16] = {};
  const float value = 42;
  std::memcpy(bytes + 1, &value, sizeof(value));
  const OwnedTensor tensor = HandleOf(DType::kF32, {1}, bytes + 1);
  DLManagedTensor* managed = nullptr;
  ASSERT_PEFT_OK(peft_tensor_to_dlpack(tensor.get(), &managed));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(managed->dl_tensor.data) % 4, 0u);
  EXPECT_EQ(*static_cast<const float*>(managed->dl_tensor.data), 42);
  managed->deleter(managed);
}

struct CodeCase {
  DType dtype;
  int code;
  int bits;
};

TEST(DLPackTest, HasTheSpecifiedCodes) {
  alignas(16) const char zeros[16] = {};
  for (const CodeCase& c :
       {CodeCase{DType::kBool, 6, 8}, CodeCase{DType::kU8, 1, 8},
        CodeCase{DType::kI64, 0, 64}, CodeCase{DType::kF16, 2, 16},
        CodeCase{DType::kBF16, 4, 16}, CodeCase{DType::kF64, 2, 64},
        CodeCase{DType::kC64, 5, 64}, CodeCase{DType::kF8E4M3, 10, 8},
        CodeCase{DType::kF8E5M2, 12, 8}}) {
    const OwnedTensor tensor = HandleOf(c.dtype, {1}, zeros);
    DLManagedTensor* managed = nullptr;
    ASSERT_PEFT_OK(peft_tensor_to_dlpack(tensor.get(), &managed));
    EXPECT_EQ(managed->dl_tensor.dtype.code, c.code) << DTypeName(c.dtype);
    EXPECT_EQ(managed->dl_tensor.dtype.bits, c.bits) << DTypeName(c.dtype);
    managed->deleter(managed);
  }
}

TEST(DLPackTest, RefusesElementsWithoutACode) {
  const char zeros[16] = {};
  const OwnedTensor tensor = HandleOf(DType::kF4, {2}, zeros);
  auto* managed = reinterpret_cast<DLManagedTensor*>(uintptr_t{1});
  EXPECT_PEFT_ERROR(peft_tensor_to_dlpack(tensor.get(), &managed),
                    PEFT_UNIMPLEMENTED, "TENSOR_DTYPE");
  EXPECT_EQ(managed, nullptr);
}

}  // namespace
}  // namespace peft
