// What the library's descriptors take: the same of the fake and of the real
// library, which needs no GPU for that.
#include "kernels/cuda/lt/descriptors.h"

#include <cstdlib>

#include "gtest/gtest.h"
#include "kernels/cuda/lt/library.h"
#include "kernels/cuda/lt/testing/example_gemm.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr char kFakePath[] = "testing/fake_cublaslt/libfake_cublaslt.so";

// The fake's, and the real one's where it is installed or PEFT_CUBLASLT names
// it.
class LtDescriptorsTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    const char* const path = std::getenv("PEFT_CUBLASLT");
    auto library = LtLibrary::Open(!GetParam()       ? kFakePath
                                   : path == nullptr ? ""
                                                     : path);
    if (GetParam() && !library.ok()) GTEST_SKIP() << library.status();
    ASSERT_TRUE(library.ok()) << library.status();
    library_ = *std::move(library);
  }

  const LtTable& lt() { return *library_->operator->(); }

  std::unique_ptr<LtLibrary> library_;
};

TEST_P(LtDescriptorsTest, WhatWeDescribeIsAccepted) {
  Gemm gemm = LinearGemm(8);
  gemm.out.dtype = DType::kF32;
  gemm.bias_alignment = 16;
  gemm.scale = GemmScale::kDevice;
  for (bool deterministic : {false, true}) {
    LtSettings settings;
    settings.deterministic = deterministic;
    const auto descriptors = DescribeGemm(*library_, gemm, settings);
    EXPECT_TRUE(descriptors.ok()) << descriptors.status();
  }
}

TEST_P(LtDescriptorsTest, MemoryThatIsTooSmallIsRefused) {
  // Of the real library's each version has sizes of its own.
  constexpr size_t kTooSmall = 16;
  LtMatrixLayout layout;
  EXPECT_NE(lt().cublasLtMatrixLayoutInit_internal(&layout, kTooSmall,
                                                   LtDataType::kF32, 1, 1, 1),
            kLtSuccess);
  LtPreference preference;
  EXPECT_NE(lt().cublasLtMatmulPreferenceInit_internal(&preference, kTooSmall),
            kLtSuccess);
}

TEST_P(LtDescriptorsTest, AttributesHaveOneSize) {
  const int64_t wide = 0;
  const int32_t narrow = 0;
  LtMatrixLayout layout;
  ASSERT_EQ(lt().cublasLtMatrixLayoutInit_internal(&layout, sizeof(layout),
                                                   LtDataType::kF32, 1, 1, 1),
            kLtSuccess);
  const auto set_layout = [&](LtLayoutAttribute attribute, const void* value,
                              size_t size) {
    return lt().cublasLtMatrixLayoutSetAttribute(&layout, attribute, value,
                                                 size);
  };
  EXPECT_EQ(set_layout(LtLayoutAttribute::kOrder, &narrow, 4), kLtSuccess);
  EXPECT_EQ(set_layout(LtLayoutAttribute::kOrder, &wide, 8), kLtInvalidValue);
  EXPECT_EQ(set_layout(LtLayoutAttribute::kLd, &wide, 8), kLtSuccess);
  EXPECT_EQ(set_layout(LtLayoutAttribute::kLd, &narrow, 4), kLtInvalidValue);
  EXPECT_EQ(set_layout(static_cast<LtLayoutAttribute>(77), &narrow, 4),
            kLtInvalidValue);

  LtMatmulDesc desc;
  ASSERT_EQ(lt().cublasLtMatmulDescInit_internal(
                &desc, sizeof(desc), LtCompute::kF32, LtDataType::kF32),
            kLtSuccess);
  const auto set_desc = [&](LtDescAttribute attribute, size_t size) {
    return lt().cublasLtMatmulDescSetAttribute(&desc, attribute, &wide, size);
  };
  EXPECT_EQ(set_desc(LtDescAttribute::kPointerMode, 4), kLtSuccess);
  EXPECT_EQ(set_desc(LtDescAttribute::kPointerMode, 8), kLtInvalidValue);
  EXPECT_EQ(set_desc(LtDescAttribute::kBiasPointer, 8), kLtSuccess);
  EXPECT_EQ(set_desc(LtDescAttribute::kBiasPointer, 4), kLtInvalidValue);
  EXPECT_EQ(set_desc(static_cast<LtDescAttribute>(9), 4), kLtInvalidValue);
}

TEST_P(LtDescriptorsTest, ValuesAreCheckedLater) {
  const int32_t no_order = 9;
  LtMatrixLayout layout;
  EXPECT_EQ(lt().cublasLtMatrixLayoutInit_internal(
                &layout, sizeof(layout), static_cast<LtDataType>(99), 8, 4, 3),
            kLtSuccess);
  EXPECT_EQ(
      lt().cublasLtMatrixLayoutSetAttribute(&layout, LtLayoutAttribute::kOrder,
                                            &no_order, sizeof(no_order)),
      kLtSuccess);
}

TEST_P(LtDescriptorsTest, WithoutAHandleNothingIsChosen) {
  Gemm gemm;
  gemm.m = gemm.n = gemm.k = 8;
  gemm.left = gemm.right = gemm.out = {DType::kF32, 8, 16, false};
  const auto to = DescribeGemm(*library_, gemm, {}).value();
  LtHeuristicResult result = {};
  int found = 0;
  EXPECT_EQ(lt().cublasLtMatmulAlgoGetHeuristic(nullptr, &to.desc, &to.a, &to.b,
                                                &to.d, &to.d, &to.preference, 1,
                                                &result, &found),
            kLtNotInitialized);
  EXPECT_EQ(lt().cublasLtMatmul(nullptr, &to.desc, nullptr, nullptr, &to.a,
                                nullptr, &to.b, nullptr, nullptr, &to.d,
                                nullptr, &to.d, nullptr, nullptr, 0, nullptr),
            kLtNotInitialized);
}

TEST_P(LtDescriptorsTest, GroupsAreDescribedByArrays) {
  if (GetParam() && !library_->has_grouped()) GTEST_SKIP() << "an older one";
  LtMatrixLayout layout;
  const void* const array = &layout;  // nobody looks
  EXPECT_NE(lt().cublasLtGroupedMatrixLayoutInit_internal(
                &layout, sizeof(layout) - 8, LtDataType::kBF16, 3, array, array,
                array),
            kLtSuccess);
  ASSERT_EQ(
      lt().cublasLtGroupedMatrixLayoutInit_internal(
          &layout, sizeof(layout), LtDataType::kBF16, 3, array, array, array),
      kLtSuccess);
  const LtIntegerWidth width = LtIntegerWidth::k64;
  for (auto attribute :
       {LtLayoutAttribute::kSizesWidth, LtLayoutAttribute::kLdWidth}) {
    EXPECT_EQ(lt().cublasLtMatrixLayoutSetAttribute(&layout, attribute, &width,
                                                    sizeof(width)),
              kLtSuccess);
  }
}

// The header says 32 bits.
TEST_P(LtDescriptorsTest, AveragesOfGroupsHave64Bits) {
  if (GetParam() && !library_->has_grouped()) GTEST_SKIP() << "an older one";
  LtPreference preference;
  ASSERT_EQ(lt().cublasLtMatmulPreferenceInit_internal(&preference,
                                                       sizeof(preference)),
            kLtSuccess);
  const uint64_t average = 16;
  for (auto attribute : {LtPreferenceAttribute::kGroupedAverageK,
                         LtPreferenceAttribute::kGroupedAverageRows,
                         LtPreferenceAttribute::kGroupedAverageCols}) {
    for (size_t size : {sizeof(uint32_t), sizeof(uint64_t)}) {
      const LtStatus status = lt().cublasLtMatmulPreferenceSetAttribute(
          &preference, attribute, &average, size);
      EXPECT_EQ(status == kLtSuccess, size == sizeof(uint64_t));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Libraries, LtDescriptorsTest, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool>& info) {
                           return info.param ? "Real" : "Fake";
                         });

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
