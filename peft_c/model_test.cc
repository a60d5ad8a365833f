#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/peft_c.h"

namespace {

const char kBase[] = "examples/quickstart/base";

void CollectLine(void* user_data, int32_t level, const char* line) {
  auto* lines = static_cast<std::vector<std::string>*>(user_data);
  lines->push_back(std::to_string(level) + " " + line);
}

// A copy of the quickstart's base with one more tensor, "surplus".
std::string FolderWithSurplusTensor() {
  const std::string folder = testing::TempDir() + "/surplus";
  EXPECT_EQ(std::system(("mkdir -p " + folder).c_str()), 0);
  std::ifstream config(std::string(kBase) + "/config.json");
  std::ofstream(folder + "/config.json") << config.rdbuf();
  peft_state_dict_t* weights = nullptr;
  EXPECT_EQ(peft_state_dict_read(
                (std::string(kBase) + "/model.safetensors").c_str(), &weights),
            nullptr);
  const float value = 1;
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  view.data = &value;
  view.dtype = PEFT_DTYPE_F32;
  EXPECT_EQ(peft_state_dict_set(weights, "surplus", &view), nullptr);
  EXPECT_EQ(
      peft_state_dict_write(weights, (folder + "/model.safetensors").c_str()),
      nullptr);
  peft_state_dict_free(weights);
  return folder;
}

TEST(ModelOpen, LogsTensorsThatTheModelDoesNotUse) {
  const std::string folder = FolderWithSurplusTensor();
  std::vector<std::string> lines;
  peft_set_logger(CollectLine, &lines);
  peft_model_t* model = nullptr;
  ASSERT_EQ(peft_model_open(folder.c_str(), nullptr, &model), nullptr);
  peft_set_logger(nullptr, nullptr);
  peft_model_free(model);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].substr(0, 2), "2 ") << "not a warning";
  EXPECT_NE(lines[0].find("\"surplus\""), std::string::npos) << lines[0];
}

TEST(ModelOpen, LogsAHeadThatIsNew) {
  std::vector<std::string> lines;
  peft_set_logger(CollectLine, &lines);
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.task = PEFT_TASK_TOKEN_CLASSIFICATION;
  options.num_labels = 7;
  peft_model_t* model = nullptr;
  ASSERT_EQ(peft_model_open(kBase, &options, &model), nullptr);
  peft_set_logger(nullptr, nullptr);
  peft_model_info_t info = PEFT_MODEL_INFO_INIT;
  EXPECT_EQ(peft_model_get_info(model, &info), nullptr);
  EXPECT_EQ(info.task, PEFT_TASK_TOKEN_CLASSIFICATION);
  EXPECT_EQ(info.num_labels, 7);
  EXPECT_STREQ(info.architecture, "LlamaForTokenClassification");
  peft_model_free(model);
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines[0].substr(0, 2), "2 ") << "not a warning";
  EXPECT_NE(lines[0].find("untrained"), std::string::npos) << lines[0];
}

TEST(ModelOpen, RefusesATaskThatThereIsNot) {
  for (const int32_t task : {-1, PEFT_TASK_QUESTION_ANSWERING + 1}) {
    peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
    options.task = task;
    peft_model_t* model = nullptr;
    peft_status_t* const status = peft_model_open(kBase, &options, &model);
    ASSERT_NE(status, nullptr);
    EXPECT_STREQ(peft_status_id(status), "ARGUMENT");
    EXPECT_NE(std::string(peft_status_message(status)).find("options.task"),
              std::string::npos);
    peft_status_free(status);
  }
}

TEST(ModelOpen, LogsNothingWhenEveryTensorIsUsed) {
  std::vector<std::string> lines;
  peft_set_logger(CollectLine, &lines);
  peft_model_t* model = nullptr;
  ASSERT_EQ(peft_model_open(kBase, nullptr, &model), nullptr);
  peft_set_logger(nullptr, nullptr);
  peft_model_free(model);
  EXPECT_TRUE(lines.empty());
}

}  // namespace
