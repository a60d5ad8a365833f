// Makes allocations fail, for tests. A program that links this has operator new
// replaced; nothing fails but what the functions here ask for.
#ifndef PEFT_C_FAILING_ALLOCATIONS_H_
#define PEFT_C_FAILING_ALLOCATIONS_H_

#include <cstdint>
#include <random>
#include <string>

#include "gtest/gtest.h"
#include "peft_c/handle_table.h"
#include "peft_c/peft_c.h"
#include "peft_c/test_util.h"

namespace peft {

// What follows the allocation that fails: all of them fail too, as when memory
// is out, or none, so that nothing hides an error that was swallowed.
enum class AfterFailure { kAllFail, kNoneFails };

// Lets `allowed` allocations of this thread succeed and the next one fail.
void FailAfter(int64_t allowed, AfterFailure after);

// Ends that. True if an allocation has failed.
bool StopFailing();

// Which allocations fail: each of so many, then a sample that thins out, the
// same in every run. kSome is for calls that wait for the disk.
enum Steps : int64_t { kSome = 40, kMost = 400, kAll = 100000 };

// The allocation to fail after `allowed`.
inline int64_t NextAllowed(int64_t allowed, Steps steps,
                           std::minstd_rand& random) {
  if (allowed < steps) return allowed + 1;
  return allowed + 1 + random() % (allowed / 20);
}

// Calls with each allocation failing in turn, until none does. The call must
// then end with `expected_id` ("" for success), and before that be out of
// memory and leave no handle behind; `undo` takes a success back, `check` looks
// after each failure. Returns about how many allocations the call makes.
template <typename Call, typename Undo, typename Check>
int64_t FailEveryAllocation(Steps steps, AfterFailure after,
                            const std::string& expected_id, Call call,
                            Undo undo, Check check) {
  std::minstd_rand random;
  for (int64_t allowed = 0;; allowed = NextAllowed(allowed, steps, random)) {
    const size_t handles = HandleTable::Global().size();
    FailAfter(allowed, after);
    peft_status_t* const status = call();
    const bool has_failed = StopFailing();
    const Outcome outcome = Take(status);
    // What can do without the memory that it asked for may succeed.
    if (!has_failed ||
        (after == AfterFailure::kNoneFails && outcome.id == expected_id)) {
      EXPECT_EQ(outcome.id, expected_id) << outcome;
      undo();
    } else {
      EXPECT_EQ(outcome.code, PEFT_RESOURCE_EXHAUSTED) << outcome;
      EXPECT_EQ(outcome.id, "OUT_OF_MEMORY") << outcome;
      check();
    }
    EXPECT_EQ(HandleTable::Global().size(), handles);
    if (!has_failed) return allowed;
    if (testing::Test::HasFailure()) {
      ADD_FAILURE() << "when allocation " << allowed << " failed";
      return allowed;
    }
  }
}

// The same for a call after which there is nothing more to look at.
template <typename Call, typename Undo>
int64_t FailEveryAllocation(Steps steps, AfterFailure after,
                            const std::string& expected_id, Call call,
                            Undo undo) {
  return FailEveryAllocation(steps, after, expected_id, call, undo, [] {});
}

// Both kinds of failure, for a call that gives one handle.
template <typename Handle, void (*Free)(Handle*), typename Call>
void FailEveryAllocationOf(Call call, const std::string& expected_id = "",
                           Steps steps = kMost) {
  for (const auto after : {AfterFailure::kAllFail, AfterFailure::kNoneFails}) {
    Handle* handle = nullptr;
    FailEveryAllocation(
        steps, after, expected_id,
        [&] {
          peft_status_t* const status = call(&handle);
          EXPECT_EQ(status == nullptr, handle != nullptr);
          return status;
        },
        [&] {
          Free(handle);
          handle = nullptr;
        });
  }
}

}  // namespace peft

#endif  // PEFT_C_FAILING_ALLOCATIONS_H_
