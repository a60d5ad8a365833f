// Every allocation of a call fails once: the call answers OUT_OF_MEMORY, leaves
// its out parameters empty, keeps no handle, and works when memory is back.
// Calls that read files are in out_of_memory_files_test.cc; here they run under
// a limit of memory, which their large blocks meet.

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "peft_c/failing_allocations.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"

namespace peft {
namespace {

constexpr char kBase[] = "examples/quickstart/base";
constexpr int64_t kPrompt[] = {1, 4, 5, 6, 7, 13};

// Both kinds of failure, for a call that can be repeated as it is.
template <typename Call>
int64_t FailEveryAllocation(Call call) {
  const auto nothing_to_undo = [] {};
  FailEveryAllocation(kAll, AfterFailure::kNoneFails, "", call,
                      nothing_to_undo);
  return FailEveryAllocation(kAll, AfterFailure::kAllFail, "", call,
                             nothing_to_undo);
}

TEST(OutOfMemoryTest, MakingAStateDict) {
  FailEveryAllocationOf<peft_state_dict_t, peft_state_dict_free>(
      peft_state_dict_create);
}

TEST(OutOfMemoryTest, AddingATensor) {
  const float values[] = {1, 2, 3};
  const int64_t size = 3;
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  view.data = values;
  view.dtype = PEFT_DTYPE_F32;
  view.rank = 1;
  view.sizes = &size;
  peft_state_dict_t* handle = nullptr;
  ASSERT_PEFT_OK(peft_state_dict_create(&handle));
  const OwnedStateDict state_dict(handle);
  EXPECT_GT(FailEveryAllocation([&] {
              return peft_state_dict_set(handle, "a name that is not short",
                                         &view);
            }),
            2);
  EXPECT_EQ(peft_state_dict_size(handle), 1u);
}

// Longer than what abseil keeps in one block: with a sanitizer the test fails
// where an error that could not be made leaves a part of the text.
TEST(OutOfMemoryTest, AnErrorAboutALongText) {
  peft_state_dict_t* handle = nullptr;
  ASSERT_PEFT_OK(peft_state_dict_create(&handle));
  const OwnedStateDict state_dict(handle);
  const std::string name(20000, 'n');
  FailEveryAllocationOf<peft_tensor_t, peft_tensor_free>(
      [&](peft_tensor_t** out) {
        return peft_state_dict_get(handle, name.c_str(), out);
      },
      "TENSOR_MISSING");
}

class ModelTest : public testing::Test {
 protected:
  void SetUp() override {
    peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
    options.num_threads = 1;
    peft_model_t* model = nullptr;
    ASSERT_PEFT_OK(peft_model_open(kBase, &options, &model));
    model_.reset(model);
  }

  OwnedModel model_;
};

TEST_F(ModelTest, SwitchingAdapters) {
  // The second one has biases, too.
  const char* const names[] = {"german", "roman"};
  for (const char* name : names) {
    const std::string folder = "examples/quickstart/adapters/";
    ASSERT_PEFT_OK(peft_model_load_adapter(
        model_.get(), name, (folder + name).c_str(), nullptr, nullptr));
  }
  ASSERT_PEFT_OK(peft_model_set_adapter(model_.get(), nullptr, 0, nullptr));
  FailEveryAllocation(
      [&] { return peft_model_set_adapter(model_.get(), names, 2, nullptr); });
  FailEveryAllocationOf<peft_string_list_t, peft_string_list_free>(
      [&](peft_string_list_t** out) {
        return peft_model_active_adapters(model_.get(), out);
      });
  peft_string_list_t* active = nullptr;
  ASSERT_PEFT_OK(peft_model_active_adapters(model_.get(), &active));
  EXPECT_EQ(peft_string_list_size(active), 2u);
  peft_string_list_free(active);
}

TEST_F(ModelTest, Generating) {
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  input.ids = kPrompt;
  input.batch = 1;
  input.length = 6;
  FailEveryAllocationOf<peft_session_t, peft_session_free>(
      [&](peft_session_t** out) {
        return peft_session_create(model_.get(), nullptr, out);
      });
  peft_session_t* session = nullptr;
  ASSERT_PEFT_OK(peft_session_create(model_.get(), nullptr, &session));
  FailEveryAllocationOf<peft_generate_result_t, peft_generate_result_free>(
      [&](peft_generate_result_t** out) {
        return peft_session_generate(session, &input, nullptr, out);
      });
  peft_session_free(session);
}

// A sanitizer needs memory of its own.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

// The size of the address space in use.
rlim_t AddressSpaceUsed() {
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return static_cast<rlim_t>(pages * sysconf(_SC_PAGESIZE));
}

// Runs `call` with no more than `spare` bytes of new memory.
template <typename Call>
Outcome WithLittleMemory(rlim_t spare, Call call) {
  rlimit limit = {};
  EXPECT_EQ(getrlimit(RLIMIT_AS, &limit), 0);
  rlimit little = limit;
  little.rlim_cur = AddressSpaceUsed() + spare;
  EXPECT_EQ(setrlimit(RLIMIT_AS, &little), 0);
  peft_status_t* const status = call();
  EXPECT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  return Take(status);
}

TEST_F(ModelTest, LoadingAnAdapter) {
  const char* const folder = "examples/quickstart/adapters/german";
  const Outcome outcome = WithLittleMemory(400000, [&] {
    return peft_model_load_adapter(model_.get(), "german", folder, nullptr,
                                   nullptr);
  });
  EXPECT_EQ(outcome.code, PEFT_RESOURCE_EXHAUSTED) << outcome;
  EXPECT_EQ(outcome.id, "OUT_OF_MEMORY") << outcome;
  EXPECT_PEFT_OK(peft_model_load_adapter(model_.get(), "german", folder,
                                         nullptr, nullptr));
}

TEST(OutOfMemoryTest, OpeningAModel) {
  peft_model_options_t options = PEFT_MODEL_OPTIONS_INIT;
  for (const int32_t mode : {PEFT_READ_MODE_MAP, PEFT_READ_MODE_READ}) {
    options.read_mode = mode;
    peft_model_t* model = nullptr;
    const Outcome outcome = WithLittleMemory(
        400000, [&] { return peft_model_open(kBase, &options, &model); });
    EXPECT_EQ(outcome.code, PEFT_RESOURCE_EXHAUSTED) << outcome;
    EXPECT_EQ(outcome.id, "OUT_OF_MEMORY") << outcome;
    EXPECT_EQ(model, nullptr);
  }
}

#endif

}  // namespace
}  // namespace peft
