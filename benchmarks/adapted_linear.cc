// One linear layer with a LoRA beside what libtorch needs for it, over sizes,
// ranks and rows, and beside what the machine can read and multiply: all in
// turns in one run. Prints a line of JSON for each; adapted_linear.py runs it
// and makes a table and a plot of them.
//
//   adapted_linear_runner [--rounds=N] [--quick] [--dtype=f32|bf16]
//       [--threads=1|2] [--size=N]

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "benchmarks/machine_limits.h"
#include "benchmarks/samples.h"
#include "benchmarks/torch_linear.h"
#include "kernels/linear.h"
#include "kernels/testing/random_views.h"
#include "kernels/thread_pool.h"

namespace peft {
namespace {

constexpr float kScale = 2.0f;
// Weights are read one after the other, as a model does, so that those of few
// rows come from memory.
constexpr int64_t kWeightBytes = int64_t{256} << 20;
constexpr int64_t kFewRows = 16;

struct Case {
  DType dtype;
  int64_t size;  // inputs and outputs
  int64_t rank;
  int64_t rows;
};

// One case on both sides.
class Trial {
 public:
  Trial(const Case& c, kernels::ThreadPool& pool)
      : case_(c),
        pool_(pool),
        random_(1),
        a_(c.dtype, c.rank, c.size, random_, /*aligned=*/true),
        b_(c.dtype, c.size, c.rank, random_, true),
        x_(c.rows, c.size, 0, random_),
        y_(c.rows, c.size, 0, random_) {
    const int64_t bytes = c.size * c.size * DTypeSize(c.dtype);
    const int64_t copies =
        c.rows <= kFewRows ? std::max<int64_t>(1, kWeightBytes / bytes) : 1;
    weights_.assign(
        copies, kernels::RandomMatrix(c.dtype, c.size, c.size, random_, true));
    weight_bytes_ = copies * bytes;
    for (const kernels::RandomMatrix& weight : weights_) {
      kernels::LinearPlan plan;
      plan.weight = weight.view();
      plan.stages = {{{{a_.view(), b_.view(), kScale}}, {}}};
      theirs_.emplace_back(c.dtype, plan.weight, a_.view(), b_.view(), kScale,
                           &x_.At(0, 0), c.rows);
      plans_.push_back(std::move(plan));
    }
    workspace_.resize(kernels::LinearWorkspaceFloats(plans_[0], c.rows));
    // As many at once as take some milliseconds.
    repeats_ =
        std::max<int64_t>(1, (int64_t{64} << 20) / (c.size * c.size * c.rows));
  }

  // Largest difference, relative to the largest result.
  double Difference() {
    RunOurs();
    theirs_[0].Run();
    double error = 0, largest = 0;
    for (int64_t col = 0; col < case_.size; col += 7) {
      const double ours = y_.At(case_.rows - 1, col);
      error =
          std::max(error, std::abs(ours - theirs_[0].At(case_.rows - 1, col)));
      largest = std::max(largest, std::abs(ours));
    }
    return error / largest;
  }

  void Measure() {
    ours_time_.Time([&] {
      for (int64_t i = 0; i < repeats_; ++i) RunOurs();
    });
    rounded_time_.Time([&] {
      for (int64_t i = 0; i < repeats_; ++i) RunOurs(/*round_inputs=*/true);
    });
    theirs_time_.Time([&] {
      for (int64_t i = 0; i < repeats_; ++i) {
        theirs_[next_theirs_].Run();
        next_theirs_ = (next_theirs_ + 1) % theirs_.size();
      }
    });
  }

  double Ours() const { return ours_time_.Wall() / repeats_; }
  // With inputs that are rounded to bf16, as libtorch's are, where that is
  // faster.
  double Rounded() const { return rounded_time_.Wall() / repeats_; }
  double Theirs() const { return theirs_time_.Wall() / repeats_; }

 private:
  void RunOurs(bool round_inputs = false) {
    const kernels::LinearGroup group = {&plans_[next_ours_], case_.rows};
    const kernels::LinearCall call = {absl::MakeConstSpan(&group, 1), y_.view(),
                                      round_inputs};
    kernels::RunLinears(absl::MakeConstSpan(&call, 1), x_.view(),
                        workspace_.data(), pool_,
                        kernels::ExceedsCaches(weight_bytes_));
    next_ours_ = (next_ours_ + 1) % plans_.size();
  }

  const Case case_;
  kernels::ThreadPool& pool_;
  kernels::Random random_;
  int64_t weight_bytes_ = 0;  // of all copies
  kernels::RandomMatrix a_;
  kernels::RandomMatrix b_;
  kernels::RandomRows x_;
  kernels::RandomRows y_;
  std::vector<kernels::RandomMatrix> weights_;
  std::vector<kernels::LinearPlan> plans_;
  std::vector<TorchLinear> theirs_;
  std::vector<float> workspace_;
  int64_t repeats_ = 1;
  size_t next_ours_ = 0;
  size_t next_theirs_ = 0;
  Samples ours_time_;
  Samples rounded_time_;
  Samples theirs_time_;
};

// Seconds that the machine needs at least, by what it did in the same rounds.
struct Limits {
  double bytes_per_second;
  double flops_per_second;

  double SecondsOf(const Case& c) const {
    const double numbers = static_cast<double>(c.size * (c.size + 2 * c.rank));
    const double size = static_cast<double>(DTypeSize(c.dtype));
    return std::max(
        numbers * size / bytes_per_second,
        2 * numbers * static_cast<double>(c.rows) / flops_per_second);
  }
};

void Run(const Case& c, int threads, int rounds, ReadLimit& read) {
  const std::unique_ptr<kernels::ThreadPool> pool =
      kernels::CreateThreadPool(threads);
  SetTorchThreads(threads);
  Trial trial(c, *pool);
  const double difference = trial.Difference();
  Samples bytes, adds, dots;
  double flops = 0, dot_flops = 0;
  for (int round = 0; round < rounds; ++round) {
    bytes.Time([&] { read.ReadBurst(*pool); });
    adds.Time([&] { flops = RunMultiplyAdds(*pool); });
    dots.Time([&] { dot_flops = RunBf16Dots(*pool); });
    trial.Measure();
  }
  Limits limits = {ReadLimit::kBurstBytes / bytes.Wall(), flops / adds.Wall()};
  if (c.dtype == DType::kBF16 && dot_flops > 0) {
    limits.flops_per_second = dot_flops / dots.Wall();
  }
  std::printf(
      "{\"dtype\": \"%s\", \"threads\": %d, \"size\": %lld, \"rank\": %lld, "
      "\"rows\": %lld, \"ours\": %.4g, \"rounded\": %.4g, \"torch\": %.4g, "
      "\"limit\": %.4g, "
      "\"difference\": %.2g}\n",
      c.dtype == DType::kF32 ? "f32" : "bf16", threads,
      static_cast<long long>(c.size), static_cast<long long>(c.rank),
      static_cast<long long>(c.rows), trial.Ours(), trial.Rounded(),
      trial.Theirs(), limits.SecondsOf(c), difference);
  std::fflush(stdout);
}

// Sizes by rows at one rank, then ranks by rows at one size.
std::vector<Case> Cases(DType dtype, bool quick) {
  const std::vector<int64_t> sizes =
      quick ? std::vector<int64_t>{256}
            : std::vector<int64_t>{256, 512, 1024, 2048, 4096, 8192};
  const std::vector<int64_t> rows =
      quick ? std::vector<int64_t>{1, 4}
            : std::vector<int64_t>{1, 4, 16, 64, 256, 512};
  std::vector<Case> cases;
  for (const int64_t size : sizes) {
    for (const int64_t r : rows) cases.push_back({dtype, size, 16, r});
  }
  if (quick) return cases;
  for (const int64_t rank : {4, 64, 128}) {
    for (const int64_t r : rows) cases.push_back({dtype, 2048, rank, r});
  }
  return cases;
}

// What to measure; all of it by default.
struct Options {
  int rounds = 7;
  bool quick = false;
  std::vector<DType> dtypes = {DType::kF32, DType::kBF16};
  std::vector<int> threads = {1, 2};
  int64_t size = 0;  // 0: all sizes

  bool Wants(const Case& c) const { return size == 0 || c.size == size; }
};

bool ParseOption(absl::string_view argument, Options* options) {
  if (argument == "--quick") {
    options->quick = true;
  } else if (absl::ConsumePrefix(&argument, "--dtype=")) {
    if (argument != "f32" && argument != "bf16") return false;
    options->dtypes = {argument == "f32" ? DType::kF32 : DType::kBF16};
  } else if (absl::ConsumePrefix(&argument, "--threads=")) {
    options->threads.resize(1);
    return absl::SimpleAtoi(argument, &options->threads[0]) &&
           options->threads[0] >= 1;
  } else if (absl::ConsumePrefix(&argument, "--size=")) {
    return absl::SimpleAtoi(argument, &options->size) && options->size > 0;
  } else {
    return absl::ConsumePrefix(&argument, "--rounds=") &&
           absl::SimpleAtoi(argument, &options->rounds) && options->rounds >= 1;
  }
  return true;
}

bool ParseOptions(int count, char** arguments, Options* options) {
  for (int i = 1; i < count; ++i) {
    if (!ParseOption(arguments[i], options)) return false;
  }
  return true;
}

void RunAll(const Options& options) {
  ReadLimit read;
  for (const DType dtype : options.dtypes) {
    for (const int threads : options.threads) {
      for (const Case& c : Cases(dtype, options.quick)) {
        if (options.Wants(c)) Run(c, threads, options.rounds, read);
      }
    }
  }
}

}  // namespace
}  // namespace peft

int main(int count, char** arguments) {
  peft::Options options;
  if (!peft::ParseOptions(count, arguments, &options)) {
    std::fprintf(stderr,
                 "usage: %s [--rounds=N] [--quick] [--dtype=f32|bf16] "
                 "[--threads=N] [--size=N]\n",
                 arguments[0]);
    return 2;
  }
  peft::RunAll(options);
  return 0;
}
