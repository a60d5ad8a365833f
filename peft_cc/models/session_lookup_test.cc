// A decode step looks nothing up by a text: what compares and hashes texts is
// replaced by functions that count.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/models/model_test_util.h"
#include "peft_cc/models/session.h"

namespace {

std::atomic<int64_t> num_text_calls{0};

}  // namespace

extern "C" {

// Volatile: else the compiler makes calls of themselves of these loops.
int memcmp(const void* a, const void* b, size_t size) noexcept {
  ++num_text_calls;
  const volatile unsigned char* const left =
      static_cast<const unsigned char*>(a);
  const volatile unsigned char* const right =
      static_cast<const unsigned char*>(b);
  for (size_t i = 0; i < size; ++i) {
    if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
  }
  return 0;
}

int bcmp(const void* a, const void* b, size_t size) noexcept {
  return memcmp(a, b, size);
}

size_t strlen(const char* text) noexcept {
  ++num_text_calls;
  const volatile char* end = text;
  while (*end != 0) ++end;
  return end - text;
}

int strcmp(const char* a, const char* b) noexcept {
  return memcmp(a, b, strlen(a) + 1);
}

}  // extern "C"

namespace std {

// What std::hash<std::string> calls in libstdc++.
size_t _Hash_bytes(const void* text, size_t size, size_t seed) {
  ++num_text_calls;
  const auto* const bytes = static_cast<const unsigned char*>(text);
  for (size_t i = 0; i < size; ++i) seed = seed * 31 + bytes[i];
  return seed;
}

}  // namespace std

namespace peft {
namespace {

TEST(TextCallsTest, LookUpsAreCounted) {
  const std::string key = "model.layers.0";
  const std::map<std::string, int> tree = {{key, 1}};
  int64_t before = num_text_calls;
  EXPECT_EQ(tree.count(std::string("model.layers.") + "0"), 1u);
  EXPECT_GT(num_text_calls, before);
  const std::unordered_map<std::string, int> table = {{key, 1}};
  before = num_text_calls;
  EXPECT_EQ(table.count(std::string("model.layers.") + "1"), 0u);
  EXPECT_GT(num_text_calls, before);
}

class LookUpTest : public ::testing::TestWithParam<std::string> {};

TEST_P(LookUpTest, ADecodeStepLooksNothingUp) {
  const std::unique_ptr<Model> model = OpenModel(GoldenModel(GetParam()));
  const Golden golden(GoldenModel(GetParam()));
  ASSERT_TRUE(model->LoadAdapter("a", WriteAdapter(1.0f)).ok());
  const auto session = NewSession(*model);
  ASSERT_TRUE(session->Forward(golden.Prompt()).ok());
  const std::vector<int64_t> ids = {5, 6, 7};
  ForwardInput step;
  step.ids = ids.data();
  step.batch = 3;
  step.length = 1;
  ASSERT_TRUE(session->Forward(step).ok());
  const int64_t before = num_text_calls;
  bool all_ok = true;
  for (int i = 0; i < 10; ++i) all_ok &= session->Forward(step).ok();
  const int64_t calls = num_text_calls - before;
  EXPECT_TRUE(all_ok);
  EXPECT_EQ(calls, 0);
}

INSTANTIATE_TEST_SUITE_P(Models, LookUpTest,
                         ::testing::Values("llama", "qwen2_sliding_sharded",
                                           "llama_dynamic"));

}  // namespace
}  // namespace peft
