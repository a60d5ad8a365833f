#include "peft_c/handle_table.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace {

constexpr HandleKind kModel = HandleKind::kModel;
constexpr HandleKind kSession = HandleKind::kSession;

std::shared_ptr<void> Number(int value) { return std::make_shared<int>(value); }

int NumberOf(const std::shared_ptr<void>& object) {
  return object == nullptr ? -1 : *static_cast<const int*>(object.get());
}

template <typename Word>
class HandleCodecTest : public testing::Test {};
using Words = testing::Types<uint32_t, uint64_t>;
TYPED_TEST_SUITE(HandleCodecTest, Words);

TYPED_TEST(HandleCodecTest, DecodesWhatItEncodes) {
  using Codec = HandleCodec<TypeParam>;
  const HandleParts extremes = {HandleKind::kLast, Codec::kSlots - 1,
                                Codec::kGenerations - 1};
  for (const HandleParts& parts : {HandleParts{kModel, 0, 1}, extremes}) {
    HandleParts decoded;
    ASSERT_TRUE(Codec::Decode(Codec::Encode(parts), &decoded));
    EXPECT_EQ(decoded.kind, parts.kind);
    EXPECT_EQ(decoded.slot, parts.slot);
    EXPECT_EQ(decoded.generation, parts.generation);
  }
}

TYPED_TEST(HandleCodecTest, IsNoAddressOfAnObject) {
  using Codec = HandleCodec<TypeParam>;
  for (uint32_t slot : {0u, 1u, 1000u}) {
    const TypeParam word = Codec::Encode({kModel, slot, 7});
    EXPECT_EQ(word % 2, 1u);
    // Above every user address space.
    EXPECT_TRUE(!Codec::kWide || word > TypeParam{1} << (sizeof(word) * 8 - 2));
  }
}

TYPED_TEST(HandleCodecTest, RefusesWhatItDoesNotEncode) {
  using Codec = HandleCodec<TypeParam>;
  const TypeParam good = Codec::Encode({kModel, 3, 7});
  HandleParts parts;
  EXPECT_FALSE(Codec::Decode(0, &parts));
  EXPECT_FALSE(Codec::Decode(~TypeParam{0}, &parts));
  for (int bit = 0; bit < Codec::kTagBits; ++bit) {
    EXPECT_FALSE(Codec::Decode(good ^ TypeParam{1} << bit, &parts));
  }
  EXPECT_FALSE(Codec::Decode(Codec::Encode({HandleKind::kNone, 3, 7}), &parts));
  EXPECT_FALSE(Codec::Decode(Codec::Encode({kModel, 3, 0}), &parts));
}

TEST(HandleTableTest, FindsWhatWasInserted) {
  HandleTable table;
  const uintptr_t first = table.Insert(kModel, Number(1));
  const uintptr_t second = table.Insert(kModel, Number(2));
  EXPECT_NE(first, second);
  EXPECT_EQ(NumberOf(table.Find(first, kModel)), 1);
  EXPECT_EQ(NumberOf(table.Find(second, kModel)), 2);
  EXPECT_EQ(table.size(), 2u);
}

TEST(HandleTableTest, GivesNothingForAnotherKind) {
  HandleTable table;
  const uintptr_t handle = table.Insert(kModel, Number(1));
  EXPECT_EQ(table.Find(handle, kSession), nullptr);
  EXPECT_EQ(table.Remove(handle, kSession), nullptr);
  EXPECT_EQ(NumberOf(table.Find(handle, kModel)), 1);
}

TEST(HandleTableTest, GivesNothingAfterRemoveAlsoWhenTheSlotIsUsedAgain) {
  HandleTable table;
  const uintptr_t old_handle = table.Insert(kModel, Number(1));
  EXPECT_EQ(NumberOf(table.Remove(old_handle, kModel)), 1);
  std::vector<uintptr_t> later;
  for (int i = 0; i < 100; ++i) {
    later.push_back(table.Insert(kModel, Number(i)));
  }
  EXPECT_EQ(table.Find(old_handle, kModel), nullptr);
  EXPECT_EQ(table.Remove(old_handle, kModel), nullptr);
  EXPECT_EQ(std::set<uintptr_t>(later.begin(), later.end()).count(old_handle),
            0u);
}

TEST(HandleTableTest, KeepsSlotsForReuse) {
  HandleTable table;
  uintptr_t largest = 0;
  for (int i = 0; i < 1000; ++i) {
    const uintptr_t handle = table.Insert(kModel, Number(i));
    HandleParts parts;
    ASSERT_TRUE(HandleCodec<uintptr_t>::Decode(handle, &parts));
    largest = std::max<uintptr_t>(largest, parts.slot);
    table.Remove(handle, kModel);
  }
  EXPECT_LT(largest, 16u);
}

TEST(HandleTableTest, ObjectsLiveAsLongAsSomebodyHoldsThem) {
  HandleTable table;
  const auto object = std::make_shared<int>(1);
  const uintptr_t handle = table.Insert(kModel, object);
  std::shared_ptr<void> held = table.Find(handle, kModel);
  table.Remove(handle, kModel);
  EXPECT_EQ(object.use_count(), 2);
  held.reset();
  EXPECT_EQ(object.use_count(), 1);
}

TEST(HandleTableTest, ExplainsWhatIsWrong) {
  HandleTable table;
  const uintptr_t model = table.Insert(kModel, Number(1));
  const uintptr_t session = table.Insert(kSession, Number(1));
  EXPECT_EQ(table.Explain(0, kModel), "is NULL");
  EXPECT_EQ(table.Explain(0x7fff12345678, kModel), "is not a handle");
  EXPECT_EQ(table.Explain(session, kModel), "is a session, expected a model");
  table.Remove(model, kModel);
  table.Remove(session, kSession);
  EXPECT_EQ(table.Explain(model, kModel), "was already freed");
  EXPECT_EQ(table.Explain(session, kModel),
            "is a freed session, expected a model");
}

TEST(HandleTableTest, NeverGivesOutAReservedHandle) {
  HandleTable table;
  const uintptr_t reserved = HandleTable::Reserved(kModel);
  EXPECT_EQ(table.Find(reserved, kModel), nullptr);
  EXPECT_EQ(table.Explain(reserved, kModel), "is not a handle");
}

// Of many threads that free one handle, one does.
TEST(HandleTableTest, IsFreedOnceByConcurrentThreads) {
  HandleTable table;
  for (int round = 0; round < 50; ++round) {
    const uintptr_t handle = table.Insert(kModel, Number(round));
    std::atomic<int> freed{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        table.Find(handle, kModel);
        if (table.Remove(handle, kModel) != nullptr) ++freed;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(freed, 1);
  }
}

TEST(HandleTableTest, ManyThreadsInsertFindAndRemove) {
  HandleTable table;
  const uintptr_t shared = table.Insert(kModel, Number(-5));
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 500; ++i) {
        const uintptr_t own = table.Insert(kSession, Number(i));
        EXPECT_EQ(NumberOf(table.Find(own, kSession)), i);
        EXPECT_EQ(NumberOf(table.Find(shared, kModel)), -5);
        EXPECT_EQ(NumberOf(table.Remove(own, kSession)), i);
        EXPECT_EQ(table.Find(own, kSession), nullptr);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(table.size(), 1u);
}

}  // namespace
}  // namespace peft
