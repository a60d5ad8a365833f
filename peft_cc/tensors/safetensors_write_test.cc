#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/tensors/safetensors.h"
#include "peft_cc/tensors/test_files.h"

namespace peft {
namespace {

std::string OutputPath() { return testing::TempDir() + "/out.safetensors"; }

std::string FileContent(const std::string& path) {
  return ReadTextFile(path, 1 << 20).value();
}

std::string Written(const TensorMap& tensors,
                    const std::map<std::string, std::string>& metadata) {
  const absl::Status status = WriteSafetensors(OutputPath(), tensors, metadata);
  EXPECT_TRUE(status.ok()) << status;
  return FileContent(OutputPath());
}

// A tensor over constant bytes, which live for ever.
Tensor Make(DType dtype, std::vector<int64_t> shape) {
  static const char bytes[64] = "0123456789abcdefghijklmnopqrstuvwxyz";
  return Tensor(dtype, std::move(shape), bytes, nullptr);
}

void ExpectRefused(const TensorMap& tensors,
                   const std::map<std::string, std::string>& metadata,
                   absl::string_view part) {
  std::filesystem::remove(OutputPath());
  const absl::Status status = WriteSafetensors(OutputPath(), tensors, metadata);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorId(status), "SAFETENSORS");
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
  EXPECT_FALSE(FileExists(OutputPath()));
}

// The golden files were written by Python's safetensors.
TEST(WriteSafetensors, EqualsTheReferenceByteForByte) {
  int num_files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("peft_cc/tensors/testdata")) {
    if (entry.path().extension() != ".safetensors") continue;
    const auto file = ReadSafetensors(entry.path().string(), ReadMode::kRead);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE(Written(file->tensors, file->metadata) ==
                FileContent(entry.path()))
        << entry.path();
    ++num_files;
  }
  EXPECT_GE(num_files, 10);
}

TEST(WriteSafetensors, SortsByDTypeThenName) {
  const std::string content = Written({{"b", Make(DType::kF32, {1})},
                                       {"a", Make(DType::kF32, {2})},
                                       {"c", Make(DType::kI64, {1})},
                                       {"d", Make(DType::kU8, {})}},
                                      {});
  EXPECT_EQ(content.substr(8, content.find("}}") - 6),
            R"({"c":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
            R"("a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},)"
            R"("b":{"dtype":"F32","shape":[1],"data_offsets":[16,20]},)"
            R"("d":{"dtype":"U8","shape":[],"data_offsets":[20,21]}})");
}

TEST(WriteSafetensors, PadsTheHeaderToEightBytes) {
  for (int length = 1; length <= 9; ++length) {
    const std::string content =
        Written({{std::string(length, 'n'), Make(DType::kU8, {1})}}, {});
    EXPECT_EQ((content.size() - 1) % 8, 0u);
    EXPECT_EQ(content.back(), '0');
  }
}

TEST(WriteSafetensors, EscapesLikeTheReference) {
  const std::string content = Written(
      {{"\xc3\xa9\n\"\\\x7f\x01/", Make(DType::kU8, {0})}}, {{"k", "\t\x1f"}});
  EXPECT_TRUE(absl::StrContains(content,
                                "{\"__metadata__\":{\"k\":\"\\t"
                                "\\u001f\"},\"\xc3\xa9\\n\\\"\\\\\x7f"
                                "\\u0001/\":{"))
      << content;
}

TEST(WriteSafetensors, NothingIsAFileToo) {
  EXPECT_EQ(Written({}, {}), LittleEndian(8, 8) + "{}      ");
}

TEST(WriteSafetensors, WhatTheReaderRefusesIsNotWritten) {
  ExpectRefused({{"", Make(DType::kU8, {1})}}, {}, "name");
  ExpectRefused({{"__metadata__", Make(DType::kU8, {1})}}, {}, "name");
  ExpectRefused({{"\xff", Make(DType::kU8, {1})}}, {}, "name");
  ExpectRefused({{std::string("a\0", 2), Make(DType::kU8, {1})}}, {}, "name");
  ExpectRefused({{"a", Make(DType::kUnspecified, {1})}}, {}, "dtype");
  ExpectRefused({{"a", Make(DType::kF4, {3})}}, {}, "whole bytes");
  ExpectRefused({}, {{"k", "\xff"}}, "UTF-8");
}

TEST(WriteSafetensors, ReportsWhereItCannotWrite) {
  const absl::Status status = WriteSafetensors("/none/out", {}, {});
  EXPECT_EQ(ErrorId(status), "FILE_WRITE");
}

}  // namespace
}  // namespace peft
