#include "kernels/cuda/adapter_pool.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cuda/testing/fake_cuda.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

using testing::HasSubstr;

constexpr int64_t kIn = 64;
constexpr int64_t kOut = 32;
constexpr int kSites = 2;
constexpr int kPages = 6;

// An adapter on the host; `seed` makes each number its own.
class HostAdapter {
 public:
  HostAdapter(int64_t rank, float seed) : rank_(rank) {
    for (int site = 0; site < kSites; ++site) {
      a_.emplace_back(rank * kIn);
      b_.emplace_back(kOut * rank);
      for (float& value : a_.back()) value = seed += 1;
      for (float& value : b_.back()) value = seed += 1;
    }
  }

  std::vector<HostPair> pairs() const {
    std::vector<HostPair> pairs(kSites);
    for (int site = 0; site < kSites; ++site) {
      pairs[site].a = {a_[site].data(), DType::kF32, rank_, kIn, kIn};
      pairs[site].b = {b_[site].data(), DType::kF32, kOut, rank_, rank_};
    }
    return pairs;
  }
  float A(int site, int64_t row, int64_t col) const {
    return a_[site][row * kIn + col];
  }
  float B(int site, int64_t row, int64_t col) const {
    return b_[site][row * rank_ + col];
  }

 private:
  int64_t rank_;
  std::vector<std::vector<float>> a_;
  std::vector<std::vector<float>> b_;
};

class AdapterPoolTest : public testing::Test {
 protected:
  AdapterPoolTest() {
    AdapterPoolOptions options;
    options.sites.assign(kSites, {kIn, kOut, 24});
    options.dtype = DType::kF32;
    // 10 ranks of a site, so that pairs are cut at 8 and again at 16.
    options.page_bytes = 10 * (kIn + kOut) * sizeof(float);
    options.num_pages = kPages;
    options.num_slots = 2;
    options.max_adapters_per_slot = 2;
    auto pool = AdapterPool::Create(*device_, options);
    EXPECT_TRUE(pool.ok()) << pool.status();
    pool_ = *std::move(pool);
  }

  StreamHandle stream() const { return stream_.handle(); }

  // Checks that the table's terms of a slot are the adapters' numbers, which
  // the device has by now.
  void ExpectSlot(
      int slot,
      const std::vector<std::pair<const HostAdapter*, int64_t>>& adapters,
      float scale) {
    ASSERT_TRUE(stream_.Synchronize().ok());
    for (int site = 0; site < kSites; ++site) {
      const LowRankTerm* term = Terms(slot, site);
      const LowRankTerm* const end = term + pool_->num_terms();
      int32_t column = 0;
      for (const auto& [adapter, rank] : adapters) {
        for (int64_t first = 0; first < rank; ++term) {
          ASSERT_LT(term, end);
          ASSERT_GT(term->rank, 0);
          EXPECT_EQ(term->column, column);
          EXPECT_EQ(term->scale, scale);
          ExpectTerm(*term, *adapter, site, first);
          first += term->rank;
          column += term->rank;
        }
      }
      for (; term < end; ++term) EXPECT_EQ(term->rank, 0);
    }
  }

  const LowRankTerm* Terms(int slot, int site) const {
    return static_cast<const LowRankTerm*>(
               fake_.Resolve(pool_->terms(site), sizeof(LowRankTerm))) +
           pool_->first_term(slot);
  }
  void ExpectTerm(const LowRankTerm& term, const HostAdapter& adapter, int site,
                  int64_t first) const {
    const auto* const a = static_cast<const float*>(
        fake_.Resolve(term.a, term.rank * kIn * sizeof(float)));
    const auto* const b = static_cast<const float*>(
        fake_.Resolve(term.b, term.rank * kOut * sizeof(float)));
    for (int64_t i = 0; i < term.rank; ++i) {
      ASSERT_EQ(a[i * kIn + 7], adapter.A(site, first + i, 7));
      ASSERT_EQ(b[5 * term.rank + i], adapter.B(site, 5, first + i));
    }
  }

  FakeCuda fake_;
  std::unique_ptr<Driver> driver_ = fake_.driver();
  std::unique_ptr<Device> device_ = *Device::Open(*driver_, 0);
  Stream stream_ = *device_->CreateStream();
  std::unique_ptr<AdapterPool> pool_;
};

TEST_F(AdapterPoolTest, SlotHasTheAdaptersNumbers) {
  const HostAdapter adapter(19, 0);
  const auto id = pool_->Load(adapter.pairs());
  ASSERT_TRUE(id.ok()) << id.status();
  ASSERT_TRUE(pool_->SetSlot(1, {{*id, 0.5f}}, stream()).ok());
  ExpectSlot(1, {{&adapter, 19}}, 0.5f);
  ExpectSlot(0, {}, 0);
}

TEST_F(AdapterPoolTest, SlotOfTwoAdaptersHasBothInOrder) {
  const HostAdapter first(9, 0);
  const HostAdapter second(12, 10000);
  const auto one = pool_->Load(first.pairs());
  const auto two = pool_->Load(second.pairs());
  ASSERT_TRUE(one.ok() && two.ok());
  ASSERT_TRUE(pool_->SetSlot(0, {{*two, 1}, {*one, 1}}, stream()).ok());
  ExpectSlot(0, {{&second, 12}, {&first, 9}}, 1);
  ASSERT_TRUE(pool_->SetSlot(0, {{*one, 1}}, stream()).ok());
  ExpectSlot(0, {{&first, 9}}, 1);
}

TEST_F(AdapterPoolTest, FullPoolSaysHowMuchWasWantedAndHadAndGoesOn) {
  const HostAdapter large(17, 0);
  ASSERT_TRUE(pool_->Load(large.pairs()).ok());
  const int free = pool_->num_free_pages();
  const auto id = pool_->Load(large.pairs());
  EXPECT_EQ(ErrorId(id.status()), "OUT_OF_MEMORY");
  EXPECT_EQ(GetErrorDetails(id.status()).found, std::to_string(free));
  EXPECT_EQ(pool_->num_free_pages(), free);
  EXPECT_TRUE(pool_->Load(HostAdapter(1, 0).pairs()).ok());
}

TEST_F(AdapterPoolTest, AdaptersOfAnyRankComeAndGoWithoutGaps) {
  std::mt19937 random(1);
  std::vector<AdapterId> ids;
  for (int i = 0; i < 300; ++i) {
    const auto id = pool_->Load(HostAdapter(1 + random() % 24, 0).pairs());
    if (id.ok()) {
      ids.push_back(*id);
      continue;
    }
    ASSERT_FALSE(ids.empty());
    const size_t victim = random() % ids.size();
    ASSERT_TRUE(pool_->Unload(ids[victim], stream()).ok());
    ids.erase(ids.begin() + victim);
  }
  for (const AdapterId id : ids) {
    ASSERT_TRUE(pool_->Unload(id, stream()).ok());
  }
  EXPECT_EQ(pool_->num_free_pages(), kPages);
  EXPECT_TRUE(pool_->Load(HostAdapter(24, 0).pairs()).ok());
}

TEST_F(AdapterPoolTest, PageIsNotWrittenWhileItsLastReaderRuns) {
  const HostAdapter old(8, 0);
  const auto id = pool_->Load(old.pairs());
  ASSERT_TRUE(id.ok());
  ASSERT_TRUE(pool_->SetSlot(0, {{*id, 1}}, stream()).ok());
  // Reads the first number of A in its turn.
  ASSERT_TRUE(stream_.Synchronize().ok());
  const DevicePtr a = Terms(0, 0)->a;
  auto result = device_->AllocatePinned(sizeof(float), "a result");
  ASSERT_TRUE(result.ok());
  {
    const DeviceScope scope(*device_);
    ASSERT_EQ((*driver_)->cuMemcpyDtoHAsync_v2(result->data(), a, sizeof(float),
                                               stream()),
              kSuccess);
  }
  ASSERT_TRUE(pool_->SetSlot(0, {}, stream()).ok());
  ASSERT_TRUE(pool_->Unload(*id, stream()).ok());
  for (int i = 0; i < kPages / 2; ++i) {
    ASSERT_TRUE(pool_->Load(HostAdapter(8, 50000).pairs()).ok());
  }
  ASSERT_TRUE(stream_.Synchronize().ok());
  float value = 0;
  std::memcpy(&value, result->data(), sizeof(value));
  EXPECT_EQ(value, old.A(0, 0, 0));
}

TEST_F(AdapterPoolTest, AdapterInASlotIsNotUnloaded) {
  const auto id = pool_->Load(HostAdapter(2, 0).pairs());
  ASSERT_TRUE(id.ok());
  ASSERT_TRUE(pool_->SetSlot(1, {{*id, 1}}, stream()).ok());
  const absl::Status status = pool_->Unload(*id, stream());
  EXPECT_EQ(ErrorId(status), "ARGUMENT");
  EXPECT_THAT(std::string(status.message()), HasSubstr("in 1 slots"));
  ASSERT_TRUE(pool_->SetSlot(1, {}, stream()).ok());
  EXPECT_TRUE(pool_->Unload(*id, stream()).ok());
  EXPECT_EQ(ErrorId(pool_->SetSlot(1, {{*id, 1}}, stream())), "ARGUMENT");
}

TEST_F(AdapterPoolTest, RefusesWhatDoesNotFitItsSites) {
  EXPECT_EQ(ErrorId(pool_->Load({}).status()), "ARGUMENT");
  EXPECT_EQ(ErrorId(pool_->Load(HostAdapter(25, 0).pairs()).status()),
            "ARGUMENT");
  const HostAdapter adapter(4, 0);
  std::vector<HostPair> pairs = adapter.pairs();
  pairs[1].b.cols = 3;
  EXPECT_THAT(std::string(pool_->Load(pairs).status().message()),
              HasSubstr("site 1: A and B are [4, 64] and [32, 3]"));
  pairs = adapter.pairs();
  pairs[0].a.dtype = DType::kBF16;
  EXPECT_EQ(ErrorId(pool_->Load(pairs).status()), "ARGUMENT");
}

TEST_F(AdapterPoolTest, RanksOfASlotBeyondThePoolsAreRefused) {
  const auto one = pool_->Load(HostAdapter(16, 0).pairs());
  const auto two = pool_->Load(HostAdapter(9, 0).pairs());
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(ErrorId(pool_->SetSlot(0, {{*one, 1}, {*two, 1}}, stream())),
            "ARGUMENT");
}

TEST_F(AdapterPoolTest, FailedAllocationLeavesNothingBehind) {
  const size_t free = fake_.free_bytes();
  fake_.FailAllocationsAfter(1);
  AdapterPoolOptions options;
  options.sites = {{kIn, kOut, 8}};
  options.num_pages = 2;
  EXPECT_EQ(ErrorId(AdapterPool::Create(*device_, options).status()),
            "OUT_OF_MEMORY");
  EXPECT_EQ(fake_.free_bytes(), free);
}

TEST_F(AdapterPoolTest, LoadsBesideAThreadThatSetsSlots) {
  const HostAdapter fixed(3, 0);
  const auto id = pool_->Load(fixed.pairs());
  ASSERT_TRUE(id.ok());
  std::thread loader([&] {
    const Stream own = *device_->CreateStream();
    for (int i = 0; i < 50; ++i) {
      const auto other = pool_->Load(HostAdapter(5, 0).pairs());
      ASSERT_TRUE(other.ok());
      ASSERT_TRUE(pool_->Unload(*other, own.handle()).ok());
    }
  });
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(pool_->SetSlot(0, {{*id, 1}}, stream()).ok());
  }
  loader.join();
  ExpectSlot(0, {{&fixed, 3}}, 1);
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
