#include "kernels/work_slot.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace kernels {
namespace {

// Runs what is left of the round on this thread.
void RunAll(WorkSlot& slot) {
  while (slot.RunOnePiece()) {
  }
}

TEST(WorkSlotTest, OnlyOneTakesIt) {
  WorkSlot slot;
  EXPECT_TRUE(slot.Take());
  EXPECT_FALSE(slot.Take());
  slot.Release();
  EXPECT_TRUE(slot.Take());
}

TEST(WorkSlotTest, HasNoPiecesBeforeARound) {
  WorkSlot slot;
  EXPECT_FALSE(slot.RunOnePiece());
  EXPECT_FALSE(slot.RunOnePieceOf(0, ~0u));
}

TEST(WorkSlotTest, RunsThePiecesOfARoundInOrder) {
  WorkSlot slot;
  std::vector<int64_t> ran;
  const auto record = [&](int64_t i) { ran.push_back(i); };
  const WorkSlot::Piece piece(record);
  slot.Begin(piece, 5, 3);
  RunAll(slot);
  slot.AwaitLastPieces();
  EXPECT_EQ(ran, (std::vector<int64_t>{5, 6, 7}));
}

TEST(WorkSlotTest, ARoundThatEndedHasNoPieces) {
  WorkSlot slot;
  const auto nothing = [](int64_t) {};
  const WorkSlot::Piece piece(nothing);
  const uint32_t first = slot.Begin(piece, 0, 1);
  RunAll(slot);
  const uint32_t second = slot.Begin(piece, 0, 1);
  EXPECT_EQ(second, first + 1);
  EXPECT_FALSE(slot.RunOnePieceOf(first, ~0u));
  EXPECT_TRUE(slot.RunOnePieceOf(second, ~0u));
  EXPECT_FALSE(slot.RunOnePieceOf(second, ~0u));
}

TEST(WorkSlotTest, TheMaskSaysWhichBitsOfARoundCount) {
  WorkSlot slot;
  const auto nothing = [](int64_t) {};
  const WorkSlot::Piece piece(nothing);
  const uint32_t round = slot.Begin(piece, 0, 1);
  EXPECT_FALSE(slot.RunOnePieceOf(round + 0x101, 0x1ff));
  EXPECT_TRUE(slot.RunOnePieceOf(round + 0x100, 0xff));
}

TEST(WorkSlotTest, PiecesThatAPieceClaimsAreOthers) {
  WorkSlot slot;
  std::vector<int64_t> ran;
  const auto nested = [&](int64_t i) {
    ran.push_back(i);
    slot.RunOnePiece();
  };
  const WorkSlot::Piece piece(nested);
  slot.Begin(piece, 0, 4);
  EXPECT_TRUE(slot.RunOnePiece());
  EXPECT_EQ(ran, (std::vector<int64_t>{0, 1, 2, 3}));
}

TEST(WorkSlotTest, SpinBrieflyGivesUp) {
  int calls = 0;
  EXPECT_FALSE(SpinBriefly([&] {
    ++calls;
    return false;
  }));
  EXPECT_GT(calls, 8);
  EXPECT_TRUE(SpinBriefly([] { return true; }));
}

// The other thread is still in its piece when there is nothing left to claim.
TEST(WorkSlotTest, AwaitLastPiecesSleepsUntilTheyAreDone) {
  WorkSlot slot;
  std::atomic<bool> is_claimed{false};
  bool is_done = false;  // not atomic: the piece happens before the end
  const auto slow = [&](int64_t) {
    is_claimed.store(true);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    is_done = true;
  };
  const WorkSlot::Piece piece(slow);
  slot.Begin(piece, 0, 1);
  std::thread other([&] { slot.RunOnePiece(); });
  while (!is_claimed.load()) std::this_thread::yield();
  slot.AwaitLastPieces();
  EXPECT_TRUE(is_done);
  other.join();
}

// Threads that never stop looking meet a slot that is used again and again.
TEST(WorkSlotTest, LateThreadsRunNoPieceTwice) {
  constexpr int kRounds = 2000;
  constexpr int64_t kPieces = 7;
  WorkSlot slot;
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  for (int i = 0; i < 3; ++i) {
    others.emplace_back([&] {
      while (!stop.load()) {
        if (!slot.RunOnePiece()) std::this_thread::yield();
      }
    });
  }
  for (int round = 0; round < kRounds; ++round) {
    int runs[kPieces] = {};
    const auto count = [&](int64_t i) { ++runs[i]; };
    const WorkSlot::Piece piece(count);
    ASSERT_TRUE(slot.Take());
    slot.Begin(piece, 0, kPieces);
    RunAll(slot);
    slot.AwaitLastPieces();
    slot.Release();
    for (const int times : runs) ASSERT_EQ(times, 1) << "round " << round;
  }
  stop.store(true);
  for (std::thread& other : others) other.join();
}

}  // namespace
}  // namespace kernels
}  // namespace peft
