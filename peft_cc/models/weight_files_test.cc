#include "peft_cc/models/weight_files.h"

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/base/json.h"
#include "peft_cc/models/model_test_util.h"
#include "peft_cc/tensors/test_files.h"

namespace peft {
namespace {

constexpr char kIndex[] = "/model.safetensors.index.json";
constexpr char kFirst[] = "model-00001-of-00004.safetensors";
constexpr char kSecond[] = "model-00002-of-00004.safetensors";
constexpr char kNorm[] = "model.norm.weight";

class ShardsTest : public ::testing::Test {
 protected:
  ShardsTest() : folder_(CopyOfModel("qwen2_sliding_sharded")) {}

  absl::StatusOr<WeightFiles> Read() {
    return ReadWeightFiles(folder_, ReadMode::kRead);
  }

  void EditIndex(const std::function<void(Json&)>& edit) {
    Json index = *ParseJson(ReadText(folder_ + kIndex), "index");
    edit(index);
    WriteText(folder_ + kIndex, DumpJson(index));
  }

  // The error of reading with this weight_map.
  absl::Status WithMap(Json map) {
    EditIndex([&](Json& index) { index["weight_map"] = std::move(map); });
    return Read().status();
  }

  std::string folder_;
};

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST_F(ShardsTest, ReadsAllShards) {
  const auto files = Read();
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->tensors.size(), 27u);
  EXPECT_EQ(files->tensors.count(kNorm), 1u);
  EXPECT_TRUE(files->notes.empty());
}

TEST_F(ShardsTest, TheSingleFileIsPreferred) {
  std::filesystem::copy(GoldenModel("llama") + "/model.safetensors", folder_);
  const auto files = Read();
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->tensors.size(), 21u);
}

TEST_F(ShardsTest, AMissingShardIsNamed) {
  std::filesystem::remove(absl::StrCat(folder_, "/", kSecond));
  EXPECT_TRUE(IsError(Read().status(), absl::StatusCode::kNotFound,
                      "FILE_NOT_FOUND", kSecond));
}

TEST_F(ShardsTest, ATensorListedUnderAnotherShardIsNamed) {
  EditIndex([](Json& index) { index["weight_map"][kNorm] = kFirst; });
  EXPECT_TRUE(IsError(
      Read().status(), kInvalid, "MODEL_WEIGHTS",
      absl::StrCat("tensor \"", kNorm, "\" is listed in \"", kFirst, "\"")));
}

TEST_F(ShardsTest, ShardsOutsideTheFolderAreRefused) {
  for (const char* name :
       {"../model.safetensors", "/etc/passwd", "a/../../b", ""}) {
    EXPECT_TRUE(IsError(WithMap({{"x", name}}), kInvalid, "PATH_ESCAPES", ""))
        << name;
  }
}

TEST_F(ShardsTest, BrokenIndexesAreErrors) {
  for (const Json& map :
       {Json(nullptr), Json::object(), Json::array({1}), Json("x"), Json(3)}) {
    EXPECT_TRUE(IsError(WithMap(map), kInvalid, "MODEL_WEIGHTS", "weight_map"))
        << map;
  }
  EXPECT_TRUE(IsError(WithMap({{"x", 3}}), kInvalid, "MODEL_WEIGHTS",
                      "the file of tensor \"x\""));
  for (const char* text : {"[]", "{}", "3"}) {
    WriteText(folder_ + kIndex, text);
    EXPECT_TRUE(
        IsError(Read().status(), kInvalid, "MODEL_WEIGHTS", "weight_map"));
  }
  WriteText(folder_ + kIndex, "{");
  EXPECT_TRUE(IsError(Read().status(), kInvalid, "JSON", "index.json"));
}

TEST_F(ShardsTest, ABrokenShardIsASafetensorsError) {
  WriteText(absl::StrCat(folder_, "/", kSecond), "short");
  EXPECT_TRUE(IsError(Read().status(), kInvalid, "SAFETENSORS", kSecond));
}

TEST_F(ShardsTest, UnlistedTensorsAreReadWithANote) {
  EditIndex([](Json& index) { index["weight_map"].erase(kNorm); });
  const auto files = Read();
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->tensors.count(kNorm), 1u);
  ASSERT_EQ(files->notes.size(), 1u);
  EXPECT_NE(files->notes[0].find(kNorm), std::string::npos);
}

TEST_F(ShardsTest, ATensorThatTwoShardsHoldCountsWhereItIsListed) {
  EditTensors(
      folder_,
      [](TensorMap& tensors) {
        tensors.emplace(kNorm, tensors.begin()->second);
      },
      kFirst);
  const auto files = Read();
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->tensors.at(kNorm).dim(0), 32);
  EXPECT_EQ(files->tensors.at(kNorm).rank(), 1);
  EditIndex([](Json& index) { index["weight_map"].erase(kNorm); });
  EXPECT_TRUE(IsError(Read().status(), kInvalid, "MODEL_WEIGHTS",
                      "does not say which one counts"));
}

// Without weights.
std::string EmptyFolder() {
  const std::string folder = CopyOfModel("llama");
  std::filesystem::remove(folder + "/model.safetensors");
  return folder;
}

TEST(WeightFilesTest, AFolderWithoutWeightsSaysWhatWasLookedFor) {
  const std::string folder = EmptyFolder();
  EXPECT_TRUE(IsError(ReadWeightFiles(folder, ReadMode::kRead).status(),
                      absl::StatusCode::kNotFound, "FILE_NOT_FOUND",
                      "looked for model.safetensors"));
}

TEST(WeightFilesTest, PickledWeightsAreReadWhereThereAreNoOthers) {
  const std::string folder = EmptyFolder();
  WriteText(folder + "/pytorch_model.bin", OneTensorTorchZip());
  const auto files = ReadWeightFiles(folder, ReadMode::kMap);
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_EQ(files->tensors.size(), 1u);
  EXPECT_EQ(files->tensors.at("w").dim(1), 3);
  EXPECT_EQ(files->file_of.at("w"), "model.safetensors");
}

TEST(WeightFilesTest, PickledShardsAreThoseOfTheirIndex) {
  const std::string folder = EmptyFolder();
  const std::string shard = "pytorch_model-00001-of-00001.bin";
  WriteText(absl::StrCat(folder, "/", shard), OneTensorTorchZip());
  WriteText(folder + "/pytorch_model.bin.index.json",
            DumpJson({{"weight_map", {{"w", shard}}}}));
  const auto files = ReadWeightFiles(folder, ReadMode::kRead);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->tensors.at("w").dim(0), 2);
  EXPECT_EQ(files->file_of.at("w"), "model-00001-of-00001.safetensors");
}

TEST(WeightFilesTest, SafetensorsArePreferred) {
  const std::string folder = CopyOfModel("llama");
  WriteText(folder + "/pytorch_model.bin", "x");
  const auto files = ReadWeightFiles(folder, ReadMode::kRead);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->tensors.size(), 21u);
}

TEST(WeightFilesTest, WhatIsNoStateDictIsNamed) {
  const std::string folder = EmptyFolder();
  WriteText(folder + "/pytorch_model.bin", "x");
  EXPECT_TRUE(IsError(ReadWeightFiles(folder, ReadMode::kRead).status(),
                      kInvalid, "TORCH_FILE", "pytorch_model.bin"));
}

TEST(WeightFilesTest, MappedAndReadFilesAreEqual) {
  const std::string folder = GoldenModel("llama");
  const auto mapped = ReadWeightFiles(folder, ReadMode::kMap);
  const auto read = ReadWeightFiles(folder, ReadMode::kRead);
  ASSERT_TRUE(mapped.ok() && read.ok());
  EXPECT_EQ(mapped->tensors.at(kNorm).ToF32(), read->tensors.at(kNorm).ToF32());
}

}  // namespace
}  // namespace peft
