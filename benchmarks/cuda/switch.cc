#include <algorithm>
#include <array>
#include <chrono>
#include <memory>

#include "absl/strings/str_cat.h"
#include "benchmarks/cuda/measurements.h"
#include "kernels/cuda/adapter_pool.h"
#include "peft_cc/base/error.h"

namespace peft {

namespace {

using kernels::cuda::AdapterId;
using kernels::cuda::AdapterPool;
using kernels::cuda::AdapterPoolOptions;
using kernels::cuda::HostPair;
using kernels::cuda::LowRankTerm;
using kernels::cuda::PairShape;
using kernels::cuda::SlotEntry;

constexpr int kRepeats = 21;

// The seven linears of each layer.
std::vector<PairShape> SitesOf(const DecodeSteps& model) {
  const int64_t h = model.hidden;
  const int64_t i = model.intermediate;
  std::vector<PairShape> sites;
  for (int layer = 0; layer < model.layers; ++layer) {
    for (int j = 0; j < 4; ++j) sites.push_back({h, h, model.rank});
    for (int j = 0; j < 2; ++j) sites.push_back({h, i, model.rank});
    sites.push_back({i, h, model.rank});
  }
  return sites;
}

AdapterPoolOptions OptionsOf(const DecodeSteps& model) {
  AdapterPoolOptions options;
  options.sites = SitesOf(model);
  size_t bytes = 0;
  for (const PairShape& site : options.sites) {
    bytes += 2 * (site.in + site.out) * site.rank;
  }
  // Two adapters, and what their cuts at pages' ends may leave.
  options.num_pages = static_cast<int>(3 * bytes / options.page_bytes + 2);
  return options;
}

// All of one number, which fits any site.
std::vector<HostPair> PairsOf(const std::vector<PairShape>& sites,
                              const std::vector<uint16_t>& numbers) {
  std::vector<HostPair> pairs;
  for (const PairShape& site : sites) {
    HostPair& pair = pairs.emplace_back();
    pair.a = {numbers.data(), DType::kBF16, site.rank, site.in, site.in};
    pair.b = {numbers.data(), DType::kBF16, site.out, site.rank, site.rank};
  }
  return pairs;
}

// A pool whose only slot goes from one of two adapters to the other. Adapter
// i's scale and numbers are i + 1.
class Switcher {
 public:
  Switcher(const CudaBench& bench, const DecodeSteps& model)
      : bench_(bench), options_(OptionsOf(model)) {
    largest_ = std::max(model.hidden, model.intermediate) * model.rank;
  }

  absl::Status Start() {
    PEFT_ASSIGN_OR_RETURN(pool_, AdapterPool::Create(bench_.device, options_));
    for (size_t i = 0; i < adapters_.size(); ++i) {
      const std::vector<uint16_t> numbers(largest_, F32ToBF16(Number(i)));
      PEFT_ASSIGN_OR_RETURN(adapters_[i],
                            pool_->Load(PairsOf(options_.sites, numbers)));
    }
    for (size_t i = 0; i < adapters_.size(); ++i) {
      PEFT_RETURN_IF_ERROR(Switch());
      PEFT_RETURN_IF_ERROR(Check());
    }
    return absl::OkStatus();
  }

  absl::Status Switch() {
    current_ = 1 - current_;
    const SlotEntry entries[] = {{adapters_[current_], Number(current_)}};
    return pool_->SetSlot(0, entries, bench_.timer.stream().stream);
  }

 private:
  static float Number(size_t i) { return static_cast<float>(i + 1); }

  // That the device has the scale and the first number of the current adapter
  // at the first site and at the last.
  absl::Status Check() const {
    for (size_t site : {size_t{0}, options_.sites.size() - 1}) {
      PEFT_ASSIGN_OR_RETURN(const LowRankTerm term,
                            ReadTerm(static_cast<int>(site)));
      const kernels::cuda::DeviceMatrix a = {term.a, DType::kBF16, 1, 1, 1};
      PEFT_ASSIGN_OR_RETURN(const float number, ReadNumber(bench_, a, 0, 0));
      if (term.scale == Number(current_) && number == Number(current_)) {
        continue;
      }
      return absl::DataLossError(
          absl::StrCat("after a switch site ", site, " has scale ", term.scale,
                       " and number ", number, ", expected ", Number(current_),
                       ": nothing is timed"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<LowRankTerm> ReadTerm(int site) const {
    const kernels::cuda::Driver& driver = bench_.device.driver();
    LowRankTerm term;
    PEFT_RETURN_IF_ERROR(driver.Check(
        driver->cuMemcpyDtoHAsync_v2(
            &term,
            pool_->terms(site) + pool_->first_term(0) * sizeof(LowRankTerm),
            sizeof(term), bench_.timer.stream().stream),
        "reading a slot"));
    PEFT_RETURN_IF_ERROR(Synchronize(bench_));
    return term;
  }

  const CudaBench& bench_;
  const AdapterPoolOptions options_;
  int64_t largest_ = 0;
  std::unique_ptr<AdapterPool> pool_;
  std::array<AdapterId, 2> adapters_ = {};
  size_t current_ = 1;
};

// How long the caller is held up, in seconds.
absl::StatusOr<double> TimeCaller(const CudaBench& bench, Switcher& switcher) {
  std::vector<double> seconds;
  for (int i = 0; i < kRepeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    PEFT_RETURN_IF_ERROR(switcher.Switch());
    const std::chrono::duration<double> took =
        std::chrono::steady_clock::now() - begin;
    seconds.push_back(took.count());
    PEFT_RETURN_IF_ERROR(Synchronize(bench));
  }
  std::nth_element(seconds.begin(), seconds.begin() + kRepeats / 2,
                   seconds.end());
  return seconds[kRepeats / 2];
}

}  // namespace

absl::Status MeasureSwitch(const CudaBench& bench, const DecodeSteps& model,
                           Report& report) {
  Switcher switcher(bench, model);
  PEFT_RETURN_IF_ERROR(switcher.Start());
  PEFT_ASSIGN_OR_RETURN(const double caller, TimeCaller(bench, switcher));
  PEFT_ASSIGN_OR_RETURN(const double device, bench.timer.Time([&switcher] {
    return switcher.Switch();
  }));
  report.StartTable(
      "A switch between two adapters in device memory, microseconds.",
      {{"sites"},
       {"rank"},
       {"caller", Unit::kMicroseconds},
       {"device", Unit::kMicroseconds}});
  report.AddRow({static_cast<double>(7 * model.layers),
                 static_cast<double>(model.rank), 1e6 * caller, 1e6 * device});
  report.AddBound({"switch of a resident adapter, the longer of both",
                   Unit::kMicroseconds, 50, false,
                   1e6 * std::max(caller, device)});
  return absl::OkStatus();
}

}  // namespace peft
