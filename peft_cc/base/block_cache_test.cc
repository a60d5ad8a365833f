#include "peft_cc/base/block_cache.h"

#include <cstring>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/base/huge_pages.h"

namespace peft {
namespace {

constexpr uint64_t kSize = 2 * kHugePage;

// The address of a block that was given back.
const uint8_t* AllocateAndFree(BlockCache& cache, uint64_t size) {
  const std::shared_ptr<uint8_t> block = cache.Allocate(size);
  std::memset(block.get(), 1, size);
  return block.get();
}

TEST(BlockCacheTest, ABlockComesBack) {
  BlockCache cache;
  const uint8_t* const first = AllocateAndFree(cache, kSize);
  EXPECT_EQ(cache.kept_bytes(), kSize);
  const auto second = cache.Allocate(kSize - 100);
  EXPECT_EQ(second.get(), first);
  EXPECT_EQ(cache.kept_bytes(), 0u);
}

TEST(BlockCacheTest, ABlockOfAnotherSizeDoesNotStandForIt) {
  BlockCache cache;
  const uint8_t* const first = AllocateAndFree(cache, kSize);
  EXPECT_NE(cache.Allocate(kSize + 1).get(), first);
  EXPECT_NE(cache.Allocate(kSize / 2).get(), first);
}

TEST(BlockCacheTest, SmallBlocksAreNotKept) {
  BlockCache cache;
  AllocateAndFree(cache, kHugePage - 1);
  EXPECT_EQ(cache.kept_bytes(), 0u);
  EXPECT_NE(cache.Allocate(0), nullptr);
}

TEST(BlockCacheTest, NoMoreIsKeptThanTheLimit) {
  BlockCache cache;
  cache.SetLimit(2 * kSize);
  std::vector<std::shared_ptr<uint8_t>> blocks;
  for (int i = 0; i < 3; ++i) blocks.push_back(cache.Allocate(kSize));
  const uint8_t* const newest = blocks.back().get();
  for (auto& block : blocks) block.reset();
  EXPECT_EQ(cache.kept_bytes(), 2 * kSize);
  cache.SetLimit(kSize);
  EXPECT_EQ(cache.kept_bytes(), kSize);
  EXPECT_EQ(cache.Allocate(kSize).get(), newest);
  cache.SetLimit(0);
  AllocateAndFree(cache, kSize);
  EXPECT_EQ(cache.kept_bytes(), 0u);
}

TEST(BlockCacheTest, TheOldestOfManyGoes) {
  BlockCache cache;
  std::vector<std::shared_ptr<uint8_t>> blocks;
  for (int i = 1; i <= 5; ++i) blocks.push_back(cache.Allocate(i * kHugePage));
  std::vector<const uint8_t*> addresses;
  for (auto& block : blocks) {
    addresses.push_back(block.get());
    block.reset();
  }
  EXPECT_EQ(cache.kept_bytes(), (2 + 3 + 4 + 5) * kHugePage);
  for (int i = 2; i <= 5; ++i) {
    EXPECT_EQ(AllocateAndFree(cache, i * kHugePage), addresses[i - 1]);
  }
}

TEST(BlockCacheTest, ABlockMayOutliveTheCache) {
  std::optional<BlockCache> cache(std::in_place);
  const std::shared_ptr<uint8_t> block = cache->Allocate(kSize);
  cache.reset();
  std::memset(block.get(), 1, kSize);
}

TEST(BlockCacheTest, ThreadsShareIt) {
  BlockCache cache;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&cache, i] {
      for (int round = 0; round < 20; ++round) {
        const std::shared_ptr<uint8_t> block = cache.Allocate(kSize);
        std::memset(block.get(), i, 4096);
        EXPECT_EQ(block.get()[4095], i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(cache.kept_bytes(), BlockCache::kMaxKept);
}

}  // namespace
}  // namespace peft
