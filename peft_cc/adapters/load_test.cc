// Folders that PEFT saved, and folders that nobody should have.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/adapter.h"
#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;

std::string Golden(const std::string& name) {
  return "peft_cc/adapters/testdata/" + name;
}

// What PEFT computed, for every layer of the model.
class GoldenTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenTest, ComputesWhatPeftDoes) {
  const SiteTable sites = TinySites();
  const auto loaded = LoadAdapter(sites, "golden", Golden(GetParam()), {});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const auto plan = *Plan::Create(sites, {{{loaded->adapter, 1}}});
  const auto expected =
      ReadSafetensors(Golden(absl::StrCat(GetParam(), "/expected.safetensors")),
                      ReadMode::kRead);
  ASSERT_TRUE(expected.ok()) << expected.status();
  for (const auto& [module, tensor] : expected->tensors) {
    const std::vector<float> reference = tensor.ToF32();
    const std::vector<float> ours =
        SiteOutput(sites, *plan, sites.Find(module));
    ASSERT_EQ(ours.size(), reference.size()) << module;
    for (size_t i = 0; i < ours.size(); ++i) {
      EXPECT_NEAR(ours[i], reference[i], 1e-5 * (1 + std::abs(reference[i])))
          << module << " element " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, GoldenTest,
    ::testing::Values("plain", "rslora_patterns", "bias_all", "bias_lora_only",
                      "lora_bias", "embedding", "unprefixed", "bare", "dora",
                      "dora_embedding", "adalora", "adalora_pruned", "ia3",
                      "pissa", "olora"),
    [](const auto& info) { return info.param; });

class LoadTest : public ::testing::Test {
 protected:
  LoadTest() : folder_(absl::StrCat(::testing::TempDir(), "/adapter")) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }

  // Not with the permissions of the original, which may be read-only.
  void Copy(const std::string& golden, const std::string& file) {
    const std::string from = absl::StrCat(Golden(golden), "/", file);
    std::ofstream(absl::StrCat(folder_, "/", file), std::ios::binary)
        << std::ifstream(from, std::ios::binary).rdbuf();
  }

  void Write(const std::string& file, const std::string& text) {
    std::ofstream(absl::StrCat(folder_, "/", file)) << text;
  }

  absl::Status Load(const std::string& subfolder = "") {
    AdapterLoadOptions options;
    options.subfolder = subfolder;
    return LoadAdapter(sites_, "mine", folder_, options).status();
  }

  SiteTable sites_ = TinySites();
  std::string folder_;
};

TEST_F(LoadTest, MissingFolder) {
  const absl::Status status =
      LoadAdapter(sites_, "mine", "no/such/folder", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrorId(status), error_id::kFileNotFound);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("adapter \"mine\""), HasSubstr("\"no/such/folder\"")));
}

TEST_F(LoadTest, MissingConfig) {
  Copy("plain", "adapter_model.safetensors");
  EXPECT_EQ(ErrorId(Load()), error_id::kFileNotFound);
}

TEST_F(LoadTest, EmptyAndTruncatedTensors) {
  Copy("plain", "adapter_config.json");
  Write("adapter_model.safetensors", "");
  EXPECT_EQ(ErrorId(Load()), error_id::kSafetensors);
  Copy("plain", "adapter_model.safetensors");
  const std::string file = folder_ + "/adapter_model.safetensors";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  EXPECT_EQ(ErrorId(Load()), error_id::kSafetensors);
}

TEST_F(LoadTest, BadConfigs) {
  Copy("plain", "adapter_model.safetensors");
  Write("adapter_config.json", "{");
  EXPECT_EQ(ErrorId(Load()), error_id::kJson);
  const std::string rest =
      R"("peft_type": "LORA", "target_modules": ["q_proj", "v_proj"])";
  Write("adapter_config.json", absl::StrCat("{\"r\": 0, ", rest, "}"));
  EXPECT_EQ(ErrorId(Load()), error_id::kAdapterConfig);
  Write("adapter_config.json",
        absl::StrCat("{\"r\": 2, \"lora_alpha\": NaN, ", rest, "}"));
  EXPECT_EQ(ErrorId(Load()), error_id::kAdapterConfig);
  Write("adapter_config.json",
        absl::StrCat("{\"r\": 2, \"surprise\": 1, ", rest, "}"));
  EXPECT_EQ(ErrorId(Load()), error_id::kAdapterConfigUnknownKey);
  Write("adapter_config.json", absl::StrCat("{\"r\": 2, ", rest, "}"));
  EXPECT_TRUE(Load().ok()) << Load();
}

TEST_F(LoadTest, Subfolder) {
  folder_ = Golden("");
  EXPECT_TRUE(Load("plain").ok()) << Load("plain");
  EXPECT_EQ(ErrorId(Load("../testdata/plain")), error_id::kPathEscapes);
  EXPECT_EQ(ErrorId(Load("absent")), error_id::kFileNotFound);
}

TEST_F(LoadTest, OtherMethodsAreRefusedByName) {
  folder_ = Golden("loha");
  EXPECT_EQ(ErrorId(Load()), error_id::kAdapterMethodUnsupported);
  folder_ = Golden("prompt_tuning");
  EXPECT_EQ(ErrorId(Load()), error_id::kAdapterMethodUnsupported);
}

TEST_F(LoadTest, ReportTellsOfABareModel) {
  const auto loaded = LoadAdapter(sites_, "mine", Golden("bare"), {});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_THAT(loaded->report.lines,
              Contains(Field(&ReportLine::detail, HasSubstr("without its"))));
  EXPECT_EQ(loaded->adapter->state_dict().begin()->first.rfind("model.", 0),
            0u);
}

}  // namespace
}  // namespace peft
