// What callbacks may do to the library. Runs twice: inside of one program under
// the sanitizers, and against libpeft.so, which has a C++ library of its own.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

constexpr char kBase[] = "examples/quickstart/base";
constexpr int64_t kPrompt[] = {1, 4, 5, 6, 7, 13};

class CallbackTest : public testing::Test {
 protected:
  void SetUp() override {
    peft_model_t* model = nullptr;
    ASSERT_PEFT_OK(peft_model_open(kBase, nullptr, &model));
    model_.reset(model);
    ASSERT_PEFT_OK(peft_session_create(model, nullptr, &session_));
  }
  void TearDown() override { peft_session_free(session_); }

  Outcome Generate(peft_token_fn on_token, void* user_data) {
    peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
    input.ids = kPrompt;
    input.batch = 1;
    input.length = 6;
    peft_generate_options_t options = PEFT_GENERATE_OPTIONS_INIT;
    options.on_token = on_token;
    options.user_data = user_data;
    peft_generate_result_t* result = nullptr;
    const Outcome outcome =
        Take(peft_session_generate(session_, &input, &options, &result));
    EXPECT_EQ(outcome.ok(), result != nullptr);
    peft_generate_result_free(result);
    return outcome;
  }

  OwnedModel model_;
  peft_session_t* session_ = nullptr;
};

int32_t Collect(void* user_data, int64_t row, int64_t token) {
  EXPECT_EQ(row, 0);
  static_cast<std::vector<int64_t>*>(user_data)->push_back(token);
  return 0;
}

TEST_F(CallbackTest, SeesEveryToken) {
  std::vector<int64_t> tokens;
  EXPECT_TRUE(Generate(Collect, &tokens).ok());
  EXPECT_EQ(tokens.size(), 20u);
  // The "o" and the "n" of "one".
  EXPECT_EQ(tokens[0], 30);
  EXPECT_EQ(tokens[1], 29);
}

int32_t Cancel(void* user_data, int64_t, int64_t) {
  return ++*static_cast<int*>(user_data) == 2 ? -1 : 0;
}

TEST_F(CallbackTest, CancelsWithAnyNumberButZero) {
  int calls = 0;
  EXPECT_EQ(Generate(Cancel, &calls).code, PEFT_CANCELLED);
  EXPECT_EQ(calls, 2);
}

int32_t Throw(void*, int64_t, int64_t) { throw std::runtime_error("boom"); }
int32_t ThrowNumber(void*, int64_t, int64_t) { throw 42; }

TEST_F(CallbackTest, AnExceptionCancels) {
  const Outcome outcome = Generate(Throw, nullptr);
  EXPECT_EQ(outcome.code, PEFT_CANCELLED);
  EXPECT_EQ(outcome.id, "CANCELLED");
  EXPECT_NE(outcome.message.find("boom"), std::string::npos) << outcome;
  EXPECT_EQ(Generate(ThrowNumber, nullptr).id, "CANCELLED");
  EXPECT_PEFT_OK(peft_session_reset(session_));
}

int32_t UseSession(void* user_data, int64_t, int64_t) {
  auto* session = static_cast<peft_session_t*>(user_data);
  EXPECT_PEFT_ERROR(peft_session_reset(session), PEFT_FAILED_PRECONDITION,
                    "SESSION_BUSY");
  EXPECT_EQ(peft_session_cache_length(session), 0);
  return 0;
}

TEST_F(CallbackTest, CannotUseItsSession) {
  EXPECT_TRUE(Generate(UseSession, session_).ok());
}

int32_t FreeSession(void* user_data, int64_t, int64_t) {
  auto** session = static_cast<peft_session_t**>(user_data);
  peft_session_free(*session);
  *session = nullptr;
  return 0;
}

TEST_F(CallbackTest, MayFreeItsSession) {
  peft_session_t* const freed = session_;
  model_.reset();
  EXPECT_TRUE(Generate(FreeSession, &session_).ok());
  EXPECT_PEFT_ERROR(peft_session_reset(freed), PEFT_INVALID_ARGUMENT, "HANDLE");
}

// A switch inside of a generate does not touch it.
int32_t LoadAdapter(void* user_data, int64_t, int64_t) {
  auto* model = static_cast<peft_model_t*>(user_data);
  peft_status_free(peft_model_load_adapter(
      model, "german", "examples/quickstart/adapters/german", nullptr,
      nullptr));
  return 0;
}

TEST_F(CallbackTest, MayUseTheModel) {
  std::vector<int64_t> before;
  EXPECT_TRUE(Generate(Collect, &before).ok());
  EXPECT_TRUE(Generate(LoadAdapter, model_.get()).ok());
  std::vector<int64_t> after;
  EXPECT_TRUE(Generate(Collect, &after).ok());
  EXPECT_NE(before, after);
}

}  // namespace
}  // namespace peft
