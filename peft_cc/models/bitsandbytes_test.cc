#include "peft_cc/models/bitsandbytes.h"

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

constexpr char kGolden[] =
    "peft_cc/models/testdata/bitsandbytes/weights.safetensors";
constexpr char kNested[] = "nested_nf4.weight";
constexpr char kState[] = "nested_nf4.weight.quant_state.bitsandbytes__nf4";

TensorMap Golden() {
  return ReadSafetensors(kGolden, ReadMode::kRead).value().tensors;
}

Tensor Bytes(const std::string& text) {
  void* data = nullptr;
  Tensor tensor =
      Tensor::Allocate(DType::kU8, {static_cast<int64_t>(text.size())}, &data)
          .value();
  std::memcpy(data, text.data(), text.size());
  return tensor;
}

Tensor FloatsOf(const std::vector<float>& values) {
  void* data = nullptr;
  Tensor tensor = Tensor::Allocate(DType::kF32,
                                   {static_cast<int64_t>(values.size())}, &data)
                      .value();
  std::memcpy(data, values.data(), values.size() * sizeof(float));
  return tensor;
}

// What is wrong with `tensors`, which must name `name`.
void ExpectWrong(TensorMap tensors, const std::string& name,
                 absl::string_view id = error_id::kModelWeights) {
  const absl::Status status = AssembleBitsAndBytes(tensors);
  EXPECT_EQ(ErrorId(status), id) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), name)) << status;
}

TEST(BitsAndBytesTest, EqualsWhatBitsAndBytesDequantises) {
  TensorMap tensors = Golden();
  ASSERT_TRUE(AssembleBitsAndBytes(tensors).ok());
  EXPECT_EQ(tensors.size(), 8u);  // four weights and what is expected of each
  for (const char* name : {"nested_nf4", "plain_nf4", "wide_fp4", "odd_nf4"}) {
    const Tensor& found = tensors.at(absl::StrCat(name, ".weight"));
    const Tensor& expected = tensors.at(absl::StrCat("expected.", name));
    EXPECT_EQ(found.shape(), expected.shape()) << name;
    EXPECT_EQ(found.ToF32(), expected.ToF32()) << name;
  }
}

TEST(BitsAndBytesTest, CodesStayWhereTheyAre) {
  TensorMap tensors = Golden();
  const void* const codes = tensors.at(kNested).data();
  ASSERT_TRUE(AssembleBitsAndBytes(tensors).ok());
  EXPECT_EQ(tensors.at(kNested).data(), codes);
  EXPECT_EQ(tensors.at(kNested).dtype(), DType::kTable4);
}

TEST(BitsAndBytesTest, RowsThatAreNoWholeBlocksBecomeF32) {
  TensorMap tensors = Golden();
  ASSERT_TRUE(AssembleBitsAndBytes(tensors).ok());
  EXPECT_EQ(tensors.at("odd_nf4.weight").dtype(), DType::kF32);
}

TEST(BitsAndBytesTest, OtherTensorsAreLeftAlone) {
  TensorMap tensors;
  tensors["a.weight"] = FloatsOf({1, 2});
  tensors["b.absmax"] = FloatsOf({1, 2});
  ASSERT_TRUE(AssembleBitsAndBytes(tensors).ok());
  EXPECT_EQ(tensors.size(), 2u);
}

TEST(BitsAndBytesTest, NamesAPartThatIsMissing) {
  for (const char* part :
       {"", ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"}) {
    TensorMap tensors = Golden();
    const std::string name = absl::StrCat(kNested, part);
    tensors.erase(name);
    ExpectWrong(std::move(tensors), name);
  }
}

TEST(BitsAndBytesTest, NamesAPartOfAnotherSizeOrType) {
  for (const char* part :
       {"", ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"}) {
    const std::string name = absl::StrCat(kNested, part);
    TensorMap tensors = Golden();
    tensors[name] = FloatsOf({1, 2, 3});
    ExpectWrong(tensors, name);
    tensors[name] = Bytes("");
    ExpectWrong(std::move(tensors), name);
  }
}

TEST(BitsAndBytesTest, ScalesMustBeFinite) {
  TensorMap tensors = Golden();
  const std::string name = "plain_nf4.weight.absmax";
  std::vector<float> scales = tensors.at(name).ToF32();
  scales[2] = std::numeric_limits<float>::quiet_NaN();
  tensors[name] = FloatsOf(scales);
  ExpectWrong(std::move(tensors), name);
}

TEST(BitsAndBytesTest, AnUnknownTypeIsNamed) {
  TensorMap tensors;
  tensors["a.weight.quant_state.bitsandbytes__int3"] = Bytes("{}");
  ExpectWrong(std::move(tensors), "int3");
}

// A quant state of `rows` x 512 with the text `more` behind.
std::string State(const char* block, const char* shape, const char* more = "") {
  return absl::StrCat(R"({"quant_type": "nf4", "blocksize": )", block,
                      R"(, "dtype": "float32", "shape": )", shape, more, "}");
}

TEST(BitsAndBytesTest, AQuantStateIsChecked) {
  const char* const kWrong[] = {"", "[]", "{", "\xff", "null"};
  for (const char* text : kWrong) {
    TensorMap tensors = Golden();
    tensors[kState] = Bytes(text);
    EXPECT_FALSE(AssembleBitsAndBytes(tensors).ok()) << text;
  }
  const std::string nested = R"(, "nested_blocksize": 256)";
  const std::string kFields[] = {
      R"({"quant_type": "fp4", "blocksize": 64, "shape": [40, 512]})",
      State("0", "[40, 512]"),
      State("-64", "[40, 512]"),
      State("2097152", "[40, 512]"),
      State("64.0", "[40, 512]"),
      State("64", "[40]"),
      State("64", "[0, 512]"),
      State("64", "[-1, 512]"),
      State("64", "[4294967296, 4294967296]"),
      State("64", "[40, 512, 1]"),
      State("64", "\"[40, 512]\""),
      State("64", "[40, 512]", R"(, "nested_blocksize": 0)"),
      State("64", "[40, 512]",
            R"(, "nested_blocksize": 256, "nested_dtype": "float32",
               "nested_offset": "x")"),
  };
  for (const std::string& text : kFields) {
    TensorMap tensors = Golden();
    tensors[kState] = Bytes(text);
    ExpectWrong(std::move(tensors), kState, error_id::kModelConfig);
  }
  for (const std::string& text :
       {State("40", "[40, 512]"),
        State("64", "[40, 512]",
              R"(, "nested_blocksize": 256, "nested_offset": 1,
                 "nested_dtype": "float16")")}) {
    TensorMap tensors = Golden();
    tensors[kState] = Bytes(text);
    ExpectWrong(std::move(tensors), kState, error_id::kModelUnsupported);
  }
}

// A block size of 0 would be divided by, and an offset of 0 is a number like
// another: nothing stands for what is not there.
TEST(BitsAndBytesTest, AQuantStateThatLacksAKeyIsRefused) {
  const std::string whole =
      R"({"quant_type": "nf4", "blocksize": 64, "shape": [40, 512],
          "nested_blocksize": 256, "nested_dtype": "float32",
          "nested_offset": 1})";
  for (const char* key :
       {"quant_type", "blocksize", "shape", "nested_offset"}) {
    TensorMap tensors = Golden();
    tensors[kState] = Bytes(absl::StrReplaceAll(
        whole, {{absl::StrCat("\"", key), absl::StrCat("\"no_", key)}}));
    ExpectWrong(tensors, key, error_id::kModelConfig);
    ExpectWrong(std::move(tensors), kState, error_id::kModelConfig);
  }
}

TEST(BitsAndBytesTest, AShapeThatTheCodesDoNotFillIsRefused) {
  TensorMap tensors = Golden();
  tensors["plain_nf4.weight.quant_state.bitsandbytes__nf4"] =
      Bytes(State("64", "[4, 128]"));
  ExpectWrong(std::move(tensors), "plain_nf4.weight");
}

}  // namespace
}  // namespace peft
