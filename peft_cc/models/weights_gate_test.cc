#include "peft_cc/models/weights_gate.h"

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

TEST(WeightsGate, ManyReadOrOneWrites) {
  WeightsGate gate(true);
  {
    const auto first = gate.Read();
    const auto second = gate.Read();
    EXPECT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(ErrorId(gate.Write().status()), error_id::kModelBusy);
  }
  {
    const auto writer = gate.Write();
    EXPECT_TRUE(writer.ok());
    EXPECT_EQ(ErrorId(gate.Read().status()), error_id::kModelBusy);
    EXPECT_EQ(ErrorId(gate.Write().status()), error_id::kModelBusy);
  }
  EXPECT_TRUE(gate.Read().ok());
  EXPECT_TRUE(gate.Write().ok());
}

TEST(WeightsGate, OneThatNobodyNeedsIsOpen) {
  WeightsGate gate(false);
  const auto writer = gate.Write();
  EXPECT_TRUE(gate.Read().ok());
  EXPECT_TRUE(gate.Write().ok());
}

// Readers see both numbers equal, or are told to wait.
TEST(WeightsGate, KeepsReadersFromWriters) {
  WeightsGate gate(true);
  int a = 0;
  int b = 0;
  std::atomic<int> differences{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 2000; ++round) {
        if (i == 0) {
          const auto use = gate.Write();
          if (use.ok()) a = ++b;
        } else {
          const auto use = gate.Read();
          if (use.ok() && a != b) ++differences;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(differences, 0);
}

}  // namespace
}  // namespace peft
