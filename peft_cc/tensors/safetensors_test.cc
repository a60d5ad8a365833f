#include "peft_cc/tensors/safetensors.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/tensors/test_files.h"

namespace peft {
namespace {

absl::StatusOr<SafetensorsFile> Parse(absl::string_view header,
                                      absl::string_view data) {
  return ParseSafetensors(ToBytes(SafetensorsBytes(header, data)), "x.st");
}

void ExpectError(const absl::Status& status, absl::string_view part) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << part;
  EXPECT_EQ(ErrorId(status), "SAFETENSORS") << status;
  EXPECT_TRUE(absl::StartsWith(status.message(), "x.st: ")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
}

// Expects a file with this header and 8 bytes of data to be refused.
void ExpectRefused(absl::string_view header, absl::string_view part) {
  ExpectError(Parse(header, std::string(8, 'x')).status(), part);
}

// A header with one tensor "a" of 8 bytes and these fields.
std::string OneTensor(absl::string_view dtype, absl::string_view shape,
                      absl::string_view offsets) {
  return absl::StrCat(R"({"a":{"dtype":)", dtype, R"(,"shape":)", shape,
                      R"(,"data_offsets":)", offsets, "}}");
}

// A header with tensor "a" of two floats and these further entries.
std::string Beside(absl::string_view entries) {
  return absl::StrCat(
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)", entries,
      "}");
}

TEST(Safetensors, ReadsTensorsAndMetadata) {
  const auto file =
      Parse(R"({"__metadata__":{"format":"pt","k":""},)"
            R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[8,14]},)"
            R"("a":{"shape":[1,2],"data_offsets":[0,8],"dtype":"F32"}})",
            FloatBytes(2) + std::string("\x80\x3f\x00\x40\x40\x40", 6));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata.at("format"), "pt");
  EXPECT_EQ(file->metadata.size(), 2u);
  ASSERT_EQ(file->tensors.size(), 2u);
  const Tensor& a = file->tensors.at("a");
  EXPECT_EQ(a.dtype(), DType::kF32);
  EXPECT_EQ(ShapeToString(a.shape()), "[1, 2]");
  EXPECT_EQ(a.ToF32(), (std::vector<float>{1, 2}));
  EXPECT_EQ(file->tensors.at("b").ToF32(), (std::vector<float>{1, 2, 3}));
}

TEST(Safetensors, HeaderOfAnySizeAndUnalignedTensorsAreFine) {
  const auto file =
      Parse(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
            R"("b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}} )",
            "x" + FloatBytes(2));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->tensors.at("b").ToF32(), (std::vector<float>{1, 2}));
}

TEST(Safetensors, ScalarsAndEmptyTensors) {
  const auto file =
      Parse(R"({"s":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
            R"("e":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]},)"
            R"("z":{"dtype":"F32","shape":[3,0],"data_offsets":[8,8]}})",
            std::string(8, '\0'));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->tensors.at("s").num_elements(), 1);
  EXPECT_EQ(file->tensors.at("e").num_elements(), 0);
  EXPECT_TRUE(file->tensors.at("z").ToF32().empty());
}

TEST(Safetensors, FileWithoutTensorsIsFine) {
  EXPECT_TRUE(Parse("{}", "").ok());
  EXPECT_TRUE(Parse(R"({"__metadata__":{}}  )", "").ok());
}

TEST(Safetensors, SubByteTypesFillBytes) {
  const std::string four = OneTensor("\"F4\"", "[16]", "[0,8]");
  EXPECT_TRUE(Parse(four, std::string(8, 'x')).ok());
  ExpectRefused(OneTensor("\"F4\"", "[15]", "[0,8]"), "whole bytes");
  ExpectRefused(OneTensor("\"F6_E2M3\"", "[3]", "[0,8]"), "whole bytes");
}

TEST(Safetensors, TensorsOutliveTheFile) {
  Tensor tensor;
  {
    const auto file =
        Parse(OneTensor("\"F32\"", "[2]", "[0,8]"), FloatBytes(2));
    tensor = file->tensors.at("a");
  }
  EXPECT_EQ(tensor.ToF32()[1], 2.0f);
}

TEST(Safetensors, ShortFileIsRefused) {
  for (size_t size = 0; size < 8; ++size) {
    ExpectError(
        ParseSafetensors(ToBytes(std::string(size, '\0')), "x.st").status(),
        "expected at least 8");
  }
}

TEST(Safetensors, HugeHeaderIsRefused) {
  for (uint64_t size : {uint64_t{100'000'001}, UINT64_MAX}) {
    const std::string file = LittleEndian(size, 8) + "{}";
    ExpectError(ParseSafetensors(ToBytes(file), "x.st").status(),
                "expected at most 100000000");
  }
}

TEST(Safetensors, HeaderLongerThanTheFileIsRefused) {
  const std::string file = LittleEndian(3, 8) + "{}";
  ExpectError(ParseSafetensors(ToBytes(file), "x.st").status(), "cut short");
}

TEST(Safetensors, GitLfsPointerIsNamed) {
  const std::string file = "version https://git-lfs.github.com/spec/v1\n";
  ExpectError(ParseSafetensors(ToBytes(file), "x.st").status(), "git lfs pull");
}

TEST(Safetensors, HeaderThatIsNoTextIsRefused) {
  ExpectRefused("{\"\xff\":1}", "invalid UTF-8");
  ExpectRefused("\xef\xbb\xbf{}", "does not start with '{'");
  ExpectRefused("{\"\\ud800\":1}", "surrogate");
  ExpectRefused(absl::string_view("{}\0\0", 4), "NUL");
}

TEST(Safetensors, HeaderThatIsNoObjectIsRefused) {
  for (const char* header : {"", " {}", "[]", "null", "1", "\"a\""}) {
    ExpectRefused(header, "does not start with '{'");
  }
}

TEST(Safetensors, BadJsonIsRefused) {
  for (const char* header : {"{", "{\"a\"}", "{\"a\":}", "{} x", "{},", "{a:1}",
                             "{\"__metadata__\":{},}"}) {
    ExpectRefused(header, "line 1, column");
  }
}

TEST(Safetensors, DeepNestingIsRefused) {
  ExpectRefused("{\"a\":" + std::string(1000000, '['), "has an array");
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  ExpectRefused(objects, "unknown field \"a\"");
}

TEST(Safetensors, EntryThatIsNoObjectIsRefused) {
  ExpectRefused(R"({"a":["F32",[2],[0,8]]})",
                "tensor \"a\" has an array, expected an object");
  ExpectRefused(R"({"a":null})", "has null");
  ExpectRefused(R"({"a":7})", "has the number 7");
  ExpectRefused(R"({"a":"F32"})", "has the string \"F32\"");
  ExpectRefused(R"({"a":true})", "has a boolean");
}

TEST(Safetensors, UnknownDTypeIsRefused) {
  for (const char* dtype : {"\"f32\"", "\"FLOAT\"", "\"\"", "\"F128\""}) {
    ExpectRefused(OneTensor(dtype, "[2]", "[0,8]"), "tensor \"a\": dtype is");
  }
  ExpectRefused(OneTensor("10", "[2]", "[0,8]"), "expected a string");
  ExpectRefused(OneTensor("null", "[2]", "[0,8]"), "dtype has null");
  ExpectRefused(OneTensor("{}", "[2]", "[0,8]"), "dtype has an object");
}

TEST(Safetensors, MissingFieldIsRefused) {
  ExpectRefused(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", "has no dtype");
  ExpectRefused(R"({"a":{"dtype":"F32","data_offsets":[0,8]}})",
                "has no shape");
  ExpectRefused(R"({"a":{"dtype":"F32","shape":[2]}})", "has no data_offsets");
  ExpectRefused(R"({"a":{}})", "has no dtype");
}

TEST(Safetensors, FieldTwiceIsRefused) {
  const char* fields[] = {R"("dtype":"F32")", R"("shape":[2])",
                          R"("data_offsets":[0,8])"};
  for (const char* field : fields) {
    ExpectRefused(absl::StrCat(R"({"a":{"dtype":"F32","shape":[2],)",
                               R"("data_offsets":[0,8],)", field, "}}"),
                  "appears twice");
  }
}

TEST(Safetensors, UnknownFieldIsRefused) {
  ExpectRefused(
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})",
      "unknown field \"x\"");
}

TEST(Safetensors, NumbersThatAreNoCountsAreRefused) {
  for (const char* number : {"-1", "-0", "2.0", "2e0", "1.5", "\"2\"", "null",
                             "true", "18446744073709551616", "[2]", "{}"}) {
    const std::string shape = absl::StrCat("[", number, "]");
    ExpectRefused(OneTensor("\"F32\"", shape, "[0,8]"), "shape has");
    const std::string offsets = absl::StrCat("[0,", number, "]");
    ExpectRefused(OneTensor("\"F32\"", "[2]", offsets), "data_offsets has");
  }
  ExpectRefused(OneTensor("\"F32\"", "2", "[0,8]"), "expected an array");
  ExpectRefused(OneTensor("\"F32\"", "[9223372036854775808]", "[0,8]"),
                "below 2^63");
}

TEST(Safetensors, NumberOfOffsetsIsTwo) {
  ExpectRefused(OneTensor("\"F32\"", "[2]", "[0,8,8]"), "has 3 numbers");
  ExpectRefused(OneTensor("\"F32\"", "[2]", "[8]"), "has 1 numbers");
  ExpectRefused(OneTensor("\"F32\"", "[2]", "[]"), "has 0 numbers");
}

TEST(Safetensors, TooManyDimensionsAreRefused) {
  std::string shape = "[1";
  for (int i = 0; i < 64; ++i) shape += ",1";
  ExpectRefused(OneTensor("\"F64\"", shape + "]", "[0,8]"),
                "more than 64 dimensions");
}

TEST(Safetensors, BadMetadataIsRefused) {
  const struct {
    const char* metadata;
    const char* part;
  } cases[] = {
      {"null", "has null"},
      {"[]", "has an array"},
      {"\"x\"", "has the string"},
      {R"({"k":1})", "__metadata__ \"k\" has the number 1"},
      {R"({"k":null})", "has null"},
      {R"({"k":{}})", "has an object"},
      {R"({"k":["x"]})", "has an array"},
      {R"({"k":"a","k":"b"})", "__metadata__ \"k\" appears twice"},
  };
  for (const auto& test : cases) {
    ExpectRefused(Beside(absl::StrCat("\"__metadata__\":", test.metadata)),
                  test.part);
  }
  ExpectRefused(Beside(R"("__metadata__":{},"__metadata__":{})"),
                "key \"__metadata__\" appears twice");
}

TEST(Safetensors, DuplicateNameIsRefused) {
  ExpectRefused(
      Beside(R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})"),
      "tensor \"a\" appears twice");
  ExpectRefused(
      Beside(R"("\u0061":{"dtype":"F32","shape":[0],"data_offsets":[8,8]})"),
      "tensor \"a\" appears twice");
}

TEST(Safetensors, BadNameIsRefused) {
  ExpectRefused(
      Beside(R"("":{"dtype":"F32","shape":[0],"data_offsets":[8,8]})"),
      "empty name");
  ExpectRefused(
      Beside(R"("x\u0000":{"dtype":"F32","shape":[0],"data_offsets":[8,8]})"),
      "contains a NUL");
}

TEST(Safetensors, TensorsMustStartAtTheFirstByte) {
  ExpectRefused(OneTensor("\"U8\"", "[7]", "[1,8]"),
                "tensor \"a\" has data_offsets [1, 8], expected a range that "
                "starts at 0");
}

TEST(Safetensors, GapIsRefused) {
  ExpectRefused(
      R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
      R"("b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
      "tensor \"b\" has data_offsets [4, 8], expected a range that starts "
      "at 3");
}

TEST(Safetensors, OverlapIsRefused) {
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},)"
                R"("b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                "tensor \"b\"");
  ExpectRefused(
      Beside(R"("b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})"),
      "expected a range that starts at 8");
}

TEST(Safetensors, EndBeforeBeginIsRefused) {
  ExpectRefused(OneTensor("\"U8\"", "[0]", "[8,0]"), "[8, 0]");
  ExpectRefused(
      Beside(R"("b":{"dtype":"U8","shape":[0],"data_offsets":[8,7]})"),
      "[8, 7]");
}

TEST(Safetensors, OverflowingShapeIsRefused) {
  const char* big = "4611686018427387904";  // 2^62
  ExpectRefused(OneTensor("\"F32\"", absl::StrCat("[", big, ",4]"), "[0,8]"),
                "overflows");
  ExpectRefused(OneTensor("\"F32\"", absl::StrCat("[", big, "]"), "[0,8]"),
                "overflows");
  ExpectRefused(
      OneTensor("\"F32\"", absl::StrCat("[0,", big, ",", big, "]"), "[0,0]"),
      "overflows");
}

TEST(Safetensors, ShapeMustFitTheRange) {
  const absl::Status status =
      Parse(OneTensor("\"F32\"", "[3]", "[0,8]"), std::string(8, 'x')).status();
  ExpectError(status, "of shape [3] and dtype F32 needs 12 bytes");
  EXPECT_EQ(GetErrorDetails(status).tensor, "a");
  EXPECT_EQ(GetErrorDetails(status).expected, "12 bytes");
  EXPECT_EQ(GetErrorDetails(status).found, "8 bytes");
}

TEST(Safetensors, DataMustEndWithTheLastTensor) {
  const std::string header = OneTensor("\"F32\"", "[2]", "[0,8]");
  ExpectError(Parse(header, std::string(9, 'x')).status(), "has 9 bytes");
  ExpectError(Parse(header, std::string(7, 'x')).status(), "has 7 bytes");
  ExpectError(Parse("{}", "x").status(), "has 1 bytes");
}

TEST(Safetensors, OffsetsBeyondTheFileAreRefused) {
  const char* offsets = "[0,18446744073709551615]";
  ExpectRefused(OneTensor("\"U8\"", "[8]", offsets), "18446744073709551615");
  ExpectRefused(
      OneTensor("\"U8\"", "[9223372036854775807]", "[0,9223372036854775807]"),
      "overflows");
}

TEST(Safetensors, FileCutAtAnyByteIsRefused) {
  const std::string whole = SafetensorsBytes(
      Beside(R"("b":{"dtype":"U8","shape":[1],"data_offsets":[8,9]})"),
      std::string(9, 'x'));
  ASSERT_TRUE(ParseSafetensors(ToBytes(whole), "x.st").ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    ExpectError(
        ParseSafetensors(ToBytes(whole.substr(0, size)), "x.st").status(), "");
  }
}

TEST(ReadSafetensors, DirectoryAndMissingFileAreRefused) {
  const std::string folder = testing::TempDir();
  const absl::Status directory =
      ReadSafetensors(folder, ReadMode::kRead).status();
  EXPECT_EQ(directory.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(directory.message(), "directory"));
  const absl::Status missing =
      ReadSafetensors(folder + "/none", ReadMode::kMap).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
}

// A file with holes claims any size at no cost.
TEST(ReadSafetensors, AFileOfATerabyteIsRefusedByItsHeader) {
  const std::string path = testing::TempDir() + "/sparse.safetensors";
  const std::string bytes =
      SafetensorsBytes(OneTensor(R"("F32")", "[2]", "[0,8]"), "12345678");
  std::ofstream(path, std::ios::binary) << bytes;
  std::filesystem::resize_file(path, uint64_t{1} << 40);
  const absl::Status status = ReadSafetensors(path, ReadMode::kRead).status();
  std::filesystem::remove(path);
  EXPECT_EQ(ErrorId(status), "SAFETENSORS") << status;
}

}  // namespace
}  // namespace peft
