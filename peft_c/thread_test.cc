// Threads that share a model and everything behind the handles.

#include <algorithm>
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

// Rows under activations and names while others change every adapter.
TEST(ThreadTest, RowsRunWhileOthersLoadReplaceRenameAndDelete) {
  const OwnedModel model = Open();
  for (const char* name : {"german", "french"}) Load(model, name, name);
  const auto run = [&](const OwnedSession& session,
                       const peft_forward_options_t& options) {
    peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
    input.ids = kPrompt;
    input.batch = 2;
    input.length = 3;
    peft_tensor_view_t logits = PEFT_TENSOR_VIEW_INIT;
    EXPECT_PEFT_OK(peft_session_reset(session.get()));
    EXPECT_PEFT_OK(
        peft_session_forward(session.get(), &input, &options, &logits));
    const auto* data = static_cast<const float*>(logits.data);
    return std::vector<float>(data, data + 2 * 3 * logits.sizes[2]);
  };
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    const OwnedSession session = NewSession(model);
    const char* const name = "german";
    peft_activation_t* german = nullptr;
    EXPECT_PEFT_OK(
        peft_activation_create(model.get(), &name, nullptr, 1, &german));
    const peft_activation_t* const rows[] = {german, nullptr};
    peft_forward_options_t options = PEFT_FORWARD_OPTIONS_INIT;
    options.activations = rows;
    options.num_activations = 2;
    const std::vector<float> first = run(session, options);
    for (int round = 0; round < 4 * kRounds; ++round) {
      EXPECT_EQ(run(session, options), first);
    }
    peft_activation_free(german);
  });
  threads.emplace_back([&] {
    const OwnedSession session = NewSession(model);
    const char* const names[] = {"french", "__base__"};
    peft_forward_options_t options = PEFT_FORWARD_OPTIONS_INIT;
    options.adapter_names = names;
    options.num_adapter_names = 2;
    for (int round = 0; round < 4 * kRounds; ++round) run(session, options);
  });
  threads.emplace_back([&] {
    const std::string folder = std::string(kAdapters) + "german";
    for (int round = 0; round < 2 * kRounds; ++round) {
      EXPECT_PEFT_OK(peft_model_replace_adapter(
          model.get(), "french", folder.c_str(), nullptr, nullptr));
      EXPECT_PEFT_OK(peft_model_set_scale(model.get(), "french", 0.5f));
    }
  });
  threads.emplace_back([&] {
    const char* const renamed = "renamed";
    EXPECT_PEFT_OK(peft_model_pin_adapter(model.get(), "french", 1));
    for (int round = 0; round < 2 * kRounds; ++round) {
      Load(model, "copy", "roman");
      EXPECT_PEFT_OK(peft_model_pin_adapter(model.get(), "copy", round % 2));
      EXPECT_PEFT_OK(peft_model_set_adapter_limit(model.get(), 0, 3));
      EXPECT_PEFT_OK(peft_model_rename_adapter(model.get(), "copy", renamed));
      peft_adapter_info_t info = PEFT_ADAPTER_INFO_INIT;
      EXPECT_PEFT_OK(peft_model_get_adapter_info(model.get(), renamed, &info));
      EXPECT_PEFT_OK(peft_model_delete_adapter(model.get(), &renamed, 1));
    }
  });
  for (std::thread& thread : threads) thread.join();
}

// Two rows of tokens, or why not.
struct Rows {
  Outcome outcome;
  std::vector<std::vector<int64_t>> tokens;
};

Rows Generate(const OwnedSession& session,
              const peft_generate_options_t& options) {
  int64_t ids[12];
  std::copy_n(kPrompt, 6, ids);
  std::copy_n(kPrompt, 6, ids + 6);
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  input.ids = ids;
  input.batch = 2;
  input.length = 6;
  peft_generate_result_t* handle = nullptr;
  Rows rows;
  rows.outcome =
      Take(peft_session_generate(session.get(), &input, &options, &handle));
  const OwnedResult result(handle);
  for (size_t row = 0; row < peft_generate_result_num_rows(handle); ++row) {
    size_t size = 0;
    const int64_t* tokens = peft_generate_result_tokens(handle, row, &size);
    rows.tokens.emplace_back(tokens, tokens + size);
  }
  return rows;
}

// Generates again and again: each time the same, or refused while adapters are
// merged.
void GenerateTheSame(const OwnedModel& model,
                     const peft_generate_options_t& options,
                     const Rows& expected) {
  const OwnedSession session = NewSession(model);
  for (int round = 0; round < 4 * kRounds; ++round) {
    const Rows rows = Generate(session, options);
    EXPECT_TRUE(rows.outcome.ok() || rows.outcome.id == "MERGED")
        << rows.outcome;
    if (rows.outcome.ok()) {
      EXPECT_EQ(rows.tokens, expected.tokens);
    }
  }
}

TEST(ThreadTest, RowsGenerateWhileOthersMergeUnmergeLoadReplaceAndDelete) {
  peft_set_logger(nullptr, nullptr);  // loads that unmerge warn
  const OwnedModel model = Open();
  for (const char* name : {"german", "french"}) Load(model, name, name);
  const char* const german = "german";
  peft_activation_t* activation = nullptr;
  ASSERT_PEFT_OK(
      peft_activation_create(model.get(), &german, nullptr, 1, &activation));
  peft_generate_options_t by_activation = PEFT_GENERATE_OPTIONS_INIT;
  by_activation.max_new_tokens = 3;
  const peft_activation_t* const activations[] = {nullptr, activation};
  by_activation.activations = activations;
  by_activation.num_activations = 2;
  peft_generate_options_t by_name = PEFT_GENERATE_OPTIONS_INIT;
  by_name.max_new_tokens = 3;
  const char* const names[] = {"french", "__base__"};
  by_name.adapter_names = names;
  by_name.num_adapter_names = 2;
  const OwnedSession session = NewSession(model);
  const Rows of_activation = Generate(session, by_activation);
  const Rows of_name = Generate(session, by_name);
  ASSERT_TRUE(of_activation.outcome.ok()) << of_activation.outcome;
  ASSERT_TRUE(of_name.outcome.ok()) << of_name.outcome;
  ASSERT_NE(of_activation.tokens[0], of_activation.tokens[1]);

  std::vector<std::thread> threads;
  threads.emplace_back(
      [&] { GenerateTheSame(model, by_activation, of_activation); });
  threads.emplace_back([&] { GenerateTheSame(model, by_name, of_name); });
  threads.emplace_back([&] {
    for (int round = 0; round < 4 * kRounds; ++round) {
      EXPECT_PEFT_OK(
          peft_model_merge_adapter(model.get(), &german, 1, nullptr));
      EXPECT_PEFT_OK(peft_model_unmerge_adapter(model.get()));
    }
  });
  threads.emplace_back([&] {
    const char* const copy = "copy";
    const std::string folder = std::string(kAdapters) + "french";
    for (int round = 0; round < 2 * kRounds; ++round) {
      Load(model, copy, "roman");
      EXPECT_PEFT_OK(peft_model_replace_adapter(
          model.get(), copy, folder.c_str(), nullptr, nullptr));
      EXPECT_PEFT_OK(peft_model_delete_adapter(model.get(), &copy, 1));
    }
  });
  for (std::thread& thread : threads) thread.join();
  peft_activation_free(activation);
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
