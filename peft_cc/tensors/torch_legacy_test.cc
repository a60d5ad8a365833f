#include "peft_cc/tensors/torch_legacy.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/tensors/test_files.h"

namespace peft {
namespace {

std::string OneTensorLegacy() {
  return TorchLegacyBytes(OneTensorPickle(), 6, FloatBytes(6));
}

void ExpectRefused(absl::string_view file, absl::string_view part) {
  const absl::Status status = ParseTorchLegacy(ToBytes(file)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << part;
  EXPECT_EQ(ErrorId(status), "TORCH_FILE") << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
}

// The valid file with its only `from` replaced.
std::string Replaced(absl::string_view from, absl::string_view to) {
  return absl::StrReplaceAll(OneTensorLegacy(), {{from, to}});
}

TEST(TorchLegacy, ReadsTensor) {
  const auto tensors = ParseTorchLegacy(ToBytes(OneTensorLegacy()));
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  EXPECT_EQ(tensors->at("w").ToF32(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

TEST(TorchLegacy, OtherFilesAreNamed) {
  ExpectRefused("", "the file is empty");
  ExpectRefused("hello", "no file of torch.save");
  ExpectRefused("version https://git-lfs.github.com/spec/v1", "git lfs pull");
  ExpectRefused(std::string(257, '\0') + "ustar", "tar archive");
  ExpectRefused(Replaced("\x6c\xfc", "\x6d\xfc"), "no file of torch.save");
}

TEST(TorchLegacy, OtherVersionIsRefused) {
  ExpectRefused(Replaced(LittleEndian(1001, 8), LittleEndian(1000, 8)),
                "another version than 1001");
}

TEST(TorchLegacy, BigEndianIsRefused) {
  ExpectRefused(Replaced("little_endian\x88", "little_endian\x89"),
                "byte order big");
  ExpectRefused(Replaced("little_endian", "little_endiam"),
                "does not say its byte order");
}

TEST(TorchLegacy, StorageMustBeListed) {
  ExpectRefused(Replaced("]X\x01" + std::string(3, '\0') + "0",
                         "]X\x01" + std::string(3, '\0') + "1"),
                "lists storage \"1\"");
  ExpectRefused(Replaced("]X\x01" + std::string(3, '\0') + "0a", "]"),
                "does not list storage \"0\"");
  ExpectRefused(Replaced("]X\x01" + std::string(3, '\0') + "0a", "N"),
                "no list of storages");
}

TEST(TorchLegacy, StorageListedTwiceIsRefused) {
  const std::string key = "X\x01" + std::string(3, '\0') + "0a";
  ExpectRefused(Replaced("]" + key, "]" + key + key), "lists storage \"0\"");
}

TEST(TorchLegacy, StorageMustHaveItsSize) {
  ExpectRefused(TorchLegacyBytes(OneTensorPickle(), 5, FloatBytes(6)),
                "has 5 elements, expected 6");
  ExpectRefused(TorchLegacyBytes(OneTensorPickle(), -1, FloatBytes(6)),
                "has -1 elements, expected 6");
  ExpectRefused(TorchLegacyBytes(OneTensorPickle(), 6, FloatBytes(5)),
                "cut short in storage \"0\"");
}

TEST(TorchLegacy, HugeStorageIsRefused) {
  const int64_t huge = int64_t{1} << 62;
  const std::string pickle = PickleBuilder()
                                 .Dict()
                                 .String("w")
                                 .Tensor("FloatStorage", "0", huge, 0, {1}, {1})
                                 .Raw("s")
                                 .Stop();
  ExpectRefused(TorchLegacyBytes(pickle, huge, FloatBytes(6)), "cut short");
}

TEST(TorchLegacy, BytesBehindTheEndAreRefused) {
  ExpectRefused(OneTensorLegacy() + "x", "1 bytes behind its end");
}

TEST(TorchLegacy, FileCutAtAnyByteIsRefused) {
  const std::string whole = OneTensorLegacy();
  for (size_t size = 0; size < whole.size(); ++size) {
    ExpectRefused(whole.substr(0, size), "");
  }
}

}  // namespace
}  // namespace peft
