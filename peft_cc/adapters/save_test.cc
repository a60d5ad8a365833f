#include "peft_cc/adapters/save.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/adapter_folder.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Golden(const std::string& name) {
  return "peft_cc/adapters/testdata/" + name;
}

std::string Text(const std::string& path) {
  return ReadTextFile(path, 1 << 20).value_or("absent");
}

bool BitEqual(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

AdapterConfig ParseConfig(const std::string& text) {
  AdapterConfigOptions options;
  options.lenient = true;
  auto config = ParseAdapterConfig(text, options);
  EXPECT_TRUE(config.ok()) << config.status();
  return *std::move(config);
}

class SaveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/save_XXXXXX";
    root_ = fs::canonical(mkdtemp(pattern.data()));
    path_ = root_ + "/saved";
  }
  void TearDown() override { fs::remove_all(root_); }

  std::shared_ptr<const Adapter> Load(const std::string& path) {
    auto loaded = LoadAdapter(sites_, "a", path, {});
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return loaded->adapter;
  }

  const SiteTable sites_ = TinySites();
  std::string root_;
  std::string path_;
};

// Every folder that PEFT saved: from .bin, without prefix, of a bare model ...
class RoundTripTest : public SaveTest,
                      public ::testing::WithParamInterface<const char*> {};

TEST_P(RoundTripTest, KeepsEveryTensorAndEveryKey) {
  const std::string from = Golden(GetParam());
  const auto adapter = Load(from);
  ASSERT_TRUE(SaveAdapter(*adapter, path_).ok());
  const TensorMap before = *ReadAdapterTensors(from);
  const auto saved =
      ReadSafetensors(path_ + "/adapter_model.safetensors", ReadMode::kRead);
  ASSERT_TRUE(saved.ok()) << saved.status();
  EXPECT_EQ(saved->metadata.at("format"), "pt");
  ASSERT_EQ(saved->tensors.size(), before.size());
  const bool is_bare = std::string(GetParam()) == "bare";
  for (const auto& [name, tensor] : before) {
    const auto plain = absl::StripPrefix(name, "base_model.model.");
    const auto found = saved->tensors.find(
        absl::StrCat("base_model.model.", is_bare ? "model." : "", plain));
    ASSERT_NE(found, saved->tensors.end()) << name;
    EXPECT_TRUE(BitEqual(found->second, tensor)) << name;
  }
  Json config =
      *ParseJson(Text(from + "/adapter_config.json"), "before", {}, true);
  const Json saved_config =
      *ParseJson(Text(path_ + "/adapter_config.json"), "after", {}, true);
  config["inference_mode"] = true;
  if (is_bare) {
    // A regex of whole names, and a pattern, in this model's names.
    for (const char* const key : {"target_modules", "rank_pattern"}) {
      EXPECT_FALSE(nlohmann::json(config[key]) ==
                   nlohmann::json(saved_config[key]));
      config[key] = saved_config[key];
    }
  }
  EXPECT_EQ(nlohmann::json(config), nlohmann::json(saved_config));
  EXPECT_EQ(Load(path_)->entries().size(), adapter->entries().size());
}

INSTANTIATE_TEST_SUITE_P(All, RoundTripTest,
                         ::testing::Values("plain", "rslora_patterns",
                                           "bias_all", "bias_lora_only",
                                           "lora_bias", "embedding",
                                           "unprefixed", "bare"),
                         [](const auto& info) { return info.param; });

// With one look through all keys for each of them this takes minutes.
TEST(AdapterConfigTextTest, SortsAGreatManyKeys) {
  constexpr int kCount = 200000;
  std::string text = R"({"peft_type": "LORA", "r": 1, "lora_alpha": 1)";
  for (int i = kCount; i > 0; --i) {
    absl::StrAppend(&text, ", \"k", absl::Dec(i, absl::kZeroPad8), "\": 1");
  }
  const std::string sorted = AdapterConfigText(ParseConfig(text + "}"));
  const Json json = *ParseJson(sorted, "sorted");
  EXPECT_EQ(json.size(), kCount + 4u);
  const auto is_before = [](const auto& a, const auto& b) {
    return a.first < b.first;
  };
  const auto& object = json.get_ref<const Json::object_t&>();
  EXPECT_TRUE(std::is_sorted(object.begin(), object.end(), is_before));
}

TEST_F(SaveTest, WhatWasSavedLoadsToTheSameTensors) {
  const auto adapter = Load(Golden("bias_all"));
  ASSERT_TRUE(SaveAdapter(*adapter, path_).ok());
  const auto again = Load(path_);
  ASSERT_EQ(again->state_dict().size(), adapter->state_dict().size());
  for (const auto& [name, tensor] : adapter->state_dict()) {
    EXPECT_TRUE(BitEqual(again->state_dict().at(name), tensor)) << name;
  }
}

TEST_F(SaveTest, LaysTheConfigOutAsPeftDoes) {
  const AdapterConfig config = ParseConfig(
      R"({"r": 2, "peft_type": "LORA", "target_modules": ["v", "q"],)"
      R"( "unknown": {"b": 1.0, "a": null}, "inference_mode": false})");
  EXPECT_EQ(AdapterConfigText(config),
            "{\n"
            "  \"inference_mode\": true,\n"
            "  \"peft_type\": \"LORA\",\n"
            "  \"r\": 2,\n"
            "  \"target_modules\": [\n"
            "    \"v\",\n"
            "    \"q\"\n"
            "  ],\n"
            "  \"unknown\": {\n"
            "    \"a\": null,\n"
            "    \"b\": 1.0\n"
            "  }\n"
            "}");
}

TEST_F(SaveTest, ThePatternThatWonStillWins) {
  const AdapterConfig config =
      ParseConfig(R"({"peft_type": "LORA", "target_modules": ["q"],)"
                  R"( "rank_pattern": {"q": 3, "layers.0.q": 2}})");
  const AdapterConfig again = ParseConfig(AdapterConfigText(config));
  EXPECT_THAT(again.lora->rank_pattern,
              ElementsAre(std::pair<std::string, int64_t>("q", 3),
                          std::pair<std::string, int64_t>("layers.0.q", 2)));
}

TEST_F(SaveTest, LeavesWhatIsThereUnlessAskedToOverwrite) {
  fs::create_directory(path_);
  std::ofstream(path_ + "/adapter_model.bin") << "mine";
  std::ofstream(path_ + "/notes.txt") << "mine";
  const auto adapter = Load(Golden("plain"));
  const absl::Status status = SaveAdapter(*adapter, path_);
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ErrorId(status), error_id::kFileExists);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  EXPECT_EQ(Text(path_ + "/adapter_model.bin"), "mine");
  ASSERT_TRUE(SaveAdapter(*adapter, path_, {/*overwrite=*/true}).ok());
  EXPECT_EQ(Text(path_ + "/notes.txt"), "mine");
  EXPECT_FALSE(FileExists(path_ + "/adapter_model.bin"));
  EXPECT_EQ(Load(path_)->state_dict().size(), adapter->state_dict().size());
}

TEST_F(SaveTest, OverwritesTheFolderThatItWasLoadedFrom) {
  ASSERT_TRUE(SaveAdapter(*Load(Golden("plain")), path_).ok());
  const auto adapter = Load(path_);
  ASSERT_TRUE(SaveAdapter(*adapter, path_, {/*overwrite=*/true}).ok());
  EXPECT_EQ(Load(path_)->state_dict().size(), adapter->state_dict().size());
}

TEST_F(SaveTest, AFailedSaveLeavesNothing) {
  const auto adapter = Load(Golden("plain"));
  EXPECT_EQ(ErrorId(SaveAdapter(*adapter, root_ + "/none/saved")),
            error_id::kFileWrite);
  EXPECT_TRUE(fs::is_empty(root_));
}

}  // namespace
}  // namespace peft
