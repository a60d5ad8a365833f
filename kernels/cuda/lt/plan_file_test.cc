#include "kernels/cuda/lt/plan_file.h"

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cuda/lt/testing/example_gemm.h"
#include "kernels/cuda/lt/testing/test_device.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

using ::testing::HasSubstr;

TuningPlace Place() {
  TuningPlace place;
  place.device = "NVIDIA H200";
  place.compute_major = 9;
  place.compute_minor = 0;
  place.num_multiprocessors = 132;
  place.library_version = 130100;
  return place;
}

TunedAlgos Tuned() {
  TunedAlgos tuned;
  for (int64_t m : {1, 8, 64}) {
    TunedAlgo& algo = tuned[KeyOf(LinearGemm(m))];
    algo.config = {66, 20, 4, 2, 1, 3, 35, 7, 300};
    algo.seconds = 1e-5 * static_cast<double>(m);
  }
  return tuned;
}

absl::Status StatusOf(const TuningPlace& place, const std::string& bytes) {
  return ReadPlans(place, bytes).status();
}

TEST(PlanFileTest, ReadsWhatItWrites) {
  const auto bytes = WritePlans(Place(), Tuned());
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto read = ReadPlans(Place(), *bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 3u);
  for (const auto& one : Tuned()) {
    EXPECT_EQ(read->at(one.first).config, one.second.config);
    EXPECT_EQ(read->at(one.first).seconds, one.second.seconds);
  }
}

TEST(PlanFileTest, RefusesAnotherPlaceByName) {
  const std::pair<const char*, std::function<void(TuningPlace*)>> changes[] = {
      {"the device", [](TuningPlace* place) { place->device = "NVIDIA L4"; }},
      {"compute capability",
       [](TuningPlace* place) { place->compute_minor = 1; }},
      {"multiprocessors",
       [](TuningPlace* place) { place->num_multiprocessors = 114; }},
      {"cuBLASLt", [](TuningPlace* place) { place->library_version = 130101; }},
      {"workspace",
       [](TuningPlace* place) { place->settings.workspace_bytes = 1; }},
      {"deterministic",
       [](TuningPlace* place) { place->settings.deterministic = true; }},
      {"allow_tf32",
       [](TuningPlace* place) { place->settings.allow_tf32 = true; }}};
  const std::string bytes = WritePlans(Place(), Tuned()).value();
  for (const auto& change : changes) {
    TuningPlace place = Place();
    change.second(&place);
    const absl::Status status = StatusOf(place, bytes);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(ErrorId(status), error_id::kCudaPlans);
    EXPECT_THAT(std::string(status.message()), HasSubstr(change.first));
  }
}

TEST(PlanFileTest, RefusesEveryTruncation) {
  const std::string bytes = WritePlans(Place(), Tuned()).value();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(StatusOf(Place(), bytes.substr(0, size)).code(),
              absl::StatusCode::kInvalidArgument)
        << size;
  }
}

TEST(PlanFileTest, RefusesAnotherKindOfFile) {
  std::string bytes = WritePlans(Place(), Tuned()).value();
  bytes[4] = 'X';  // of the identifier
  EXPECT_EQ(StatusOf(Place(), bytes).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(PlanFileTest, RefusesPlansOfNoProduct) {
  TunedAlgos tuned = Tuned();
  GemmKey key = KeyOf(LinearGemm(8));
  key[0] = 7;  // not the largest of a bucket
  tuned[key] = {};
  EXPECT_EQ(StatusOf(Place(), WritePlans(Place(), tuned).value()).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(PlanFileTest, RefusesTimesThatAreNone) {
  for (double seconds : {-1.0, std::nan("")}) {
    TunedAlgos tuned = Tuned();
    tuned.begin()->second.seconds = seconds;
    EXPECT_EQ(StatusOf(Place(), WritePlans(Place(), tuned).value()).code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(PlanFileTest, RefusesTooLargeAFile) {
  EXPECT_EQ(StatusOf(Place(), std::string(kMaxPlanFileBytes + 1, 'x')).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(PlanFileTest, TheLargestFileCanBeReadAgain) {
  TunedAlgos tuned;
  GemmKey key = KeyOf(LinearGemm(1));
  while (static_cast<int64_t>(tuned.size()) < kMaxPlanFilePlans) {
    ++key[1];  // n, and the stride of the result
    key[12] = key[1];
    tuned[key] = {};
  }
  const auto bytes = WritePlans(Place(), tuned);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto read = ReadPlans(Place(), *bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->size(), tuned.size());
  ++key[1];
  key[12] = key[1];
  tuned[key] = {};
  EXPECT_EQ(WritePlans(Place(), tuned).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(PlanFileTest, ATunedCacheRunsTheSameElsewhere) {
  const auto device = TestDevice::Fake();
  PlanCache cache(device->handle(), LtSettings());
  // The algorithm that is the last that the library would choose.
  double seconds = 1;
  ASSERT_TRUE(cache
                  .Tune(LinearGemm(8), 8,
                        [&](const GemmPlan&) -> absl::StatusOr<double> {
                          return seconds /= 2;
                        })
                  .ok());
  const std::string bytes = WritePlans(Place(), cache.tuned()).value();
  PlanCache other(device->handle(), LtSettings());
  other.Add(ReadPlans(Place(), bytes).value());
  EXPECT_EQ(other.Get(LinearGemm(6)).value()->Config().value(),
            cache.Get(LinearGemm(6)).value()->Config().value());
  EXPECT_EQ(other.stats().tuned_rejected, 0);
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
