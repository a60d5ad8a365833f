// Ten thousand sequences of random calls: each answer is a status that the
// documentation knows, nothing crashes and nothing is left behind.
//
// A sequence depends on its number alone. What fails prints how to run it
// again; MISUSE_FIRST and MISUSE_COUNT choose others for a longer search:
//
//   ./bazelw test //testing/misuse:misuse_test_asan
//     --test_env=MISUSE_FIRST=10000 --test_env=MISUSE_COUNT=100000

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "peft_c/handle_table.h"
#include "testing/misuse/fixtures.h"
#include "testing/misuse/run.h"
#include "testing/misuse/tables.h"

// Sanitizers: absurd sizes are refused as without them, and a call to abort()
// is a crash like any other. Not detect_stack_use_after_return: gcc 12 then
// lays vectors of 64 bytes where its own aligned stores fault.
extern "C" const char* __asan_default_options() {
  return "allocator_may_return_null=1:max_allocation_size_mb=1024:"
         "handle_abort=1";
}

// The address sanitizer's; null without it.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(
    void (*callback)());

// The other sanitizer calls this with each report.
extern "C" void __ubsan_on_report();

namespace peft {
namespace {

constexpr uint64_t kSequences = 10000;
// The shards of Bazel share them.
constexpr uint64_t kParts = 4;

// What a crash prints.
std::atomic<const Run*> g_running{nullptr};

void PrintRunning() {
  const Run* const run = g_running.exchange(nullptr);
  if (run != nullptr) std::fputs(run->Describe().c_str(), stderr);
}

uint64_t FromEnvironment(const char* name, uint64_t fallback) {
  const char* const text = std::getenv(name);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

void PlayOne(uint64_t seed) {
  const size_t handles_before = HandleTable::Global().size();
  {
    Run run(seed);
    g_running = &run;
    run.Play();
    g_running = nullptr;
    if (HandleTable::Global().size() < handles_before)
      run.Fail("frees others'");
  }
  EXPECT_EQ(HandleTable::Global().size(), handles_before)
      << "handles are left after sequence " << seed;
}

// Whether the sequences are chosen by hand.
bool IsSearch() { return std::getenv("MISUSE_COUNT") != nullptr; }

// Whether no sequence can make the function succeed.
bool NeverWorks(const std::string& name) {
  // It must be the first call of a process.
  if (name == "peft_set_allocator") return true;
  // The models here have layers too small for blocks.
  if (name == "peft_model_write_quantized") return true;
  // There is no device, whose memory would have to be told from nowhere.
  return name == "peft_layer_runner_create_cuda" ||
         name == "peft_layer_runner_set_weight" ||
         name == "peft_layer_runner_update";
}

class MisuseTest : public testing::TestWithParam<uint64_t> {
 protected:
  static void SetUpTestSuite() {
    if (__sanitizer_set_death_callback != nullptr) {
      __sanitizer_set_death_callback(PrintRunning);
    }
    EnterFixtures(testing::TempDir());
  }

  // Else the sequences do not get deep.
  static void TearDownTestSuite() {
    if (IsSearch()) return;
    const std::vector<CallCount> counts = CallCounts();
    for (size_t i = 0; i < counts.size(); ++i) {
      const FunctionInfo& function = FunctionInfos()[i];
      EXPECT_GT(counts[i].calls, 100u) << function.name;
      if (NeverWorks(function.name)) continue;
      EXPECT_GT(counts[i].successes, 0u) << function.name << " never worked";
    }
  }
};

TEST_P(MisuseTest, RandomSequences) {
  const uint64_t size = kSequences / kParts;
  const uint64_t first = FromEnvironment("MISUSE_FIRST", GetParam() * size);
  const uint64_t count = FromEnvironment("MISUSE_COUNT", size);
  if (IsSearch() && GetParam() > 0) return;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    PlayOne(seed);
    if (HasFailure() && !IsSearch()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Parts, MisuseTest,
                         testing::Range(uint64_t{0}, kParts));

}  // namespace
}  // namespace peft

extern "C" void __ubsan_on_report() { peft::PrintRunning(); }
