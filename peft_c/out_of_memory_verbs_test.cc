// Every allocation of a verb that changes a model, or writes one, fails once:
// the verb answers OUT_OF_MEMORY, the model does what it did before and has the
// adapters that it had, nothing lies on the disk, and the verb works when
// memory is back.

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/failing_allocations.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

namespace fs = std::filesystem;

constexpr char kModels[] = "peft_cc/models/testdata/models/";
constexpr char kAdapter[] = "peft_cc/models/testdata/adapter";
constexpr char kConfig[] =
    R"({"peft_type": "LORA", "r": 2, "init_lora_weights": false,
        "target_modules": ["q_proj", "down_proj"]})";
constexpr int64_t kPrompt[] = {1, 4, 5};
const char* const kName = "an adapter";

// The names that `function` lists, each with a comma.
std::string Names(const OwnedModel& model,
                  peft_status_t* (*function)(const peft_model_t*,
                                             peft_string_list_t**)) {
  peft_string_list_t* names = nullptr;
  EXPECT_PEFT_OK(function(model.get(), &names));
  const OwnedNames owned(names);
  std::string text;
  for (size_t i = 0; i < peft_string_list_size(names); ++i) {
    text += std::string(peft_string_list_get(names, i)) + ",";
  }
  return text;
}

class OutOfMemoryVerbsTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "/verbs";
    fs::remove_all(root_);
    fs::create_directories(root_);
    Open("llama");
    ASSERT_PEFT_OK(peft_model_load_adapter(model_.get(), kName, kAdapter,
                                           nullptr, nullptr));
  }

  void Open(const std::string& name, int32_t task = 0) {
    peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
    options.task = task;
    options.num_threads = 1;
    peft_model_t* model = nullptr;
    const std::string folder = kModels + name;
    ASSERT_PEFT_OK(peft_model_open(folder.c_str(), &options, &model));
    model_.reset(model);
  }

  // A second adapter, made fresh, beside the one that is active.
  void AddAnother(const char* name) {
    ASSERT_PEFT_OK(
        peft_model_add_adapter(model_.get(), name, kConfig, nullptr));
    ASSERT_PEFT_OK(peft_model_set_adapter(model_.get(), &kName, 1, nullptr));
  }

  std::vector<float> Logits() {
    peft_session_t* handle = nullptr;
    EXPECT_PEFT_OK(peft_session_create(model_.get(), nullptr, &handle));
    const OwnedSession session(handle);
    peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
    input.ids = kPrompt;
    input.batch = 1;
    input.length = 3;
    peft_tensor_view_t logits = PEFT_TENSOR_VIEW_INIT;
    EXPECT_PEFT_OK(peft_session_forward(handle, &input, nullptr, &logits));
    const auto* data = static_cast<const float*>(logits.data);
    return std::vector<float>(data, data + 3 * logits.sizes[2]);
  }

  std::string Lists() {
    return Names(model_, peft_model_list_adapters) + "; " +
           Names(model_, peft_model_active_adapters) + "; " +
           Names(model_, peft_model_merged_adapters);
  }

  // `undo` takes a success back.
  template <typename Call, typename Undo>
  void FailVerb(Call call, Undo undo, Steps steps = kMost) {
    const std::vector<float> logits = Logits();
    const std::string lists = Lists();
    const auto is_unchanged = [&] {
      EXPECT_EQ(Logits(), logits);
      EXPECT_EQ(Lists(), lists);
      EXPECT_TRUE(fs::is_empty(root_));
    };
    const auto undo_and_check = [&] {
      undo();
      is_unchanged();
    };
    for (const auto after :
         {AfterFailure::kAllFail, AfterFailure::kNoneFails}) {
      FailEveryAllocation(steps, after, "", call, undo_and_check, is_unchanged);
    }
  }

  std::string root_;
  OwnedModel model_;
};

TEST_F(OutOfMemoryVerbsTest, Merging) {
  FailVerb(
      [&] {
        return peft_model_merge_adapter(model_.get(), &kName, 1, nullptr);
      },
      [&] { EXPECT_PEFT_OK(peft_model_unmerge_adapter(model_.get())); });
}

TEST_F(OutOfMemoryVerbsTest, Unmerging) {
  const auto merge = [&] {
    EXPECT_PEFT_OK(peft_model_merge_adapter(model_.get(), &kName, 1, nullptr));
  };
  merge();
  FailVerb([&] { return peft_model_unmerge_adapter(model_.get()); }, merge);
}

TEST_F(OutOfMemoryVerbsTest, MergingToAFolder) {
  const std::string path = root_ + "/merged";
  for (const auto& [model, task] :
       {std::make_pair("llama", 0), std::make_pair("qwen2_sliding_sharded", 0),
        std::make_pair("llama", PEFT_TASK_TOKEN_CLASSIFICATION)}) {
    Open(model, task);
    ASSERT_PEFT_OK(
        peft_model_add_adapter(model_.get(), kName, kConfig, nullptr));
    FailVerb(
        [&] {
          return peft_model_merge_and_unload(model_.get(), path.c_str(),
                                             nullptr);
        },
        [&] { fs::remove_all(path); }, kSome);
  }
}

TEST_F(OutOfMemoryVerbsTest, Combining) {
  AddAnother("another");
  AddAnother("third");
  const char* const sources[] = {"another", "third"};
  const float weights[] = {0.5f, -0.25f};
  const char* const combined = "combined";
  for (const int32_t type :
       {PEFT_COMBINE_CAT, PEFT_COMBINE_SVD, PEFT_COMBINE_DARE_TIES}) {
    peft_combine_options_t options = PEFT_COMBINE_OPTIONS_INIT;
    options.combination_type = type;
    if (type == PEFT_COMBINE_DARE_TIES) options.density = 0.5f;
    FailVerb(
        [&] {
          return peft_model_add_weighted_adapter(model_.get(), combined,
                                                 sources, weights, 2, &options);
        },
        [&] {
          EXPECT_PEFT_OK(peft_model_delete_adapter(model_.get(), &combined, 1));
        });
  }
}

TEST_F(OutOfMemoryVerbsTest, Probing) {
  FailEveryAllocationOf<peft_probe_report_t, peft_probe_report_free>(
      [&](peft_probe_report_t** out) {
        return peft_model_probe_adapter(model_.get(), kName, nullptr, out);
      });
}

TEST_F(OutOfMemoryVerbsTest, MakingAnActivation) {
  AddAnother("another");
  const char* const names[] = {"another", kName};
  const float scales[] = {0.5f, 1.0f};
  FailEveryAllocationOf<peft_activation_t, peft_activation_free>(
      [&](peft_activation_t** out) {
        return peft_activation_create(model_.get(), names, scales, 2, out);
      });
}

TEST_F(OutOfMemoryVerbsTest, AddingAFreshAdapter) {
  const char* const fresh = "fresh";
  FailVerb(
      [&] {
        return peft_model_add_adapter(model_.get(), fresh, kConfig, nullptr);
      },
      [&] {
        EXPECT_PEFT_OK(peft_model_delete_adapter(model_.get(), &fresh, 1));
        EXPECT_PEFT_OK(
            peft_model_set_adapter(model_.get(), &kName, 1, nullptr));
      });
}

TEST_F(OutOfMemoryVerbsTest, Replacing) {
  const auto replace = [&] {
    return peft_model_replace_adapter(model_.get(), kName, kAdapter, nullptr,
                                      nullptr);
  };
  FailVerb(replace, [&] { EXPECT_PEFT_OK(replace()); });
}

TEST_F(OutOfMemoryVerbsTest, Renaming) {
  const char* const renamed = "another name, which is not a short one";
  FailVerb(
      [&] { return peft_model_rename_adapter(model_.get(), kName, renamed); },
      [&] {
        EXPECT_PEFT_OK(peft_model_rename_adapter(model_.get(), renamed, kName));
      });
}

TEST_F(OutOfMemoryVerbsTest, Saving) {
  const std::string path = root_ + "/saved";
  FailVerb(
      [&] {
        return peft_model_save_adapter(model_.get(), kName, path.c_str(),
                                       nullptr);
      },
      [&] { fs::remove_all(path); }, kSome);
}

TEST_F(OutOfMemoryVerbsTest, MakingAHostModel) {
  const float elements[12] = {};
  const int64_t sizes[] = {3, 4};
  peft_tensor_view_t weight = PEFT_TENSOR_VIEW_INIT;
  weight.data = elements;
  weight.dtype = PEFT_DTYPE_F32;
  weight.rank = 2;
  weight.sizes = sizes;
  // Enough of them that every table of names grows more than once.
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) {
    names.push_back("blocks." + std::to_string(i) + ".fc");
  }
  std::vector<peft_layer_t> layers(20, PEFT_LAYER_INIT);
  for (int i = 0; i < 20; ++i) {
    layers[i].name = names[i].c_str();
    layers[i].kind = PEFT_LAYER_LINEAR;
    layers[i].weight = &weight;
  }
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.num_threads = 1;
  FailEveryAllocationOf<peft_model_t, peft_model_free>([&](peft_model_t** out) {
    return peft_model_create(layers.data(), layers.size(), &options, out);
  });
}

TEST_F(OutOfMemoryVerbsTest, OpeningAModelWithReplicatedLayers) {
  const int64_t ranges[] = {0, 2, 1, 2};
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.num_threads = 1;
  options.layer_replication = ranges;
  options.num_layer_ranges = 2;
  const std::string folder = std::string(kModels) + "llama";
  FailEveryAllocationOf<peft_model_t, peft_model_free>([&](peft_model_t** out) {
    return peft_model_open(folder.c_str(), &options, out);
  });
}

}  // namespace
}  // namespace peft
