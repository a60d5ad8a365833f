// How near a forward comes to what the machine can do: decoding to the rate at
// which it reads memory, prefill to the rate of its multiply-adds, all measured
// in turns in one run. Prints a table for docs/performance.md.
//
//   ./bazelw run //benchmarks:roofline -- [--rounds=N] [--dtype=f32|bf16]
//       [--contention]
//
// With --contention it measures instead what two threads decode while another
// process keeps one core busy, beside what one thread decodes without.

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "benchmarks/llama_folders.h"
#include "benchmarks/machine_limits.h"
#include "kernels/cpu_variant.h"
#include "kernels/thread_pool.h"
#include "peft_cc/models/model.h"
#include "peft_cc/models/session.h"

namespace peft {
namespace {

constexpr int kMaxThreads = 2;
constexpr int64_t kPrompt = 32;  // tokens before those that are decoded
constexpr int kStepsAtOnce = 4;

struct Options {
  int rounds = 15;
  std::vector<DType> dtypes = {DType::kF32, DType::kBF16};
  bool contention = false;
};

double Now(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) +
         1e-9 * static_cast<double>(time.tv_nsec);
}

double At(std::vector<double> samples, double part) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  return samples[static_cast<size_t>(part *
                                     static_cast<double>(samples.size() - 1))];
}

// Seconds of one thing, measured again and again. On one thread also those in
// which it really ran: programs beside this one take time, not speed.
class Samples {
 public:
  void Time(const std::function<void()>& run) {
    const double wall = Now(CLOCK_MONOTONIC);
    const double own = Now(CLOCK_THREAD_CPUTIME_ID);
    run();
    own_.push_back(Now(CLOCK_THREAD_CPUTIME_ID) - own);
    wall_.push_back(Now(CLOCK_MONOTONIC) - wall);
  }

  double Wall() const { return At(wall_, 0.5); }
  double Best() const { return At(wall_, 0.1); }
  double Own() const { return At(own_, 0.5); }

 private:
  std::vector<double> wall_;
  std::vector<double> own_;
};

template <typename T>
T Require(absl::StatusOr<T> result) {
  if (result.ok()) return *std::move(result);
  std::fprintf(stderr, "%s\n", std::string(result.status().message()).c_str());
  std::abort();
}

// A model with its adapter on some threads.
class Side {
 public:
  Side(const LlamaFolders& folders, int threads)
      : pool_(kernels::CreateThreadPool(threads)) {
    ModelOptions options;
    options.thread_pool = pool_;
    model_ = Require(Model::Open(folders.base(), options));
    Require(model_->LoadAdapter("a", folders.adapter()));
    session_ = Require(Session::Create(*model_));
  }

  // Leaves `count` tokens in the cache.
  void Prefill(int64_t count) {
    session_->Reset();
    Run(std::vector<int64_t>(count, 5));
  }
  void Decode() { Run({7}); }
  void SetAdapter(bool active) {
    active ? model_->EnableAdapters() : model_->DisableAdapters();
  }
  kernels::ThreadPool& pool() { return *pool_; }

 private:
  void Run(const std::vector<int64_t>& ids) {
    ForwardInput input;
    input.ids = ids.data();
    input.batch = 1;
    input.length = static_cast<int64_t>(ids.size());
    ForwardOptions options;
    options.logits_to_keep = 1;
    Require(session_->Forward(input, options));
  }

  std::shared_ptr<kernels::ThreadPool> pool_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Session> session_;
};

void DecodeSome(Side& side) {
  for (int i = 0; i < kStepsAtOnce; ++i) side.Decode();
}

// All measurements of one dtype, by name and threads.
class Roofline {
 public:
  explicit Roofline(DType dtype) : dtype_(dtype), folders_(dtype) {
    for (int threads = 1; threads <= kMaxThreads; ++threads) {
      sides_.push_back(std::make_unique<Side>(folders_, threads));
    }
  }

  void Run(int rounds) {
    for (int round = 0; round < rounds; ++round) {
      for (int i = 0; i < kMaxThreads; ++i) MeasureSide(*sides_[i], i + 1);
    }
  }

  void Print() const {
    std::printf(
        "\n%s, %s kernels: by the wall's median, its best tenth and the median "
        "of the thread's own time; and the share of the limit measured beside "
        "it\n\n| | threads | median | best | own | share of the limit "
        "|\n|---|---|---|---|---|---|\n",
        dtype_ == DType::kF32 ? "f32" : "bf16", kernels::CpuVariantName());
    for (int threads = 1; threads <= kMaxThreads; ++threads) {
      PrintLimits(threads);
      PrintDecode("decode, base", threads, folders_.base_bytes());
      PrintDecode("decode, adapter", threads,
                  folders_.base_bytes() + folders_.adapter_bytes());
      for (const int64_t tokens : {256, 1024}) PrintPrefill(tokens, threads);
    }
  }

 private:
  Samples& Of(const std::string& name, int threads) {
    return samples_[absl::StrCat(name, "/", threads)];
  }
  const Samples& Of(const std::string& name, int threads) const {
    return samples_.at(absl::StrCat(name, "/", threads));
  }

  void MeasureSide(Side& side, int threads) {
    side.SetAdapter(true);
    for (const int64_t tokens : {256, 1024}) {
      Of("multiply-adds", threads).Time([&] {
        flops_ = RunMultiplyAdds(side.pool()) / threads;
      });
      Of("bf16 dots", threads).Time([&] {
        dot_flops_ = RunBf16Dots(side.pool()) / threads;
      });
      Of(absl::StrCat("prefill ", tokens), threads).Time([&] {
        side.Prefill(tokens);
      });
    }
    for (const bool adapter : {false, true}) {
      side.SetAdapter(adapter);
      side.Prefill(kPrompt);
      side.Decode();
      for (int i = 0; i < 5; ++i) {
        Of("read", threads).Time([&] { read_.ReadBurst(side.pool()); });
        Of(adapter ? "decode, adapter" : "decode, base", threads).Time([&] {
          DecodeSome(side);
        });
      }
    }
  }

  // A thread's own time says nothing of several.
  static void PrintOwn(int threads, const char* format, double value) {
    if (threads == 1) std::printf(format, value);
  }

  void PrintLimits(int threads) const {
    const auto rate = [&](const char* name, double amount, const char* unit) {
      const Samples& of = Of(name, threads);
      std::printf("| %s, %s | %d | %.3g | %.3g | ", name, unit, threads,
                  amount / of.Wall(), amount / of.Best());
      PrintOwn(threads, "%.3g", amount / of.Own());
      std::printf(" | |\n");
    };
    rate("read", 1e-9 * ReadLimit::kBurstBytes, "GB/s");
    rate("multiply-adds", 1e-9 * flops_ * threads, "GFLOP/s");
    if (dot_flops_ > 0) {
      rate("bf16 dots", 1e-9 * dot_flops_ * threads, "GFLOP/s");
    }
  }

  // `part`: of the limit's own amount, what is done in `of`.
  void PrintRow(const std::string& name, int threads, double steps,
                const Samples& limit, double part) const {
    const Samples& of = Of(name, threads);
    std::printf("| %s, ms | %d | %.3g | %.3g | ", name.c_str(), threads,
                1e3 * of.Wall() / steps, 1e3 * of.Best() / steps);
    PrintOwn(threads, "%.3g", 1e3 * of.Own() / steps);
    std::printf(" | %.0f %%, %.0f %%", 100 * part * limit.Wall() / of.Wall(),
                100 * part * limit.Best() / of.Best());
    PrintOwn(threads, ", %.0f %%", 100 * part * limit.Own() / of.Own());
    std::printf(" |\n");
  }

  void PrintDecode(const std::string& name, int threads, int64_t bytes) const {
    PrintRow(name, threads, kStepsAtOnce, Of("read", threads),
             static_cast<double>(kStepsAtOnce * bytes) /
                 static_cast<double>(ReadLimit::kBurstBytes));
  }

  void PrintPrefill(int64_t tokens, int threads) const {
    PrintRow(absl::StrCat("prefill ", tokens), threads, 1,
             Of("multiply-adds", threads),
             ForwardFlops(tokens, true) / (flops_ * threads));
  }

  const DType dtype_;
  const LlamaFolders folders_;
  std::vector<std::unique_ptr<Side>> sides_;
  ReadLimit read_;
  double flops_ = 0;      // of RunMultiplyAdds, for one thread
  double dot_flops_ = 0;  // of RunBf16Dots
  std::map<std::string, Samples> samples_;
};

// A process that keeps the last core busy while this object lives.
class BusyProcess {
 public:
  BusyProcess() : id_(fork()) {
    if (id_ != 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(sysconf(_SC_NPROCESSORS_ONLN) - 1, &set);
    sched_setaffinity(0, sizeof(set), &set);
    for (volatile uint64_t i = 0;;) i = i + 1;
  }
  BusyProcess(const BusyProcess&) = delete;
  BusyProcess& operator=(const BusyProcess&) = delete;
  ~BusyProcess() {
    kill(id_, SIGKILL);
    waitpid(id_, nullptr, 0);
  }

 private:
  const pid_t id_;
};

void MeasureContention(DType dtype, int rounds) {
  const LlamaFolders folders(dtype);
  Side one(folders, 1);
  Side two(folders, 2);
  for (Side* side : {&one, &two}) side->Prefill(kPrompt);
  Samples alone, both, beside;
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < 5; ++i) alone.Time([&] { DecodeSome(one); });
    for (int i = 0; i < 5; ++i) both.Time([&] { DecodeSome(two); });
    const BusyProcess busy;
    usleep(20'000);  // until it runs
    for (int i = 0; i < 5; ++i) beside.Time([&] { DecodeSome(two); });
  }
  const auto print = [&](const char* name, const Samples& samples) {
    std::printf("| %s | %.3g | %.3g | %.2f, %.2f |\n", name,
                kStepsAtOnce / samples.Wall(), kStepsAtOnce / samples.Best(),
                alone.Wall() / samples.Wall(), alone.Best() / samples.Best());
  };
  std::printf(
      "\n%s\n\n| tokens/s | median | best tenth | of one thread's "
      "|\n|---|---|---|---|\n",
      dtype == DType::kF32 ? "f32" : "bf16");
  print("one thread", alone);
  print("two threads", both);
  print("two threads beside a busy process", beside);
}

bool ParseOptions(int count, char** arguments, Options* options) {
  for (int i = 1; i < count; ++i) {
    absl::string_view argument = arguments[i];
    if (argument == "--contention") {
      options->contention = true;
    } else if (argument == "--dtype=f32") {
      options->dtypes = {DType::kF32};
    } else if (argument == "--dtype=bf16") {
      options->dtypes = {DType::kBF16};
    } else if (!absl::ConsumePrefix(&argument, "--rounds=") ||
               !absl::SimpleAtoi(argument, &options->rounds) ||
               options->rounds < 1) {
      return false;
    }
  }
  return true;
}

}  // namespace
}  // namespace peft

int main(int count, char** arguments) {
  peft::Options options;
  if (!peft::ParseOptions(count, arguments, &options)) {
    std::fprintf(stderr,
                 "usage: %s [--rounds=N] [--dtype=f32|bf16] [--contention]\n",
                 arguments[0]);
    return 2;
  }
  for (const peft::DType dtype : options.dtypes) {
    if (options.contention) {
      peft::MeasureContention(dtype, options.rounds);
      continue;
    }
    peft::Roofline roofline(dtype);
    roofline.Run(options.rounds);
    roofline.Print();
  }
  return 0;
}
