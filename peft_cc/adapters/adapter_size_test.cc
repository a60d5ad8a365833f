#include "peft_cc/adapters/adapter_size.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"
#include "peft_cc/base/error.h"
#include "peft_cc/tensors/safetensors.h"

namespace peft {
namespace {

namespace fs = std::filesystem;

std::string Golden(const std::string& name) {
  return "peft_cc/adapters/testdata/" + name;
}

std::shared_ptr<const Adapter> Load(const SiteTable& sites,
                                    const std::string& path) {
  auto loaded = LoadAdapter(sites, "a", path, {});
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded->adapter;
}

// Folders that PEFT saved, from safetensors and .bin.
class EstimateTest : public ::testing::TestWithParam<const char*> {};

TEST_P(EstimateTest, SaysWhatTheLoadedAdapterTakes) {
  const SiteTable sites = TinySites();
  const auto estimate = EstimateAdapter(Golden(GetParam()), "");
  ASSERT_TRUE(estimate.ok()) << estimate.status();
  const auto adapter = Load(sites, Golden(GetParam()));
  EXPECT_EQ(estimate->size_bytes, ResidentBytes(*adapter, sites));
  EXPECT_EQ(estimate->num_tensors,
            static_cast<int64_t>(adapter->state_dict().size()));
  EXPECT_GT(estimate->file_bytes, 0);
}

INSTANTIATE_TEST_SUITE_P(All, EstimateTest,
                         ::testing::Values("plain", "rslora_patterns",
                                           "bias_lora_only", "lora_bias",
                                           "unprefixed", "bare"),
                         [](const auto& info) { return info.param; });

class BoundTest : public ::testing::TestWithParam<const char*> {};

TEST_P(BoundTest, IsAtLeastWhatTheLoadedAdapterTakes) {
  const SiteTable sites = TinySites();
  const auto estimate = EstimateAdapter(Golden(GetParam()), "");
  ASSERT_TRUE(estimate.ok()) << estimate.status();
  EXPECT_GE(estimate->size_bytes,
            ResidentBytes(*Load(sites, Golden(GetParam())), sites));
}

INSTANTIATE_TEST_SUITE_P(All, BoundTest,
                         ::testing::Values("adalora", "bias_all", "dora",
                                           "dora_embedding", "embedding", "ia3",
                                           "olora", "pissa"),
                         [](const auto& info) { return info.param; });

std::string WriteAdapter(const std::string& name, const TensorMap& tensors,
                         const std::string& fields) {
  const std::string folder = ::testing::TempDir() + "/" + name;
  fs::create_directories(folder);
  EXPECT_TRUE(WriteSafetensors(folder + "/adapter_model.safetensors", tensors,
                               {{"format", "pt"}})
                  .ok());
  std::ofstream(folder + "/adapter_config.json")
      << R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, )" << fields << "}";
  return folder;
}

void ExpectExact(const SiteTable& sites, const std::string& folder) {
  const auto estimate = EstimateAdapter(folder, "");
  ASSERT_TRUE(estimate.ok()) << estimate.status();
  EXPECT_EQ(estimate->size_bytes, ResidentBytes(*Load(sites, folder), sites));
}

TEST(AdapterSizeTest, TrainedTokensAreKeptSortedAndWithTheirIds) {
  const SiteTable sites = TinySites();
  const std::string q = "model.layers.0.self_attn.q_proj";
  TensorMap tensors;
  AddFactors(sites, q, tensors);
  tensors["model.embed_tokens.token_adapter.trainable_tokens_delta"] =
      MakeTensor({3, 8});
  const std::string folder =
      WriteAdapter("tokens", tensors,
                   R"("trainable_token_indices": [5, 1, 7],)"
                   R"( "target_modules": [")" +
                       q + "\"]");
  const auto estimate = EstimateAdapter(folder, "");
  ASSERT_TRUE(estimate.ok()) << estimate.status();
  // The ids once more than here, for a head that is tied.
  EXPECT_EQ(estimate->size_bytes,
            ResidentBytes(*Load(sites, folder), sites) + 3 * 8);
}

TEST(AdapterSizeTest, ExpertsShareAAndHaveTheirOwnB) {
  std::vector<Site> experts;
  for (int i = 0; i < 3; ++i) {
    Site site;
    site.name = absl::StrCat("mlp.up[", i, "]");
    site.kind = SiteKind::kParameter;
    site.parameter = "mlp.up";
    site.in_features = 4;
    site.out_features = 6;
    site.weight = MakeTensor({6, 4});
    experts.push_back(site);
  }
  const SiteTable sites(std::move(experts), {"mlp"}, "");
  ExpectExact(sites, WriteAdapter("experts",
                                  {{"mlp.lora_A.weight", MakeTensor({6, 4})},
                                   {"mlp.lora_B.weight", MakeTensor({6, 6})}},
                                  R"("target_modules": [],)"
                                  R"( "target_parameters": ["mlp.up"])"));
}

TEST(AdapterSizeTest, GroupsOfAConvolutionMakeOneMatrix) {
  Site site;
  site.name = "conv";
  site.kind = SiteKind::kConvolution;
  site.conv.num_axes = 1;
  site.conv.in_channels = 4;
  site.conv.out_channels = 6;
  site.conv.groups = 2;
  site.conv.kernel[2] = 3;
  site.in_features = 12;
  site.out_features = 6;
  site.weight = MakeTensor({6, 2, 3});
  const SiteTable sites({site}, {"conv"}, "");
  ExpectExact(sites,
              WriteAdapter("groups",
                           {{"conv.lora_A.weight", MakeTensor({2, 4, 3})},
                            {"conv.lora_B.weight", MakeTensor({6, 1, 1})}},
                           R"("target_modules": ["conv"])"));
}

// Its file does not tell how large the kernel is.
TEST(AdapterSizeTest, Ia3OnAConvolutionKeepsANumberForEachChannel) {
  Site site;
  site.name = "conv";
  site.kind = SiteKind::kConvolution;
  site.conv.num_axes = 2;
  site.conv.in_channels = 4;
  site.conv.out_channels = 6;
  site.conv.kernel = {1, 3, 3};
  site.in_features = 36;
  site.out_features = 6;
  site.weight = MakeTensor({6, 4, 3, 3});
  const SiteTable sites({site}, {"conv"}, "");
  const std::string folder =
      WriteAdapter("ia3_conv", {{"conv.ia3_l", MakeTensor({1, 4, 1, 1})}}, "");
  std::ofstream(folder + "/adapter_config.json")
      << R"({"peft_type": "IA3", "target_modules": ["conv"],)"
      << R"( "feedforward_modules": ["conv"]})";
  ExpectExact(sites, folder);
}

TEST(AdapterSizeTest, WhatTheBaseHasAlreadyDoesNotCount) {
  SiteTable sites = TinySites();
  TensorMap state_dict = {{"own", MakeTensor({3, 5})},
                          {"base", sites.sites()[0].weight}};
  const Adapter adapter(AdapterConfig(), std::move(state_dict), {});
  EXPECT_EQ(ResidentBytes(adapter, sites), 3 * 5 * 4);
}

TEST(AdapterSizeTest, TensorsThatProgramsShareCountOnce) {
  const SiteTable sites = TinySites();
  const Tensor a = MakeTensor({2, 8});
  const Tensor b = MakeTensor({8, 2});
  std::vector<Adapter::SiteEntry> entries;
  entries.push_back({1, {LowRank{a, b}, Bias{std::vector<float>(8)}}});
  const Adapter adapter(AdapterConfig(), {{"a", a}, {"b", b}},
                        std::move(entries));
  EXPECT_EQ(ResidentBytes(adapter, sites), (16 + 16 + 8) * 4);
}

TEST(AdapterSizeTest, AnEstimateReadsNoElements) {
  const std::string folder = ::testing::TempDir() + "/estimate";
  fs::create_directories(folder);
  // A header whose elements are a hole in the file, larger than any memory.
  constexpr int64_t kRows = int64_t{1} << 40;
  std::string header = absl::StrCat(
      R"({"base_model.model.q.lora_A.weight":{"dtype":"F32","shape":[)", kRows,
      R"(],"data_offsets":[0,)", kRows * 4, "]}}");
  const uint64_t size = header.size();
  {
    std::ofstream file(folder + "/adapter_model.safetensors", std::ios::binary);
    file.write(reinterpret_cast<const char*>(&size), 8);
    file << header;
  }
  std::ofstream(folder + "/adapter_config.json")
      << R"({"peft_type": "LORA", "target_modules": ["q"]})";
  fs::resize_file(folder + "/adapter_model.safetensors", 8 + size + kRows * 4);
  const auto estimate = EstimateAdapter(folder, "");
  ASSERT_TRUE(estimate.ok()) << estimate.status();
  EXPECT_EQ(estimate->num_parameters, kRows);
  EXPECT_EQ(estimate->size_bytes, kRows * 4);
  fs::resize_file(folder + "/adapter_model.safetensors", 8 + size + 5);
  EXPECT_EQ(ErrorId(EstimateAdapter(folder, "").status()),
            error_id::kSafetensors);
  fs::resize_file(folder + "/adapter_model.safetensors", 20);
  EXPECT_EQ(ErrorId(EstimateAdapter(folder, "").status()),
            error_id::kSafetensors);
}

TEST(AdapterSizeTest, EstimatesOfWhatIsNotThereFailAsALoadDoes) {
  EXPECT_EQ(ErrorId(EstimateAdapter("absent", "").status()),
            error_id::kFileNotFound);
  EXPECT_EQ(ErrorId(EstimateAdapter(Golden(""), "../x").status()),
            error_id::kPathEscapes);
}

// A model of 28 layers with q and v of 1024, whose weights nobody reads.
SiteTable LargeSites() {
  std::vector<Site> sites;
  std::vector<std::string> names;
  const Tensor weight(DType::kF32, {1024, 1024}, nullptr, nullptr);
  for (int layer = 0; layer < 28; ++layer) {
    for (const char* name : {"q_proj", "v_proj"}) {
      Site site;
      site.name = absl::StrCat("model.layers.", layer, ".self_attn.", name);
      site.in_features = site.out_features = 1024;
      site.weight = weight;
      names.push_back(site.name);
      sites.push_back(std::move(site));
    }
  }
  return SiteTable(std::move(sites), std::move(names), "llama");
}

// A rank-16 adapter for all of them: 7 MB.
std::string WriteLargeAdapter(const SiteTable& sites) {
  const std::string folder = ::testing::TempDir() + "/large";
  fs::create_directories(folder);
  TensorMap tensors;
  for (const Site& site : sites.sites()) {
    const std::string name = absl::StrCat("base_model.model.", site.name);
    tensors[name + ".lora_A.weight"] = MakeTensor({16, 1024});
    tensors[name + ".lora_B.weight"] = MakeTensor({1024, 16});
  }
  EXPECT_TRUE(WriteSafetensors(folder + "/adapter_model.safetensors", tensors,
                               {{"format", "pt"}})
                  .ok());
  std::ofstream(folder + "/adapter_config.json")
      << R"({"peft_type": "LORA", "r": 16, "lora_alpha": 16,)"
         R"( "target_modules": ["q_proj", "v_proj"]})";
  return folder;
}

// The memory that the process has, not what it has reserved.
int64_t MemoryBytes() {
  int64_t reserved = 0;
  int64_t resident = 0;
  std::ifstream("/proc/self/statm") >> reserved >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(AdapterSizeTest, AResidentAdapterTakesItsFilesSizeAndFivePercent) {
  const SiteTable sites = LargeSites();
  const std::string folder = WriteLargeAdapter(sites);
  const int64_t file_size = static_cast<int64_t>(
      fs::file_size(folder + "/adapter_model.safetensors"));
  constexpr int kAdapters = 20;
  std::vector<std::shared_ptr<const Adapter>> adapters;
  adapters.reserve(kAdapters);
  Load(sites, folder);
  const int64_t before = MemoryBytes();
  for (int i = 0; i < kAdapters; ++i) adapters.push_back(Load(sites, folder));
  const int64_t each = (MemoryBytes() - before) / kAdapters;
  EXPECT_GT(each, file_size * 95 / 100);
  EXPECT_LT(each, file_size * 105 / 100);
  const int64_t counted = ResidentBytes(*adapters[0], sites);
  EXPECT_GT(counted, file_size * 95 / 100);
  EXPECT_LE(counted, file_size);
}

}  // namespace
}  // namespace peft
