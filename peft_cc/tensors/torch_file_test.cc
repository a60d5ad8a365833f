#include "peft_cc/tensors/torch_file.h"

#include <cstring>
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

constexpr char kTestData[] = "peft_cc/tensors/testdata";

void ExpectSameTensors(const TensorMap& expected, const TensorMap& found,
                       const std::string& what) {
  ASSERT_EQ(expected.size(), found.size()) << what;
  for (const auto& [name, tensor] : expected) {
    ASSERT_EQ(found.count(name), 1u) << what << " " << name;
    const Tensor& other = found.at(name);
    EXPECT_EQ(tensor.dtype(), other.dtype()) << what << " " << name;
    EXPECT_EQ(tensor.shape(), other.shape()) << what << " " << name;
    EXPECT_EQ(std::memcmp(tensor.data(), other.data(), tensor.size_bytes()), 0)
        << what << " " << name;
  }
}

void ExpectError(absl::string_view file, absl::string_view id,
                 absl::string_view part) {
  const absl::Status status =
      ParseTorchFile(ToBytes(file), "adapter_model.bin").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << part;
  EXPECT_EQ(ErrorId(status), id) << status;
  EXPECT_TRUE(absl::StartsWith(status.message(), "adapter_model.bin: "));
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
}

void ExpectRefused(absl::string_view file, absl::string_view part) {
  ExpectError(file, "TORCH_FILE", part);
}

// The archive of the one tensor, with other or further entries.
std::string Archive(const std::vector<ZipItem>& entries) {
  return ZipBytes(entries);
}

ZipItem Pickle() { return {"a/data.pkl", OneTensorPickle()}; }
ZipItem Storage() { return {"a/data/0", FloatBytes(6)}; }

// Each .bin was written by torch, or from what torch wrote; the .safetensors
// beside it holds the same tensors.
TEST(ReadTorchFile, GoldenFiles) {
  int num_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kTestData)) {
    if (entry.path().extension() != ".bin") continue;
    std::filesystem::path golden = entry.path();
    golden.replace_extension(".safetensors");
    const auto expected = ReadSafetensors(golden.string(), ReadMode::kRead);
    ASSERT_TRUE(expected.ok()) << expected.status();
    for (ReadMode mode : {ReadMode::kRead, ReadMode::kMap}) {
      const auto found = ReadTorchFile(entry.path().string(), mode);
      ASSERT_TRUE(found.ok()) << found.status();
      ExpectSameTensors(expected->tensors, *found, entry.path());
    }
    ++num_files;
  }
  EXPECT_GE(num_files, 15);
}

TEST(ReadTorchFile, DirectoryAndMissingFileAreRefused) {
  EXPECT_EQ(ReadTorchFile(kTestData, ReadMode::kRead).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadTorchFile("none.bin", ReadMode::kMap).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(ParseTorchFile, ReadsMinimalArchive) {
  const auto tensors =
      ParseTorchFile(ToBytes(Archive({Pickle(), Storage()})), "x");
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  EXPECT_EQ(tensors->at("w").ToF32(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

TEST(ParseTorchFile, OrderOfEntriesAndUnknownEntriesDoNotMatter) {
  const std::string file =
      Archive({Storage(), {"a/data/7", "unused"}, {"a/new", ""}, Pickle()});
  EXPECT_TRUE(ParseTorchFile(ToBytes(file), "x").ok());
}

TEST(ParseTorchFile, RefusedGlobalIsNamed) {
  const std::string pickle =
      PickleBuilder().Global("os", "system").String("id").Raw("\x85R").Stop();
  ExpectError(TorchZipBytes(pickle, ""), "PICKLE_REFUSED",
              "global \"os.system\"");
  ExpectError(TorchLegacyBytes(pickle, 0, ""), "PICKLE_REFUSED",
              "global \"os.system\"");
}

TEST(ParseTorchFile, BigEndianIsRefusedByName) {
  ExpectRefused(Archive({Pickle(), {"a/byteorder", "big"}, Storage()}),
                "byte order \"big\"");
  ExpectRefused(Archive({Pickle(), {"a/byteorder", ""}, Storage()}),
                "byte order \"\"");
}

TEST(ParseTorchFile, MissingEntriesAreNamed) {
  ExpectRefused(Archive({Storage()}), "no entry data.pkl");
  ExpectRefused(Archive({Pickle()}), "no entry \"data/0\"");
}

TEST(ParseTorchFile, TorchScriptIsNamed) {
  ExpectRefused(Archive({Pickle(), Storage(), {"a/constants.pkl", ""}}),
                "TorchScript");
}

TEST(ParseTorchFile, OneFolderHoldsAllEntries) {
  ExpectRefused(Archive({Pickle(), {"b/data/0", FloatBytes(6)}}),
                "\"b/data/0\" is not in the one folder");
  ExpectRefused(Archive({{"data.pkl", OneTensorPickle()}}),
                "not in the one folder");
}

TEST(ParseTorchFile, StorageKeyIsNoPath) {
  const std::string pickle =
      PickleBuilder()
          .Dict()
          .String("w")
          .Tensor("FloatStorage", "../data.pkl", 6, 0, {6}, {1})
          .Raw("s")
          .Stop();
  ExpectRefused(TorchZipBytes(pickle, FloatBytes(6)),
                "no entry \"data/../data.pkl\"");
}

TEST(ParseTorchFile, StorageMustHaveItsSize) {
  ExpectRefused(TorchZipBytes(OneTensorPickle(), FloatBytes(5)),
                "\"data/0\" has 20 bytes, expected 6 elements of 4");
  ExpectRefused(TorchZipBytes(OneTensorPickle(), FloatBytes(7)),
                "\"data/0\" has 28 bytes");
  const std::string huge =
      PickleBuilder()
          .Dict()
          .String("w")
          .Tensor("FloatStorage", "0", (int64_t{1} << 62) + 6, 0, {6}, {1})
          .Raw("s")
          .Stop();
  ExpectRefused(TorchZipBytes(huge, FloatBytes(6)), "has 24 bytes");
}

TEST(ParseTorchFile, BytesBehindThePickleAreRefused) {
  ExpectRefused(TorchZipBytes(OneTensorPickle() + "x", FloatBytes(6)),
                "1 bytes behind its end");
}

TEST(ParseTorchFile, TensorOutsideItsStorageIsNamed) {
  const std::string pickle = PickleBuilder()
                                 .Dict()
                                 .String("layer.w")
                                 .Tensor("FloatStorage", "0", 6, 1, {6}, {1})
                                 .Raw("s")
                                 .Stop();
  ExpectRefused(TorchZipBytes(pickle, FloatBytes(6)),
                "tensor \"layer.w\" with shape [6]");
}

TEST(ParseTorchFile, CompressedArchiveIsRefused) {
  ZipItem storage = Storage();
  storage.method = 8;
  ExpectRefused(Archive({Pickle(), storage}), "\"a/data/0\" is compressed");
}

TEST(ParseTorchFile, OtherFilesAreNamed) {
  ExpectRefused("", "the file is empty");
  ExpectRefused("version https://git-lfs.github.com/spec/v1", "Git LFS");
  ExpectRefused("<!DOCTYPE html>", "web page");
  ExpectRefused(SafetensorsBytes("{}", ""), "may be safetensors");
}

TEST(ParseTorchFile, FileCutAtAnyByteIsRefused) {
  const std::string whole = OneTensorTorchZip();
  ASSERT_TRUE(ParseTorchFile(ToBytes(whole), "x").ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    ExpectRefused(whole.substr(0, size), "");
  }
}

TEST(ParseTorchFile, GoldenFileCutAnywhereIsRefused) {
  for (const char* name : {"zip_views.bin", "legacy_views.bin"}) {
    const auto whole = ReadTextFile(absl::StrCat(kTestData, "/", name), 100000);
    ASSERT_TRUE(whole.ok()) << whole.status();
    for (size_t size = 0; size < whole->size(); size += 7) {
      ExpectRefused(whole->substr(0, size), "");
    }
  }
}

}  // namespace
}  // namespace peft
