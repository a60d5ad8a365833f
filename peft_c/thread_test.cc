// Threads that share a model and everything behind the handles.

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

constexpr char kBase[] = "examples/quickstart/base";
constexpr char kAdapters[] = "examples/quickstart/adapters/";
constexpr int kRounds = 4;
constexpr int64_t kPrompt[] = {1, 4, 5, 6, 7, 13};

OwnedModel Open() {
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  options.num_threads = 2;
  peft_model_t* model = nullptr;
  EXPECT_PEFT_OK(peft_model_open(kBase, &options, &model));
  return OwnedModel(model);
}

OwnedSession NewSession(const OwnedModel& model) {
  peft_session_t* session = nullptr;
  EXPECT_PEFT_OK(peft_session_create(model.get(), nullptr, &session));
  return OwnedSession(session);
}

std::vector<int64_t> Answer(peft_session_t* session) {
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  input.ids = kPrompt;
  input.batch = 1;
  input.length = 6;
  peft_generate_options_t options = PEFT_GENERATE_OPTIONS_INIT;
  options.max_new_tokens = 4;
  peft_generate_result_t* handle = nullptr;
  EXPECT_PEFT_OK(peft_session_generate(session, &input, &options, &handle));
  const OwnedResult result(handle);
  size_t size = 0;
  const int64_t* tokens = peft_generate_result_tokens(result.get(), 0, &size);
  return std::vector<int64_t>(tokens, tokens + size);
}

void Load(const OwnedModel& model, const std::string& name,
          const std::string& folder) {
  EXPECT_PEFT_OK(peft_model_load_adapter(model.get(), name.c_str(),
                                         (kAdapters + folder).c_str(), nullptr,
                                         nullptr));
}

TEST(ThreadTest, LoadSwitchGenerateAndDeleteAtTheSameTime) {
  const OwnedModel model = Open();
  const OwnedSession first = NewSession(model);
  const std::vector<int64_t> english = Answer(first.get());
  Load(model, "german", "german");
  const std::vector<int64_t> german = Answer(first.get());
  ASSERT_NE(english, german);

  std::vector<std::thread> threads;
  // Two conversations: each answer is wholly of one language.
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      const OwnedSession session = NewSession(model);
      for (int round = 0; round < kRounds; ++round) {
        const std::vector<int64_t> answer = Answer(session.get());
        EXPECT_TRUE(answer == english || answer == german);
      }
    });
  }
  // One that switches, and one that loads, lists and deletes. An adapter that
  // is loaded is active, so the copy is german too.
  threads.emplace_back([&] {
    const char* const name = "german";
    for (int round = 0; round < 10 * kRounds; ++round) {
      EXPECT_PEFT_OK(
          peft_model_set_adapter(model.get(), &name, round % 2, nullptr));
    }
  });
  threads.emplace_back([&] {
    const char* const name = "copy";
    for (int round = 0; round < kRounds; ++round) {
      Load(model, name, "german");
      peft_string_list_t* names = nullptr;
      EXPECT_PEFT_OK(peft_model_list_adapters(model.get(), &names));
      EXPECT_EQ(peft_string_list_size(names), 2u);
      peft_string_list_free(names);
      EXPECT_PEFT_OK(peft_model_delete_adapter(model.get(), &name, 1));
    }
  });
  for (std::thread& thread : threads) thread.join();
}

TEST(ThreadTest, OneSessionInTwoThreadsIsAnErrorAndNoCrash) {
  const OwnedModel model = Open();
  const OwnedSession session = NewSession(model);
  std::atomic<int> busy{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 10 * kRounds; ++round) {
        peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
        input.ids = kPrompt;
        input.batch = 1;
        input.length = 1;
        peft_tensor_view_t logits = PEFT_TENSOR_VIEW_INIT;
        const Outcome outcome =
            Take(peft_session_forward(session.get(), &input, nullptr, &logits));
        EXPECT_TRUE(outcome.ok() || outcome.id == "SESSION_BUSY") << outcome;
        busy += !outcome.ok();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(peft_session_cache_length(session.get()),
            2 * 10 * kRounds - busy.load());
}

TEST(ThreadTest, FreeWhileOthersUseTheHandle) {
  for (int round = 0; round < kRounds; ++round) {
    OwnedModel model = Open();
    OwnedSession session = NewSession(model);
    std::thread user([handle = session.get()] {
      peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
      input.ids = kPrompt;
      input.batch = 1;
      input.length = 6;
      peft_generate_result_t* result = nullptr;
      const Outcome outcome =
          Take(peft_session_generate(handle, &input, nullptr, &result));
      EXPECT_TRUE(outcome.ok() || outcome.id == "HANDLE") << outcome;
      peft_generate_result_free(result);
    });
    model.reset();
    session.reset();
    user.join();
  }
}

void Count(void* user_data, int32_t, const char*) {
  // Not atomic: the library calls one logger at a time.
  ++*static_cast<int*>(user_data);
}

TEST(ThreadTest, LogLinesComeOneAtATime) {
  int lines = 0;
  peft_set_logger(Count, &lines);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([] {
      for (int line = 0; line < 50; ++line) {
        peft_string_free(reinterpret_cast<peft_string_t*>(uintptr_t{1}));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  peft_set_logger(nullptr, nullptr);
  EXPECT_EQ(lines, 150);
}

}  // namespace
}  // namespace peft
