// Every allocation of a call fails once: the call answers OUT_OF_MEMORY, leaves
// its out parameters empty, keeps no handle, and works when memory is back.
//
// Calls that read files run under a limit of memory instead: their bytes fail,
// as they would, and not the hash tables on the way, which do not survive that
// one of their small allocations throws.

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <new>
#include <string>

#include "gtest/gtest.h"
#include "peft_c/handle_table.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"

namespace {

// Allocations of this thread until all fail; negative: none fails.
thread_local int64_t allocations_left = -1;

bool MayAllocate() {
  if (allocations_left < 0) return true;
  if (allocations_left == 0) return false;
  --allocations_left;
  return true;
}

}  // namespace

void* operator new(size_t size) {
  void* const memory = MayAllocate() ? std::malloc(size) : nullptr;
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return MayAllocate() ? std::malloc(size) : nullptr;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace peft {
namespace {

constexpr char kBase[] = "examples/quickstart/base";
constexpr int64_t kPrompt[] = {1, 4, 5, 6, 7, 13};

// Calls with 0, 1, 2 ... allocations until it succeeds. Returns how many
// allocations it needs.
template <typename Call>
int64_t FailEveryAllocation(Call call) {
  for (int64_t allowed = 0; allowed < 100000; ++allowed) {
    const size_t handles = HandleTable::Global().size();
    allocations_left = allowed;
    peft_status_t* const status = call();
    allocations_left = -1;
    if (status == nullptr) return allowed;
    const Outcome outcome = Take(status);
    EXPECT_EQ(outcome.code, PEFT_RESOURCE_EXHAUSTED) << outcome;
    EXPECT_EQ(outcome.id, "OUT_OF_MEMORY") << outcome;
    EXPECT_EQ(HandleTable::Global().size(), handles);
    if (testing::Test::HasFailure()) break;
  }
  ADD_FAILURE() << "the call never succeeds";
  return 0;
}

TEST(OutOfMemoryTest, MakingAStateDict) {
  peft_state_dict_t* state_dict = nullptr;
  EXPECT_GT(FailEveryAllocation([&] {
              peft_status_t* const status = peft_state_dict_create(&state_dict);
              EXPECT_EQ(status == nullptr, state_dict != nullptr);
              return status;
            }),
            0);
  peft_state_dict_free(state_dict);
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
  const char* const name = "german";
  ASSERT_PEFT_OK(peft_model_load_adapter(model_.get(), name,
                                         "examples/quickstart/adapters/german",
                                         nullptr, nullptr));
  ASSERT_PEFT_OK(peft_model_set_adapter(model_.get(), nullptr, 0, nullptr));
  FailEveryAllocation(
      [&] { return peft_model_set_adapter(model_.get(), &name, 1, nullptr); });
  peft_string_list_t* names = nullptr;
  FailEveryAllocation(
      [&] { return peft_model_active_adapters(model_.get(), &names); });
  EXPECT_EQ(peft_string_list_size(names), 1u);
  peft_string_list_free(names);
}

TEST_F(ModelTest, Generating) {
  peft_forward_input_t input = PEFT_FORWARD_INPUT_INIT;
  input.ids = kPrompt;
  input.batch = 1;
  input.length = 6;
  peft_session_t* session = nullptr;
  FailEveryAllocation(
      [&] { return peft_session_create(model_.get(), nullptr, &session); });
  peft_generate_result_t* result = nullptr;
  FailEveryAllocation(
      [&] { return peft_session_generate(session, &input, nullptr, &result); });
  EXPECT_EQ(peft_generate_result_num_rows(result), 1u);
  peft_generate_result_free(result);
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
