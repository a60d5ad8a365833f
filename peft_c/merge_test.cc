// Merging and probing on a real model.

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

namespace fs = std::filesystem;

constexpr char kBase[] = "examples/quickstart/base";
constexpr char kAdapters[] = "examples/quickstart/adapters/";
constexpr int64_t kPrompt[] = {1, 4, 5, 6, 7, 13};
constexpr int64_t kLength = 6;

using OwnedProbe = Owned<peft_probe_report_t, peft_probe_report_free>;
using Row = std::vector<float>;

int32_t Refuse(void*, int64_t, int64_t) { return 1; }

int32_t Throw(void*, int64_t, int64_t) { throw 1; }

int32_t Remember(void* user_data, int64_t done, int64_t total) {
  *static_cast<double*>(user_data) =
      static_cast<double>(done) / static_cast<double>(total);
  return 0;
}

OwnedModel Open(const std::string& path) {
  peft_model_t* model = nullptr;
  EXPECT_PEFT_OK(peft_model_open(path.c_str(), nullptr, &model));
  return OwnedModel(model);
}

Row Logits(const OwnedModel& model) {
  peft_session_t* raw = nullptr;
  EXPECT_PEFT_OK(peft_session_create(model.get(), nullptr, &raw));
  const OwnedSession session(raw);
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  input.ids = kPrompt;
  input.batch = 1;
  input.length = kLength;
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  EXPECT_PEFT_OK(peft_session_forward(raw, &input, nullptr, &view));
  const auto* const data = static_cast<const float*>(view.data);
  return Row(data, data + kLength * view.sizes[2]);
}

// Up to the rounding of merged weights to the base's BF16, 8 bits, through a
// few layers; the adapter changes logits by much more.
void ExpectNear(const Row& a, const Row& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 0x1p-6);
}

class MergeTest : public testing::Test {
 protected:
  void SetUp() override {
    peft_set_logger(
        [](void* user_data, int32_t, const char* line) {
          *static_cast<std::string*>(user_data) += line;
        },
        &log_);
    model_ = Open(kBase);
    std::string pattern = testing::TempDir() + "/merge_XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  void TearDown() override {
    peft_set_logger(nullptr, nullptr);
    fs::remove_all(root_);
  }

  void Load(const std::string& name) {
    ASSERT_PEFT_OK(peft_model_load_adapter(model_.get(), name.c_str(),
                                           (kAdapters + name).c_str(), nullptr,
                                           nullptr));
  }
  peft_status_t* Merge() {
    return peft_model_merge_adapter(model_.get(), nullptr, 0, nullptr);
  }
  std::vector<std::string> Merged() const {
    peft_string_list_t* list = nullptr;
    EXPECT_PEFT_OK(peft_model_merged_adapters(model_.get(), &list));
    const OwnedNames names(list);
    std::vector<std::string> result;
    for (size_t i = 0; i < peft_string_list_size(list); ++i) {
      result.push_back(peft_string_list_get(list, i));
    }
    return result;
  }

  std::string log_;
  OwnedModel model_;
  std::string root_;
};

TEST_F(MergeTest, MergesAndRestoresBitByBit) {
  const Row base = Logits(model_);
  Load("german");
  const Row adapted = Logits(model_);
  ASSERT_PEFT_OK(Merge());
  EXPECT_EQ(Merged(), std::vector<std::string>{"german"});
  ExpectNear(Logits(model_), adapted);
  ASSERT_PEFT_OK(peft_model_disable_adapters(model_.get()));
  EXPECT_EQ(Logits(model_), base);
  ASSERT_PEFT_OK(peft_model_enable_adapters(model_.get()));
  ExpectNear(Logits(model_), adapted);
  ASSERT_PEFT_OK(peft_model_unmerge_adapter(model_.get()));
  EXPECT_EQ(Logits(model_), adapted);
  ASSERT_PEFT_OK(peft_model_unmerge_adapter(model_.get()));
  EXPECT_TRUE(Merged().empty());
}

TEST_F(MergeTest, SaysInTheLogWhatItDoes) {
  Load("german");
  ASSERT_PEFT_OK(Merge());
  ASSERT_PEFT_OK(Merge());
  EXPECT_NE(log_.find("merged already"), std::string::npos);
  const char* const name = "german";
  ASSERT_PEFT_OK(peft_model_set_adapter(model_.get(), &name, 1, nullptr));
  EXPECT_NE(log_.find("were unmerged"), std::string::npos);
  EXPECT_TRUE(Merged().empty());
}

TEST_F(MergeTest, AMergedAdapterIsNotDeleted) {
  Load("german");
  ASSERT_PEFT_OK(Merge());
  const char* const name = "german";
  EXPECT_PEFT_ERROR(peft_model_delete_adapter(model_.get(), &name, 1),
                    PEFT_FAILED_PRECONDITION, "MERGED");
  ASSERT_PEFT_OK(peft_model_unload(model_.get()));
  int32_t has = 1;
  ASSERT_PEFT_OK(peft_model_has_adapter(model_.get(), name, &has));
  EXPECT_EQ(has, 0);
}

TEST_F(MergeTest, Misuse) {
  EXPECT_PEFT_ERROR(Merge(), PEFT_FAILED_PRECONDITION, "ADAPTER_NOT_FOUND");
  Load("german");
  peft_merge_options_t options = PEFT_MERGE_OPTIONS_INIT;
  options.safe_merge = 2;
  EXPECT_PEFT_ERROR(
      peft_model_merge_adapter(model_.get(), nullptr, 0, &options),
      PEFT_INVALID_ARGUMENT, "ARGUMENT");
  options = PEFT_MERGE_OPTIONS_INIT;
  const float scale = 1;
  options.scales = &scale;
  EXPECT_PEFT_ERROR(
      peft_model_merge_adapter(model_.get(), nullptr, 0, &options),
      PEFT_INVALID_ARGUMENT, "ARGUMENT");
  options.struct_size = 4;
  EXPECT_PEFT_ERROR(
      peft_model_merge_adapter(model_.get(), nullptr, 0, &options),
      PEFT_INVALID_ARGUMENT, "STRUCT_SIZE");
  EXPECT_PEFT_ERROR(peft_model_merged_adapters(model_.get(), nullptr),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
  EXPECT_PEFT_ERROR(peft_model_unmerge_adapter(nullptr), PEFT_INVALID_ARGUMENT,
                    "HANDLE");
}

TEST_F(MergeTest, WritesAFolderThatOpens) {
  Load("german");
  const Row adapted = Logits(model_);
  const std::string path = root_ + "/merged";
  double part = 0;
  peft_merge_and_unload_options_t options = PEFT_MERGE_AND_UNLOAD_OPTIONS_INIT;
  options.safe_merge = 1;
  options.on_progress = Remember;
  options.user_data = &part;
  ASSERT_PEFT_OK(
      peft_model_merge_and_unload(model_.get(), path.c_str(), &options));
  EXPECT_EQ(part, 1);
  EXPECT_EQ(Logits(model_), adapted);
  ASSERT_PEFT_OK(Merge());
  EXPECT_EQ(Logits(Open(path)), Logits(model_));
  EXPECT_PEFT_ERROR(
      peft_model_merge_and_unload(model_.get(), path.c_str(), nullptr),
      PEFT_ALREADY_EXISTS, "FILE_EXISTS");
}

TEST_F(MergeTest, ACancelledWriteLeavesNothing) {
  Load("german");
  const std::string path = root_ + "/merged";
  peft_merge_and_unload_options_t options = PEFT_MERGE_AND_UNLOAD_OPTIONS_INIT;
  for (const peft_progress_fn callback : {Refuse, Throw}) {
    options.on_progress = callback;
    EXPECT_PEFT_ERROR(
        peft_model_merge_and_unload(model_.get(), path.c_str(), &options),
        PEFT_CANCELLED, "CANCELLED");
  }
  EXPECT_TRUE(fs::is_empty(root_));
}

// The exact sum of both, whichever way it is made.
TEST_F(MergeTest, CombinesAdapters) {
  Load("german");
  Load("french");
  const char* const names[] = {"german", "french"};
  const float weights[] = {0.5f, -0.25f};
  peft_set_adapter_options_t set = PEFT_SET_ADAPTER_OPTIONS_INIT;
  set.scales = weights;
  ASSERT_PEFT_OK(peft_model_set_adapter(model_.get(), names, 2, &set));
  const Row together = Logits(model_);
  peft_combine_options_t options = PEFT_COMBINE_OPTIONS_INIT;
  options.combination_type = PEFT_COMBINE_CAT;
  ASSERT_PEFT_OK(peft_model_add_weighted_adapter(model_.get(), "cat", names,
                                                 weights, 2, &options));
  EXPECT_EQ(Logits(model_), together);  // It is not activated.
  options.combination_type = PEFT_COMBINE_SVD;
  options.svd_rank = 64;
  ASSERT_PEFT_OK(peft_model_add_weighted_adapter(model_.get(), "svd", names,
                                                 weights, 2, &options));
  for (const char* const name : {"cat", "svd"}) {
    ASSERT_PEFT_OK(peft_model_set_adapter(model_.get(), &name, 1, nullptr));
    const Row combined = Logits(model_);
    for (size_t i = 0; i < together.size(); ++i) {
      ASSERT_NEAR(combined[i], together[i], 1e-4) << name;
    }
  }
}

TEST_F(MergeTest, RunsEveryCombinationType) {
  Load("german");
  // Types on factors take equal ranks only.
  ASSERT_PEFT_OK(peft_model_load_adapter(
      model_.get(), "again", (kAdapters + std::string("german")).c_str(),
      nullptr, nullptr));
  const char* const names[] = {"german", "again"};
  const float weights[] = {0.5f, 0.25f};
  peft_combine_options_t options = PEFT_COMBINE_OPTIONS_INIT;
  options.density = 0.5f;
  options.seed = 7;
  for (int32_t type = PEFT_COMBINE_SVD;
       type <= PEFT_COMBINE_MAGNITUDE_PRUNE_SVD; ++type) {
    options.combination_type = type;
    const std::string name = "combined" + std::to_string(type);
    EXPECT_PEFT_OK(peft_model_add_weighted_adapter(
        model_.get(), name.c_str(), names, weights, 2, &options));
  }
  EXPECT_PEFT_ERROR(peft_model_add_weighted_adapter(
                        model_.get(), "german", names, weights, 2, &options),
                    PEFT_ALREADY_EXISTS, "ADAPTER_EXISTS");
  EXPECT_PEFT_ERROR(peft_model_add_weighted_adapter(model_.get(), "x", nullptr,
                                                    nullptr, 0, &options),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
  options.svd_driver = "magma";
  EXPECT_PEFT_ERROR(peft_model_add_weighted_adapter(model_.get(), "x", names,
                                                    weights, 2, &options),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
  options.svd_driver = "gesvdj";
  options.svd_full_matrices = 7;
  EXPECT_PEFT_ERROR(peft_model_add_weighted_adapter(model_.get(), "x", names,
                                                    weights, 2, &options),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
  options.svd_full_matrices = 0;
  EXPECT_PEFT_OK(peft_model_add_weighted_adapter(model_.get(), "x", names,
                                                 weights, 2, &options));
  options.combination_type = 12;
  EXPECT_PEFT_ERROR(peft_model_add_weighted_adapter(model_.get(), "x", names,
                                                    weights, 2, &options),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
}

TEST_F(MergeTest, Probes) {
  Load("german");
  peft_probe_report_t* raw = nullptr;
  ASSERT_PEFT_OK(
      peft_model_probe_adapter(model_.get(), nullptr, nullptr, &raw));
  const OwnedProbe report(raw);
  peft_probe_summary_t summary = PEFT_PROBE_SUMMARY_INIT;
  ASSERT_PEFT_OK(peft_probe_report_get_summary(raw, &summary));
  EXPECT_EQ(static_cast<size_t>(summary.num_sites),
            peft_probe_report_count(raw));
  EXPECT_EQ(summary.num_unchanged, 0);
  EXPECT_GT(summary.ratio, 0);
  EXPECT_GE(summary.max_ratio, summary.ratio);
  peft_probe_line_t line = PEFT_PROBE_LINE_INIT;
  ASSERT_PEFT_OK(peft_probe_report_get_line(raw, 0, &line));
  EXPECT_NE(std::string(line.name).find("model.layers.0"), std::string::npos);
  EXPECT_DOUBLE_EQ(line.ratio, line.delta_norm / line.base_norm);
  EXPECT_PEFT_ERROR(
      peft_probe_report_get_line(raw, peft_probe_report_count(raw), &line),
      PEFT_INVALID_ARGUMENT, "ARGUMENT");
  peft_probe_options_t options = PEFT_PROBE_OPTIONS_INIT;
  options.rows = 0;
  peft_probe_report_t* none = nullptr;
  EXPECT_PEFT_ERROR(
      peft_model_probe_adapter(model_.get(), nullptr, &options, &none),
      PEFT_INVALID_ARGUMENT, "ARGUMENT");
  EXPECT_PEFT_ERROR(peft_model_probe_adapter(model_.get(), "x", nullptr, &none),
                    PEFT_NOT_FOUND, "ADAPTER_NOT_FOUND");
  EXPECT_EQ(peft_probe_report_count(nullptr), 0u);
}

}  // namespace
}  // namespace peft
