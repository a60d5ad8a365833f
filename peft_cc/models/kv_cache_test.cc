#include "peft_cc/models/kv_cache.h"

#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "peft_cc/models/model_test_util.h"

namespace peft {
namespace {

constexpr int64_t kWidth = 3;

// `count` rows whose numbers go on from `first`.
std::vector<float> Numbers(int64_t count, float first) {
  std::vector<float> numbers(count * kWidth);
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

// Writes `count` positions to all rows and layers: keys from `first` on plus
// 1000 for each row and 100 for each layer, values negative.
void Append(KvCache& cache, int num_layers, int64_t batch, int64_t count,
            float first, bool visible = true) {
  ASSERT_TRUE(cache.Reserve(batch, cache.length() + count, 0).ok());
  for (int layer = 0; layer < num_layers; ++layer) {
    for (int64_t row = 0; row < batch; ++row) {
      std::vector<float> keys =
          Numbers(count, first + 1000.0f * static_cast<float>(row) +
                             100.0f * static_cast<float>(layer));
      std::vector<float> values = keys;
      for (float& value : values) value = -value;
      cache.Write(layer, row, cache.length(),
                  {keys.data(), count, kWidth, kWidth},
                  {values.data(), count, kWidth, kWidth});
      for (int64_t i = 0; i < count; ++i) {
        cache.WriteToken(row, cache.length() + i, i, visible);
      }
    }
  }
  cache.Commit(batch, count, !visible);
}

TEST(KvCacheTest, HoldsWhatWasWrittenPerLayerAndRow) {
  KvCache cache(2, kWidth);
  Append(cache, 2, 2, 4, 1);
  const kernels::KvView view = cache.View(1, 1, false);
  EXPECT_EQ(view.stride, kWidth);
  EXPECT_EQ(view.keys[0], 1101);
  EXPECT_EQ(view.keys[3 * view.stride + 2], 1112);
  EXPECT_EQ(view.values[3 * view.stride + 2], -1112);
  EXPECT_EQ(view.mask, nullptr);
}

TEST(KvCacheTest, GrowingKeepsWhatIsCommitted) {
  KvCache cache(2, kWidth);
  Append(cache, 2, 2, 4, 1, /*visible=*/false);
  const int64_t before = cache.capacity();
  Append(cache, 2, 2, before, 20);
  EXPECT_GT(cache.capacity(), before);
  EXPECT_EQ(cache.length(), before + 4);
  const kernels::KvView view = cache.View(1, 1, true);
  EXPECT_EQ(view.keys[3 * kWidth + 2], 1112);
  EXPECT_EQ(view.values[0], -1101);
  EXPECT_EQ(view.keys[4 * kWidth], 1120);
  EXPECT_EQ(view.mask[3], 0);
  EXPECT_EQ(view.mask[4], 1);
  EXPECT_TRUE(cache.has_padding());
}

TEST(KvCacheTest, GrowsGeometrically) {
  KvCache cache(1, kWidth);
  int growths = 0;
  int64_t capacity = 0;
  for (int i = 0; i < 5000; ++i) {
    Append(cache, 1, 1, 1, 0);
    growths += cache.capacity() != capacity;
    capacity = cache.capacity();
  }
  EXPECT_LT(growths, 15);
  EXPECT_LT(capacity, 10000);
}

TEST(KvCacheTest, ReservesWhatIsAskedForAtOnce) {
  KvCache cache(1, kWidth);
  ASSERT_TRUE(cache.Reserve(1, 2, 100).ok());
  EXPECT_EQ(cache.capacity(), 100);
}

TEST(KvCacheTest, TooMuchMemoryIsAnErrorThatChangesNothing) {
  KvCache cache(2, kWidth);
  Append(cache, 2, 2, 4, 1);
  for (const int64_t positions : {int64_t{1} << 50, int64_t{1} << 60}) {
    EXPECT_TRUE(IsError(cache.Reserve(2, positions, positions),
                        absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY",
                        "the KV cache"));
  }
  EXPECT_EQ(cache.length(), 4);
  EXPECT_EQ(cache.View(1, 1, false).keys[0], 1101);
}

TEST(KvCacheTest, AnotherBatchCanFollowClear) {
  KvCache cache(2, kWidth);
  Append(cache, 2, 1, 4, 1, /*visible=*/false);
  cache.Clear();
  EXPECT_EQ(cache.length(), 0);
  EXPECT_EQ(cache.batch(), 0);
  EXPECT_FALSE(cache.has_padding());
  Append(cache, 2, 3, 4, 5);
  EXPECT_EQ(cache.batch(), 3);
  EXPECT_EQ(cache.View(0, 2, false).keys[0], 2005);
}

TEST(KvCacheTest, AFailedChangeOfBatchDoesNotPassForReserved) {
  KvCache cache(2, kWidth);
  Append(cache, 2, 1, 4, 1);
  cache.Clear();
  ASSERT_FALSE(cache.Reserve(3, int64_t{1} << 50, 0).ok());
  Append(cache, 2, 1, 4, 7);
  EXPECT_EQ(cache.View(1, 0, false).keys[0], 107);
}

TEST(KvCacheTest, FindsTheLastPlaceOfTokens) {
  KvCache cache(1, 2);
  ASSERT_TRUE(cache.Reserve(2, 8, 0).ok());
  const int64_t ids[] = {5, 6, 7, 5, 6, 5, 6, 9};
  for (int64_t i = 0; i < 8; ++i) {
    cache.WriteToken(0, i, 1, true);
    cache.WriteToken(1, i, ids[i], true);
  }
  EXPECT_EQ(cache.FindLast(1, {5, 6}, 8), 5);
  EXPECT_EQ(cache.FindLast(1, {5, 6}, 6), 3);
  EXPECT_EQ(cache.FindLast(1, {6, 7}, 8), 1);
  EXPECT_EQ(cache.FindLast(1, {9, 5}, 8), -1);
  EXPECT_EQ(cache.FindLast(0, {5}, 8), -1);
}

}  // namespace
}  // namespace peft
