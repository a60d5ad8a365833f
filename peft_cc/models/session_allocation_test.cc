// A decode step allocates nothing: counted by replacing operator new.
#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/models/model_test_util.h"
#include "peft_cc/models/session.h"

namespace {

std::atomic<int64_t> num_allocations{0};

void* Allocate(size_t size) {
  ++num_allocations;
  return std::malloc(size == 0 ? 1 : size);
}

}  // namespace

void* operator new(size_t size) {
  void* memory = Allocate(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return Allocate(size);
}
void* operator new[](size_t size) { return operator new(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return Allocate(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace peft {
namespace {

class AllocationTest : public ::testing::TestWithParam<std::string> {
 protected:
  AllocationTest()
      : model_(OpenModel(GoldenModel(GetParam()))),
        golden_(GoldenModel(GetParam())) {}

  std::unique_ptr<Model> model_;
  Golden golden_;
};

TEST_P(AllocationTest, ADecodeStepAllocatesNothing) {
  ASSERT_TRUE(model_->LoadAdapter("a", WriteAdapter(1.0f)).ok());
  SessionOptions options;
  options.max_length = 64;
  const auto session = NewSession(*model_, options);
  ASSERT_TRUE(session->Forward(golden_.Prompt()).ok());
  const std::vector<int64_t> ids = {5, 6, 7};
  ForwardInput step;
  step.ids = ids.data();
  step.batch = 3;
  step.length = 1;
  ASSERT_TRUE(session->Forward(step).ok());
  const int64_t before = num_allocations;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(session->Forward(step).ok());
  EXPECT_EQ(num_allocations - before, 0);
}

TEST_P(AllocationTest, GenerateAllocatesTheSameForMoreTokens) {
  SessionOptions options;
  options.max_length = 64;
  const auto session = NewSession(*model_, options);
  const auto count = [&](int64_t tokens, bool do_sample) {
    GenerateOptions generate;
    generate.max_new_tokens = tokens;
    generate.ignore_eos = true;
    generate.do_sample = do_sample;
    generate.repetition_penalty = 1.1f;
    const int64_t before = num_allocations;
    EXPECT_TRUE(session->Generate(golden_.Prompt(), generate).ok());
    return num_allocations - before;
  };
  count(4, false);
  EXPECT_EQ(count(4, false), count(40, false));
  EXPECT_EQ(count(4, true), count(40, true));
}

INSTANTIATE_TEST_SUITE_P(Models, AllocationTest,
                         ::testing::Values("llama", "qwen2_sliding_sharded",
                                           "llama_dynamic"));

}  // namespace
}  // namespace peft
