// What programs do with adapters beyond the mixin's verbs, on a real model.

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
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

using OwnedActivation = Owned<peft_activation_t, peft_activation_free>;
using Row = std::vector<float>;

std::string Folder(const std::string& name) { return kAdapters + name; }

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

class AdapterVerbsTest : public testing::Test {
 protected:
  void SetUp() override {
    peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
    options.num_threads = 1;
    peft_model_t* model = nullptr;
    ASSERT_PEFT_OK(peft_model_open(kBase, &options, &model));
    model_.reset(model);
    std::string pattern = testing::TempDir() + "/verbs_XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(root_); }

  void Load(const std::string& name) {
    ASSERT_PEFT_OK(peft_model_load_adapter(
        model_.get(), name.c_str(), Folder(name).c_str(), nullptr, nullptr));
  }

  void Set(const char* name) {
    ASSERT_PEFT_OK(
        peft_model_set_adapter(model_.get(), &name, name != nullptr, nullptr));
  }

  OwnedActivation Activate(std::vector<const char*> names,
                           std::vector<float> scales = {}) {
    peft_activation_t* activation = nullptr;
    EXPECT_PEFT_OK(peft_activation_create(
        model_.get(), names.data(), scales.empty() ? nullptr : scales.data(),
        names.size(), &activation));
    return OwnedActivation(activation);
  }

  // The logits of the last position of `batch` rows of the prompt.
  std::vector<Row> Forward(int64_t batch, peft_forward_options_t options) {
    peft_session_t* handle = nullptr;
    EXPECT_PEFT_OK(peft_session_create(model_.get(), nullptr, &handle));
    const OwnedSession session(handle);
    std::vector<int64_t> ids;
    for (int64_t row = 0; row < batch; ++row) {
      ids.insert(ids.end(), kPrompt, kPrompt + kLength);
    }
    peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
    input.ids = ids.data();
    input.batch = batch;
    input.length = kLength;
    options.logits_to_keep = 1;
    peft_tensor_view_t logits = PEFT_TENSOR_VIEW_INIT;
    outcome_ = Take(peft_session_forward(handle, &input, &options, &logits));
    std::vector<Row> rows;
    if (!outcome_.ok()) return rows;
    const int64_t width = logits.sizes[2];
    for (int64_t row = 0; row < batch; ++row) {
      const auto* data = static_cast<const float*>(logits.data) + row * width;
      rows.emplace_back(data, data + width);
    }
    return rows;
  }

  // What is active on the model.
  Row Active() { return Forward(1, PEFT_FORWARD_OPTIONS_INIT)[0]; }

  std::vector<Row> Named(std::vector<const char*> names) {
    peft_forward_options_t options = PEFT_FORWARD_OPTIONS_INIT;
    options.adapter_names = names.data();
    options.num_adapter_names = names.size();
    return Forward(static_cast<int64_t>(names.size()), options);
  }

  std::vector<Row> Activated(std::vector<const peft_activation_t*> activations,
                             int64_t batch) {
    peft_forward_options_t options = PEFT_FORWARD_OPTIONS_INIT;
    options.activations = activations.data();
    options.num_activations = activations.size();
    return Forward(batch, options);
  }

  static void ExpectNear(const Row& found, const Row& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_NEAR(found[i], expected[i], 1e-4) << i;
    }
  }

  peft_adapter_info_t Info(const char* name) {
    peft_adapter_info_t info = PEFT_ADAPTER_INFO_INIT;
    EXPECT_PEFT_OK(peft_model_get_adapter_info(model_.get(), name, &info));
    return info;
  }

  OwnedStateDict StateDict(const char* name) {
    peft_state_dict_t* state_dict = nullptr;
    EXPECT_PEFT_OK(
        peft_model_get_adapter_state_dict(model_.get(), name, &state_dict));
    return OwnedStateDict(state_dict);
  }

  int32_t Has(const char* name) {
    int32_t has = -1;
    EXPECT_PEFT_OK(peft_model_has_adapter(model_.get(), name, &has));
    return has;
  }

  OwnedModel model_;
  std::string root_;
  Outcome outcome_;
};

TEST_F(AdapterVerbsTest, WhatIsSavedLoadsAndComputesTheSame) {
  for (const char* name : {"german", "french", "roman"}) {
    Load(name);
    const Row before = Active();
    const std::string path = root_ + "/" + name;
    ASSERT_PEFT_OK(
        peft_model_save_adapter(model_.get(), nullptr, path.c_str(), nullptr));
    ASSERT_PEFT_OK(peft_model_delete_adapter(model_.get(), &name, 1));
    ASSERT_PEFT_OK(peft_model_load_adapter(model_.get(), name, path.c_str(),
                                           nullptr, nullptr));
    EXPECT_EQ(Active(), before) << name;
    EXPECT_TRUE(fs::exists(path + "/adapter_model.safetensors"));
  }
}

TEST_F(AdapterVerbsTest, ASaveTakesAnInitBackFromTheBase) {
  const Row base = Active();
  ASSERT_PEFT_OK(peft_model_add_adapter(
      model_.get(), "new",
      R"({"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"],
          "init_lora_weights": "pissa"})",
      nullptr));
  const std::string initial = root_ + "/initial";
  ASSERT_PEFT_OK(
      peft_model_save_adapter(model_.get(), "new", initial.c_str(), nullptr));
  peft_save_options_t options = PEFT_SAVE_OPTIONS_INIT;
  options.path_initial_model_for_weight_conversion = initial.c_str();
  const std::string plain = root_ + "/plain";
  ASSERT_PEFT_OK(
      peft_model_save_adapter(model_.get(), "new", plain.c_str(), &options));
  ASSERT_PEFT_OK(peft_model_load_adapter(model_.get(), "plain", plain.c_str(),
                                         nullptr, nullptr));
  EXPECT_EQ(Info("plain").rank, 4);
  ExpectNear(Active(), base);
  EXPECT_PEFT_ERROR(peft_model_save_adapter(model_.get(), "plain",
                                            (root_ + "/x").c_str(), &options),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
  const std::string nowhere = root_ + "/nowhere";
  options.path_initial_model_for_weight_conversion = nowhere.c_str();
  EXPECT_PEFT_ERROR(peft_model_save_adapter(model_.get(), "new",
                                            (root_ + "/x").c_str(), &options),
                    PEFT_NOT_FOUND, "FILE_NOT_FOUND");
}

TEST_F(AdapterVerbsTest, ASaveOverwritesOnlyWhenAsked) {
  Load("german");
  const std::string path = root_ + "/saved";
  fs::create_directory(path);
  std::ofstream(path + "/adapter_config.json") << "mine";
  EXPECT_PEFT_ERROR(
      peft_model_save_adapter(model_.get(), "german", path.c_str(), nullptr),
      PEFT_ALREADY_EXISTS, "FILE_EXISTS");
  EXPECT_EQ(ReadText(path + "/adapter_config.json"), "mine");
  peft_save_options_t options = PEFT_SAVE_OPTIONS_INIT;
  options.overwrite = 1;
  EXPECT_PEFT_OK(
      peft_model_save_adapter(model_.get(), "german", path.c_str(), &options));
  options.overwrite = 2;
  EXPECT_PEFT_ERROR(
      peft_model_save_adapter(model_.get(), "german", path.c_str(), &options),
      PEFT_INVALID_ARGUMENT, "ARGUMENT");
  EXPECT_PEFT_ERROR(
      peft_model_save_adapter(model_.get(), "x", path.c_str(), nullptr),
      PEFT_NOT_FOUND, "ADAPTER_NOT_FOUND");
}

TEST_F(AdapterVerbsTest, LoadsFromMemoryWhatItGaveOut) {
  Load("french");
  const Row french = Active();
  OwnedStateDict state_dict = StateDict("french");
  peft_string_t* text = nullptr;
  ASSERT_PEFT_OK(peft_model_get_adapter_config(model_.get(), "french", &text));
  const OwnedString config(text);
  ASSERT_PEFT_OK(peft_model_load_adapter_from_memory(
      model_.get(), nullptr, peft_string_data(text), state_dict.get(), nullptr,
      nullptr));
  state_dict.reset();
  EXPECT_EQ(Has("default"), 1);
  EXPECT_EQ(Active(), french);
  peft_string_t* source = nullptr;
  ASSERT_PEFT_OK(
      peft_model_get_adapter_source(model_.get(), "default", &source));
  EXPECT_STREQ(peft_string_data(source), "");
  peft_string_free(source);
}

TEST_F(AdapterVerbsTest, MemoryIsReadAsStrictlyAsAFolder) {
  peft_state_dict_t* handle = nullptr;
  ASSERT_PEFT_OK(peft_state_dict_create(&handle));
  const OwnedStateDict empty(handle);
  const auto load = [&](const char* config,
                        const peft_load_options_t* options) {
    return Take(peft_model_load_adapter_from_memory(model_.get(), "a", config,
                                                    handle, options, nullptr));
  };
  const char* const good =
      R"({"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]})";
  EXPECT_EQ(load("{", nullptr).id, "JSON");
  EXPECT_EQ(load(nullptr, nullptr).id, "UTF8");
  EXPECT_EQ(load(R"({"peft_type": "LORA", "r": 2, "odd": 3})", nullptr).id,
            "ADAPTER_CONFIG_UNKNOWN_KEY");
  EXPECT_EQ(load(good, nullptr).code, PEFT_INVALID_ARGUMENT);
  peft_load_options_t options = PEFT_LOAD_OPTIONS_INIT;
  options.subfolder = "x";
  const Outcome outcome = load(good, &options);
  EXPECT_EQ(outcome.id, "ARGUMENT");
  EXPECT_NE(outcome.message.find("subfolder"), std::string::npos) << outcome;
  EXPECT_EQ(Has("a"), 0);
}

TEST_F(AdapterVerbsTest, MemoryTakesAnUnconvertedInitWhereItIsAllowed) {
  Load("french");
  const OwnedStateDict state_dict = StateDict("french");
  peft_string_t* text = nullptr;
  ASSERT_PEFT_OK(peft_model_get_adapter_config(model_.get(), "french", &text));
  const OwnedString owned(text);
  std::string config = peft_string_data(text);
  const std::string plain = R"("init_lora_weights": true)";
  ASSERT_NE(config.find(plain), std::string::npos);
  config.replace(config.find(plain), plain.size(),
                 R"("init_lora_weights": "corda")");
  peft_load_options_t options = PEFT_LOAD_OPTIONS_INIT;
  const auto load = [&](const char* name) {
    return Take(peft_model_load_adapter_from_memory(
        model_.get(), name, config.c_str(), state_dict.get(), &options,
        nullptr));
  };
  EXPECT_EQ(load("a").id, "ADAPTER_FEATURE_UNSUPPORTED");
  options.allow_unconverted_init = 1;
  EXPECT_EQ(load("a").id, "");
  EXPECT_EQ(Has("a"), 1);
}

TEST_F(AdapterVerbsTest, AMappedFileComputesTheSame) {
  Load("german");
  const Row copied = Active();
  peft_load_options_t options = PEFT_LOAD_OPTIONS_INIT;
  options.map_file = 1;
  const std::string folder = Folder("german");
  ASSERT_PEFT_OK(peft_model_load_adapter(model_.get(), "mapped", folder.c_str(),
                                         &options, nullptr));
  EXPECT_EQ(Active(), copied);
  options.map_file = 2;
  EXPECT_PEFT_ERROR(peft_model_load_adapter(model_.get(), "x", folder.c_str(),
                                            &options, nullptr),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
}

TEST_F(AdapterVerbsTest, ReplacingTakesOverUnderTheSameName) {
  Load("german");
  Load("roman");
  const Row roman = Active();
  Set("german");
  const uint64_t before = Info("german").generation;
  peft_load_options_t options = PEFT_LOAD_OPTIONS_INIT;
  options.expected_generation = before;
  ASSERT_PEFT_OK(peft_model_replace_adapter(
      model_.get(), "german", Folder("roman").c_str(), &options, nullptr));
  EXPECT_EQ(Active(), roman);
  EXPECT_NE(Info("german").generation, before);
  EXPECT_PEFT_ERROR(
      peft_model_replace_adapter(model_.get(), "german",
                                 Folder("french").c_str(), &options, nullptr),
      PEFT_FAILED_PRECONDITION, "ADAPTER_GENERATION");
  EXPECT_PEFT_ERROR(
      peft_model_replace_adapter(model_.get(), "x", Folder("french").c_str(),
                                 nullptr, nullptr),
      PEFT_NOT_FOUND, "ADAPTER_NOT_FOUND");
  EXPECT_PEFT_ERROR(
      peft_model_load_adapter(model_.get(), "x", Folder("french").c_str(),
                              &options, nullptr),
      PEFT_INVALID_ARGUMENT, "ARGUMENT");
  EXPECT_EQ(Active(), roman);
}

TEST_F(AdapterVerbsTest, ReplacesFromMemory) {
  Load("german");
  Load("french");
  const Row french = Active();
  const OwnedStateDict state_dict = StateDict("french");
  const std::string config = ReadText(Folder("french/adapter_config.json"));
  Set("german");
  ASSERT_PEFT_OK(peft_model_replace_adapter_from_memory(
      model_.get(), "german", config.c_str(), state_dict.get(), nullptr,
      nullptr));
  EXPECT_EQ(Active(), french);
}

TEST_F(AdapterVerbsTest, RenamesAndTellsTheFacts) {
  Load("german");
  ASSERT_PEFT_OK(peft_model_rename_adapter(model_.get(), "german", "deutsch"));
  EXPECT_EQ(Has("german"), 0);
  EXPECT_EQ(Has("deutsch"), 1);
  const peft_adapter_info_t info = Info(nullptr);
  EXPECT_STREQ(info.peft_type, "LORA");
  EXPECT_EQ(info.rank, 16);
  EXPECT_GT(info.num_sites, 0);
  EXPECT_EQ(info.scale, 1.0f);
  EXPECT_EQ(info.is_active, 1);
  EXPECT_EQ(info.is_pinned, 0);
  EXPECT_EQ(info.is_trainable, 0);
  peft_string_t* source = nullptr;
  ASSERT_PEFT_OK(peft_model_get_adapter_source(model_.get(), nullptr, &source));
  EXPECT_EQ(peft_string_data(source), Folder("german"));
  peft_string_free(source);
  peft_model_info_t model_info = PEFT_MODEL_INFO_INIT;
  ASSERT_PEFT_OK(peft_model_get_info(model_.get(), &model_info));
  EXPECT_EQ(model_info.num_adapters, 1);
  EXPECT_EQ(model_info.adapter_bytes, info.size_bytes);
}

TEST_F(AdapterVerbsTest, EstimatesWhatALoadWillTake) {
  for (const char* name : {"german", "french", "roman"}) {
    peft_adapter_estimate_t estimate = PEFT_ADAPTER_ESTIMATE_INIT;
    ASSERT_PEFT_OK(
        peft_estimate_adapter(Folder(name).c_str(), nullptr, &estimate));
    Load(name);
    const peft_adapter_info_t info = Info(name);
    EXPECT_EQ(estimate.size_bytes, info.size_bytes) << name;
    EXPECT_EQ(estimate.num_parameters, info.num_parameters) << name;
  }
}

TEST_F(AdapterVerbsTest, AScaleIsFoldedIntoWhateverIsActive) {
  Load("german");
  const Row full = Active();
  Set(nullptr);
  const Row base = Active();
  ASSERT_PEFT_OK(peft_model_set_scale(model_.get(), "german", 0.0f));
  Set("german");
  EXPECT_EQ(Active(), base);
  ASSERT_PEFT_OK(peft_model_set_scale(model_.get(), "german", 1.0f));
  EXPECT_EQ(Active(), full);
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_PEFT_ERROR(peft_model_set_scale(model_.get(), "german", inf),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
}

TEST_F(AdapterVerbsTest, TheLimitEvictsAndPinningKeeps) {
  Load("german");
  Load("french");
  ASSERT_PEFT_OK(peft_model_pin_adapter(model_.get(), "german", 1));
  Set(nullptr);
  ASSERT_PEFT_OK(peft_model_set_adapter_limit(model_.get(), 0, 2));
  Load("roman");
  EXPECT_EQ(Has("german"), 1);
  EXPECT_EQ(Has("french"), 0);
  const Outcome gone = Take(peft_model_set_scale(model_.get(), "french", 1));
  EXPECT_EQ(gone.id, "ADAPTER_NOT_FOUND");
  EXPECT_NE(gone.message.find("evicted"), std::string::npos) << gone;
  const Outcome full = Take(peft_model_load_adapter(
      model_.get(), "french", Folder("french").c_str(), nullptr, nullptr));
  EXPECT_EQ(full.code, PEFT_RESOURCE_EXHAUSTED) << full;
  EXPECT_EQ(full.id, "ADAPTER_LIMIT") << full;
  EXPECT_EQ(Has("roman"), 1);
  EXPECT_PEFT_ERROR(peft_model_pin_adapter(model_.get(), "german", 2),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
  EXPECT_PEFT_ERROR(peft_model_set_adapter_limit(model_.get(), -1, 0),
                    PEFT_INVALID_ARGUMENT, "ARGUMENT");
}

TEST_F(AdapterVerbsTest, AFreshAdapterChangesNothingAndIsTrainable) {
  const char* const config =
      R"({"peft_type": "LORA", "r": 3, "target_modules": ["q_proj"]})";
  const Row base = Active();
  peft_add_adapter_options_t options = PEFT_ADD_ADAPTER_OPTIONS_INIT;
  options.seed = 7;
  ASSERT_PEFT_OK(
      peft_model_add_adapter(model_.get(), nullptr, config, &options));
  EXPECT_EQ(Active(), base);
  const peft_adapter_info_t info = Info("default");
  EXPECT_EQ(info.rank, 3);
  EXPECT_EQ(info.is_active, 1);
  EXPECT_EQ(info.is_trainable, 1);
  EXPECT_PEFT_ERROR(
      peft_model_add_adapter(model_.get(), "default", config, &options),
      PEFT_ALREADY_EXISTS, "ADAPTER_EXISTS");
  EXPECT_PEFT_ERROR(
      peft_model_add_adapter(
          model_.get(), "x",
          R"({"peft_type": "LORA", "target_modules": ["x"]})", &options),
      PEFT_INVALID_ARGUMENT, "NO_TARGET_MATCHED");
  EXPECT_EQ(Has("x"), 0);
}

// -- Rows
// ----------------------------------------------------------------------

TEST_F(AdapterVerbsTest, EachRowRunsTheAdapterThatItNames) {
  for (const char* name : {"german", "french", "roman"}) Load(name);
  const std::vector<Row> rows =
      Named({"roman", "__base__", "german", "roman", "french"});
  ASSERT_EQ(rows.size(), 5u) << outcome_;
  Set("german");
  ExpectNear(rows[2], Active());
  Set("french");
  ExpectNear(rows[4], Active());
  Set("roman");
  ExpectNear(rows[0], Active());
  ExpectNear(rows[3], Active());
  Set(nullptr);
  ExpectNear(rows[1], Active());
}

TEST_F(AdapterVerbsTest, EachRowRunsASetOfItsOwn) {
  for (const char* name : {"german", "french"}) Load(name);
  const OwnedActivation both = Activate({"french", "german"}, {0.5f, -1.0f});
  const OwnedActivation one = Activate({"german"});
  const std::vector<Row> rows = Activated({both.get(), nullptr, one.get()}, 3);
  ASSERT_EQ(rows.size(), 3u) << outcome_;
  const char* const names[] = {"french", "german"};
  const float scales[] = {0.5f, -1.0f};
  peft_set_adapter_options_t options = PEFT_SET_ADAPTER_OPTIONS_INIT;
  options.scales = scales;
  ASSERT_PEFT_OK(peft_model_set_adapter(model_.get(), names, 2, &options));
  ExpectNear(rows[0], Active());
  Set(nullptr);
  ExpectNear(rows[1], Active());
  Set("german");
  ExpectNear(rows[2], Active());
  const std::vector<Row> all = Activated({one.get()}, 2);
  ASSERT_EQ(all.size(), 2u) << outcome_;
  ExpectNear(all[1], rows[2]);
}

TEST_F(AdapterVerbsTest, DisablingWinsOverNamesAndActivations) {
  Load("german");
  const OwnedActivation german = Activate({"german"});
  ASSERT_PEFT_OK(peft_model_disable_adapters(model_.get()));
  const Row base = Active();
  EXPECT_EQ(Named({"german"})[0], base);
  EXPECT_EQ(Activated({german.get()}, 1)[0], base);
  ASSERT_PEFT_OK(peft_model_enable_adapters(model_.get()));
  EXPECT_NE(Activated({german.get()}, 1)[0], base);
}

TEST_F(AdapterVerbsTest, AnActivationKeepsWhatItWasMadeWith) {
  Load("german");
  const Row german_row = Active();
  const OwnedActivation german = Activate({"german"});
  const char* const name = "german";
  ASSERT_PEFT_OK(peft_model_set_scale(model_.get(), name, 0.25f));
  EXPECT_EQ(Activated({german.get()}, 1)[0], german_row);
  ASSERT_PEFT_OK(peft_model_delete_adapter(model_.get(), &name, 1));
  EXPECT_EQ(Activated({german.get()}, 1)[0], german_row);
  model_.reset();
}

TEST_F(AdapterVerbsTest, RowsThatDoNotFitAreNamed) {
  Load("german");
  Named({"german", "x", "y"});
  EXPECT_EQ(outcome_.code, PEFT_NOT_FOUND);
  EXPECT_NE(outcome_.message.find("\"x\", \"y\""), std::string::npos)
      << outcome_;
  const char* const name = "german";
  peft_forward_options_t options = PEFT_FORWARD_OPTIONS_INIT;
  options.adapter_names = &name;
  options.num_adapter_names = 1;
  Forward(2, options);
  EXPECT_EQ(outcome_.subject, "options.adapter_names");
  const OwnedActivation german = Activate({"german"});
  const peft_activation_t* const two[] = {german.get(), german.get()};
  options.activations = two;
  options.num_activations = 2;
  Forward(1, options);
  EXPECT_EQ(outcome_.id, "ARGUMENT");
  options.num_adapter_names = 0;
  Forward(3, options);
  EXPECT_EQ(outcome_.subject, "options.activations");
  peft_model_t* handle = nullptr;
  ASSERT_PEFT_OK(peft_model_open(kBase, nullptr, &handle));
  const OwnedModel other(handle);
  model_.swap(const_cast<OwnedModel&>(other));
  Forward(2, options);
  EXPECT_NE(outcome_.message.find("another model"), std::string::npos)
      << outcome_;
}

TEST_F(AdapterVerbsTest, ACacheGoesOnUnderTheSameRowsOnly) {
  Load("german");
  Load("french");
  peft_session_t* handle = nullptr;
  ASSERT_PEFT_OK(peft_session_create(model_.get(), nullptr, &handle));
  const OwnedSession session(handle);
  const int64_t ids[] = {1, 1};
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  input.ids = ids;
  input.batch = 2;
  input.length = 1;
  const auto forward = [&](std::vector<const char*> names) {
    peft_forward_options_t options = PEFT_FORWARD_OPTIONS_INIT;
    options.adapter_names = names.data();
    options.num_adapter_names = names.size();
    peft_tensor_view_t logits = PEFT_TENSOR_VIEW_INIT;
    return Take(peft_session_forward(handle, &input, &options, &logits));
  };
  EXPECT_TRUE(forward({"german", "french"}).ok());
  EXPECT_TRUE(forward({"german", "french"}).ok());
  EXPECT_EQ(forward({"french", "german"}).id, "ACTIVATION_CHANGED");
  EXPECT_EQ(forward({}).id, "ACTIVATION_CHANGED");
}

TEST_F(AdapterVerbsTest, GenerateTakesRowsToo) {
  Load("german");
  Load("french");
  peft_session_t* handle = nullptr;
  ASSERT_PEFT_OK(peft_session_create(model_.get(), nullptr, &handle));
  const OwnedSession session(handle);
  const auto generate = [&](std::vector<const char*> names) {
    std::vector<int64_t> ids;
    for (size_t i = 0; i < names.size(); ++i) {
      ids.insert(ids.end(), kPrompt, kPrompt + kLength);
    }
    peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
    input.ids = ids.data();
    input.batch = static_cast<int64_t>(names.size());
    input.length = kLength;
    peft_generate_options_t options = PEFT_GENERATE_OPTIONS_INIT;
    options.adapter_names = names.data();
    options.num_adapter_names = names.size();
    peft_generate_result_t* result = nullptr;
    EXPECT_PEFT_OK(peft_session_generate(handle, &input, &options, &result));
    const OwnedResult owned(result);
    std::vector<std::vector<int64_t>> rows;
    for (size_t row = 0; row < names.size(); ++row) {
      size_t count = 0;
      const int64_t* tokens = peft_generate_result_tokens(result, row, &count);
      rows.emplace_back(tokens, tokens + count);
    }
    return rows;
  };
  const auto rows = generate({"french", "__base__", "german"});
  EXPECT_EQ(rows[0], generate({"french"})[0]);
  EXPECT_EQ(rows[1], generate({"__base__"})[0]);
  EXPECT_EQ(rows[2], generate({"german"})[0]);
  EXPECT_NE(rows[0], rows[2]);
}

}  // namespace
}  // namespace peft
