#include "peft_cc/tensors/torch_storage.h"

#include <limits>
#include <numeric>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// A file that is nothing but a storage of twelve floats 0, 1, 2 ...
class TorchStorageTest : public testing::Test {
 protected:
  TorchStorageTest() {
    auto values = std::make_shared<std::vector<float>>(12);
    std::iota(values->begin(), values->end(), 0.0f);
    file_ = {{reinterpret_cast<const uint8_t*>(values->data()),
              values->size() * sizeof(float)},
             values};
  }

  absl::StatusOr<Tensor> Make(DType dtype, int64_t offset,
                              std::vector<int64_t> shape,
                              std::vector<int64_t> strides) {
    TorchStateDict dict;
    dict.storages.push_back({"0", DType::kF32, 12});
    dict.tensors.push_back(
        {"w", {dtype, 0, offset, std::move(shape), std::move(strides)}});
    PEFT_ASSIGN_OR_RETURN(const TensorMap tensors,
                          MakeTensors(dict, {file_.data}, file_));
    return tensors.at("w");
  }

  absl::StatusOr<Tensor> MakeF32(int64_t offset, std::vector<int64_t> shape,
                                 std::vector<int64_t> strides) {
    return Make(DType::kF32, offset, std::move(shape), std::move(strides));
  }

  void ExpectRefused(int64_t offset, std::vector<int64_t> shape,
                     std::vector<int64_t> strides, absl::string_view part) {
    const absl::Status status =
        MakeF32(offset, std::move(shape), std::move(strides)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << part;
    EXPECT_EQ(ErrorId(status), "TORCH_FILE");
    EXPECT_EQ(GetErrorDetails(status).tensor, "w");
    EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
  }

  bool IsView(const Tensor& tensor) {
    const uint8_t* data = static_cast<const uint8_t*>(tensor.data());
    return data >= file_.data.data() &&
           data < file_.data.data() + file_.data.size();
  }

  Bytes file_;
};

using Floats = std::vector<float>;

TEST_F(TorchStorageTest, ContiguousIsAView) {
  const auto tensor = MakeF32(2, {2, 3}, {3, 1});
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_TRUE(IsView(*tensor));
  EXPECT_EQ(tensor->ToF32(), (Floats{2, 3, 4, 5, 6, 7}));
}

TEST_F(TorchStorageTest, StrideOfSizeOneDoesNotMatter) {
  const auto tensor = MakeF32(0, {1, 3, 1}, {kMax, 1, 77});
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_TRUE(IsView(*tensor));
}

TEST_F(TorchStorageTest, ScalarIsAView) {
  const auto tensor = MakeF32(11, {}, {});
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->ToF32(), (Floats{11}));
}

TEST_F(TorchStorageTest, ViewKeepsTheFileAlive) {
  const std::weak_ptr<const void> watch = file_.owner;
  auto tensor = MakeF32(0, {12}, {1});
  file_ = Bytes();
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(tensor->ToF32()[11], 11.0f);
  tensor = Tensor();
  EXPECT_TRUE(watch.expired());
}

TEST_F(TorchStorageTest, TransposedIsCopied) {
  const auto tensor = MakeF32(0, {3, 2}, {1, 3});
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_FALSE(IsView(*tensor));
  EXPECT_EQ(tensor->ToF32(), (Floats{0, 3, 1, 4, 2, 5}));
}

TEST_F(TorchStorageTest, AnyRankIsCopied) {
  const auto tensor = MakeF32(0, {2, 1, 3, 2}, {1, 99, 4, 2});
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->ToF32(), (Floats{0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}));
}

TEST_F(TorchStorageTest, StrideZeroRepeats) {
  const auto tensor = MakeF32(3, {2, 3}, {0, 0});
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->ToF32(), (Floats{3, 3, 3, 3, 3, 3}));
}

TEST_F(TorchStorageTest, ElementsOfEverySizeAreCopied) {
  const struct {
    DType dtype;
    std::vector<int64_t> strides;
  } cases[] = {{DType::kU8, {1, 4}},
               {DType::kF16, {1, 4}},
               {DType::kI32, {1, 4}},
               {DType::kI64, {1, 4}}};
  for (const auto& test : cases) {
    const auto tensor = Make(test.dtype, 0, {2, 2}, test.strides);
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    const int size = DTypeSize(test.dtype);
    const uint8_t* copy = static_cast<const uint8_t*>(tensor->data());
    for (int i = 0; i < 4; ++i) {
      const int source = (i / 2) * 1 + (i % 2) * 4;
      EXPECT_EQ(
          std::memcmp(copy + i * size, file_.data.data() + source * size, size),
          0)
          << DTypeName(test.dtype) << " element " << i;
    }
  }
}

TEST_F(TorchStorageTest, EmptyTensorMayPointAnywhere) {
  const auto tensor = MakeF32(1000, {0, 5}, {5, 1});
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->num_elements(), 0);
}

TEST_F(TorchStorageTest, OutsideTheStorageIsRefused) {
  ExpectRefused(0, {13}, {1}, "reaches outside its storage of 12 elements");
  ExpectRefused(12, {}, {}, "reaches outside");
  ExpectRefused(1, {12}, {1}, "reaches outside");
  ExpectRefused(0, {2, 2}, {11, 1}, "reaches outside");
  ExpectRefused(kMax, {1}, {1}, "reaches outside");
}

TEST_F(TorchStorageTest, LastElementIsInside) {
  EXPECT_TRUE(MakeF32(11, {1}, {1}).ok());
  EXPECT_TRUE(MakeF32(0, {2, 2}, {10, 1}).ok());
  EXPECT_TRUE(MakeF32(1, {2, 2}, {5, 5}).ok());
}

TEST_F(TorchStorageTest, WiderDTypeHasFewerElements) {
  EXPECT_TRUE(Make(DType::kF64, 5, {1}, {1}).ok());
  EXPECT_FALSE(Make(DType::kF64, 6, {1}, {1}).ok());
}

TEST_F(TorchStorageTest, OverflowIsRefused) {
  ExpectRefused(0, {3}, {kMax}, "reaches outside");
  ExpectRefused(kMax, {2}, {kMax}, "reaches outside");
  ExpectRefused(0, {2, 2}, {kMax, kMax}, "reaches outside");
  ExpectRefused(0, {kMax}, {0}, "negative or overflows");
  ExpectRefused(0, {kMax, kMax}, {0, 0}, "negative or overflows");
}

TEST_F(TorchStorageTest, NegativeNumbersAreRefused) {
  ExpectRefused(-1, {1}, {1}, "negative offset");
  ExpectRefused(5, {2}, {-1}, "negative offset or stride");
  ExpectRefused(5, {1}, {-1}, "negative offset or stride");
  ExpectRefused(0, {-1}, {1}, "negative or overflows");
  ExpectRefused(0, {-1, 0}, {1, 1}, "negative or overflows");
}

TEST_F(TorchStorageTest, CopiesAreBounded) {
  // 1 MiB and 64 times the 48 bytes of the file are allowed.
  const int64_t limit = (1 << 20) / 4 + 64 * 12;
  EXPECT_TRUE(MakeF32(0, {limit}, {0}).ok());
  const absl::Status status = MakeF32(0, {limit + 1}, {0}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorId(status), "TORCH_FILE");
  EXPECT_TRUE(absl::StrContains(status.message(), "repeats elements"));
  EXPECT_FALSE(MakeF32(0, {kMax / 8}, {0}).ok());
}

TEST_F(TorchStorageTest, CopiesAreBoundedTogether) {
  TorchStateDict dict;
  dict.storages.push_back({"0", DType::kF32, 12});
  const int64_t half = (1 << 20) / 8;
  for (const char* name : {"a", "b", "c"}) {
    dict.tensors.push_back({name, {DType::kF32, 0, 0, {half}, {0}}});
  }
  const absl::Status status = MakeTensors(dict, {file_.data}, file_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(GetErrorDetails(status).tensor, "c");
}

}  // namespace
}  // namespace peft
