#include "peft_c/log.h"

#include <stdexcept>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

struct Lines {
  std::vector<std::string> lines;
  std::vector<int32_t> levels;
};

void Collect(void* user_data, int32_t level, const char* line) {
  auto* lines = static_cast<Lines*>(user_data);
  lines->lines.push_back(line);
  lines->levels.push_back(level);
}

class LogTest : public testing::Test {
 protected:
  void SetUp() override { peft_set_logger(Collect, &log_); }
  void TearDown() override { peft_set_logger(nullptr, nullptr); }

  Lines log_;
};

TEST_F(LogTest, LinesGoToTheCallback) {
  LogLine(PEFT_LOG_INFO, "hello");
  EXPECT_EQ(log_.lines, std::vector<std::string>({"hello"}));
  EXPECT_EQ(log_.levels, std::vector<int32_t>({PEFT_LOG_INFO}));
}

TEST_F(LogTest, NullDropsLines) {
  peft_set_logger(nullptr, nullptr);
  LogLine(PEFT_LOG_INFO, "hello");
  EXPECT_TRUE(log_.lines.empty());
}

TEST_F(LogTest, LinesBelowTheLevelAreDropped) {
  ASSERT_PEFT_OK(peft_set_log_level(PEFT_LOG_ERROR));
  LogLine(PEFT_LOG_WARNING, "lost");
  LogLine(PEFT_LOG_ERROR, "kept");
  ASSERT_PEFT_OK(peft_set_log_level(PEFT_LOG_NONE));
  LogLine(PEFT_LOG_ERROR, "lost");
  ASSERT_PEFT_OK(peft_set_log_level(PEFT_LOG_INFO));
  EXPECT_EQ(log_.lines, std::vector<std::string>({"kept"}));
}

TEST_F(LogTest, ALevelThatIsNoneIsRefused) {
  for (const int32_t level : {0, 5, -1}) {
    EXPECT_PEFT_ERROR(peft_set_log_level(level), PEFT_INVALID_ARGUMENT,
                      "ARGUMENT");
  }
}

TEST_F(LogTest, AFreeOfAFreedHandleIsLoggedAndDoesNothing) {
  peft_state_dict_t* handle = nullptr;
  ASSERT_PEFT_OK(peft_state_dict_create(&handle));
  peft_state_dict_free(handle);
  EXPECT_TRUE(log_.lines.empty());
  peft_state_dict_free(handle);
  ASSERT_EQ(log_.lines.size(), 1u);
  EXPECT_EQ(log_.lines[0],
            "peft_state_dict_free: the argument was already freed; "
            "nothing was freed");
  EXPECT_EQ(log_.levels[0], PEFT_LOG_WARNING);
}

TEST_F(LogTest, AFreeOfAnotherKindIsLoggedAndDoesNothing) {
  peft_state_dict_t* handle = nullptr;
  ASSERT_PEFT_OK(peft_state_dict_create(&handle));
  peft_tensor_free(reinterpret_cast<peft_tensor_t*>(handle));
  ASSERT_EQ(log_.lines.size(), 1u);
  EXPECT_NE(log_.lines[0].find("is a state dict, expected a tensor"),
            std::string::npos);
  peft_state_dict_free(handle);
  EXPECT_EQ(log_.lines.size(), 1u);
}

void FreeGarbage(void* user_data, int32_t, const char*) {
  ++*static_cast<int*>(user_data);
  peft_string_free(reinterpret_cast<peft_string_t*>(uintptr_t{1}));
}

TEST_F(LogTest, ACallbackThatMakesTheLibraryLogIsNotCalledAgain) {
  int calls = 0;
  peft_set_logger(FreeGarbage, &calls);
  LogLine(PEFT_LOG_INFO, "hello");
  EXPECT_EQ(calls, 1);
}

void Throw(void*, int32_t, const char*) { throw std::runtime_error("boom"); }

TEST_F(LogTest, ACallbackThatThrowsDoesNoHarm) {
  peft_set_logger(Throw, nullptr);
  LogLine(PEFT_LOG_INFO, "hello");
  peft_set_logger(Collect, &log_);
  LogLine(PEFT_LOG_INFO, "again");
  EXPECT_EQ(log_.lines.size(), 1u);
}

}  // namespace
}  // namespace peft
