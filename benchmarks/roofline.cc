// How near a forward comes to what the machine can do: decoding to the rate at
// which it reads memory, prefill to the rate of its multiply-adds, all measured
// in turns in one run. Prints a table for docs/performance.md.
//
//   ./bazelw run //benchmarks:roofline -- [--rounds=N]
//       [--dtype=f32|bf16|nf4|q4|q8] [--adapter=f32|bf16] [--no-prefill]
//       [--contention] [--batch=N]
//
// Of a quantised base (nf4 with a head of bf16, q4 and q8 with a quantised one,
// as `peft quantize` writes it) it also measures the bf16 model that it was, in
// the same turns, and prints how many times as fast it decodes, with and
// without the adapter, and what reading alone would allow. --adapter is how the
// adapter is stored.
//
// With --contention it measures instead what two threads decode while another
// process keeps one core busy, beside what one thread decodes without; with
// --batch decoding steps of N rows with an adapter each (benchmarks/
// batch_decode.h).

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "benchmarks/batch_decode.h"
#include "benchmarks/llama_folders.h"
#include "benchmarks/llama_side.h"
#include "benchmarks/machine_limits.h"
#include "benchmarks/samples.h"
#include "kernels/cpu_variant.h"
#include "peft_cc/base/dtype.h"

namespace peft {
namespace {

constexpr int kMaxThreads = 2;

struct Options {
  int rounds = 15;
  std::vector<BaseKind> kinds = {BaseKind::kF32, BaseKind::kBF16};
  DType adapter = DType::kF32;
  bool prefill = true;
  bool contention = false;
  int64_t batch = 0;  // 0: no batches
};

// All measurements of one kind of base, by name and threads.
class Roofline {
 public:
  Roofline(BaseKind kind, DType adapter, bool with_prefill)
      : kind_(kind), with_prefill_(with_prefill), folders_(kind, adapter) {
    for (int threads = 1; threads <= kMaxThreads; ++threads) {
      sides_.push_back(std::make_unique<LlamaSide>(folders_, threads));
    }
    if (kind == BaseKind::kF32 || kind == BaseKind::kBF16) return;
    bf16_folders_ = std::make_unique<LlamaFolders>(BaseKind::kBF16, adapter);
    for (int threads = 1; threads <= kMaxThreads; ++threads) {
      bf16_sides_.push_back(
          std::make_unique<LlamaSide>(*bf16_folders_, threads));
    }
  }

  void Run(int rounds) {
    for (int round = 0; round < rounds; ++round) {
      for (int i = 0; i < kMaxThreads; ++i) {
        MeasureSide(*sides_[i], i + 1);
        if (!bf16_sides_.empty()) MeasureRatio(i);
      }
    }
  }

  void Print() const {
    std::printf(
        "\n%s, %s kernels: by the wall's median, its best tenth and the median "
        "of the thread's own time; and the share of the limit measured beside "
        "it\n\n| | threads | median | best | own | share of the limit "
        "|\n|---|---|---|---|---|---|\n",
        NameOf(kind_), kernels::CpuVariantName());
    for (int threads = 1; threads <= kMaxThreads; ++threads) {
      PrintLimits(threads);
      const int64_t bytes = sides_[0]->base_bytes();
      PrintDecode("decode, base", threads, bytes);
      PrintDecode("decode, adapter", threads, bytes + folders_.adapter_bytes());
      for (const int64_t tokens : {256, 1024}) {
        if (with_prefill_) PrintPrefill(tokens, threads);
      }
      for (const bool adapter : {false, true}) {
        if (!bf16_sides_.empty()) PrintRatio(threads, adapter);
      }
    }
  }

 private:
  Samples& Of(const std::string& name, int threads) {
    return samples_[absl::StrCat(name, "/", threads)];
  }
  const Samples& Of(const std::string& name, int threads) const {
    return samples_.at(absl::StrCat(name, "/", threads));
  }

  void MeasureSide(LlamaSide& side, int threads) {
    if (with_prefill_) MeasurePrefill(side, threads);
    for (const bool adapter : {false, true}) {
      side.SetAdapter(adapter);
      side.StartDecoding();
      for (int i = 0; i < 5; ++i) {
        Of("read", threads).Time([&] { read_.ReadBurst(side.pool()); });
        Of(adapter ? "decode, adapter" : "decode, base", threads).Time([&] {
          side.DecodeSome();
        });
      }
    }
  }

  void MeasurePrefill(LlamaSide& side, int threads) {
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
  }

  static const char* AdapterName(bool adapter) {
    return adapter ? "adapter" : "base";
  }

  // Decoding here and by the bf16 model, in turns.
  void MeasureRatio(int index) {
    for (const bool adapter : {false, true}) {
      const std::string name = AdapterName(adapter);
      for (LlamaSide* side : {sides_[index].get(), bf16_sides_[index].get()}) {
        side->SetAdapter(adapter);
        side->StartDecoding();
      }
      for (int i = 0; i < 6; ++i) {
        Of("quantised, " + name, index + 1).Time([&] {
          sides_[index]->DecodeSome();
        });
        Of("bf16, " + name, index + 1).Time([&] {
          bf16_sides_[index]->DecodeSome();
        });
      }
    }
  }

  void PrintRatio(int threads, bool adapter) const {
    const std::string name = AdapterName(adapter);
    const Samples& here = Of("quantised, " + name, threads);
    const Samples& bf16 = Of("bf16, " + name, threads);
    const int64_t more = adapter ? folders_.adapter_bytes() : 0;
    std::printf("| tokens/s, %s | %d | %.3g | %.3g | ", name.c_str(), threads,
                LlamaSide::kStepsAtOnce / here.Wall(),
                LlamaSide::kStepsAtOnce / here.Best());
    PrintOwn(threads, "%.3g", LlamaSide::kStepsAtOnce / here.Own());
    std::printf(" | %.2f, %.2f", bf16.Wall() / here.Wall(),
                bf16.Best() / here.Best());
    PrintOwn(threads, ", %.2f", bf16.Own() / here.Own());
    std::printf(" times bf16's, by bytes %.2f |\n",
                static_cast<double>(bf16_sides_[0]->base_bytes() + more) /
                    static_cast<double>(sides_[0]->base_bytes() + more));
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
    if (!with_prefill_) return;
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
    PrintRow(name, threads, LlamaSide::kStepsAtOnce, Of("read", threads),
             static_cast<double>(LlamaSide::kStepsAtOnce * bytes) /
                 static_cast<double>(ReadLimit::kBurstBytes));
  }

  void PrintPrefill(int64_t tokens, int threads) const {
    PrintRow(absl::StrCat("prefill ", tokens), threads, 1,
             Of("multiply-adds", threads),
             ForwardFlops(tokens, true) / (flops_ * threads));
  }

  const BaseKind kind_;
  const bool with_prefill_;
  const LlamaFolders folders_;
  std::vector<std::unique_ptr<LlamaSide>> sides_;
  // Of a quantised base: what it is compared with.
  std::unique_ptr<LlamaFolders> bf16_folders_;
  std::vector<std::unique_ptr<LlamaSide>> bf16_sides_;
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

void MeasureContention(BaseKind kind, int rounds) {
  const LlamaFolders folders(kind);
  LlamaSide one(folders, 1);
  LlamaSide two(folders, 2);
  for (LlamaSide* side : {&one, &two}) side->StartDecoding();
  Samples alone, both, beside;
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < 5; ++i) alone.Time([&] { one.DecodeSome(); });
    for (int i = 0; i < 5; ++i) both.Time([&] { two.DecodeSome(); });
    const BusyProcess busy;
    usleep(20'000);  // until it runs
    for (int i = 0; i < 5; ++i) beside.Time([&] { two.DecodeSome(); });
  }
  const auto print = [&](const char* name, const Samples& samples) {
    std::printf("| %s | %.3g | %.3g | %.2f, %.2f |\n", name,
                LlamaSide::kStepsAtOnce / samples.Wall(),
                LlamaSide::kStepsAtOnce / samples.Best(),
                alone.Wall() / samples.Wall(), alone.Best() / samples.Best());
  };
  std::printf(
      "\n%s\n\n| tokens/s | median | best tenth | of one thread's "
      "|\n|---|---|---|---|\n",
      NameOf(kind));
  print("one thread", alone);
  print("two threads", both);
  print("two threads beside a busy process", beside);
}

bool ParseKind(absl::string_view name, Options* options) {
  for (const BaseKind kind : {BaseKind::kF32, BaseKind::kBF16, BaseKind::kNF4,
                              BaseKind::kQ4, BaseKind::kQ8}) {
    if (name != NameOf(kind)) continue;
    options->kinds = {kind};
    return true;
  }
  return false;
}

bool ParseOptions(int count, char** arguments, Options* options) {
  for (int i = 1; i < count; ++i) {
    absl::string_view argument = arguments[i];
    if (argument == "--contention") {
      options->contention = true;
    } else if (argument == "--no-prefill") {
      options->prefill = false;
    } else if (absl::ConsumePrefix(&argument, "--batch=")) {
      if (!absl::SimpleAtoi(argument, &options->batch) || options->batch < 2) {
        return false;
      }
    } else if (argument == "--adapter=f32" || argument == "--adapter=bf16") {
      options->adapter =
          argument == "--adapter=f32" ? DType::kF32 : DType::kBF16;
    } else if (absl::ConsumePrefix(&argument, "--dtype=")) {
      if (!ParseKind(argument, options)) return false;
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
                 "usage: %s [--rounds=N] [--dtype=f32|bf16|nf4|q4|q8] "
                 "[--adapter=f32|bf16] [--no-prefill] [--contention] "
                 "[--batch=N]\n",
                 arguments[0]);
    return 2;
  }
  for (const peft::BaseKind kind : options.kinds) {
    if (options.contention) {
      peft::MeasureContention(kind, options.rounds);
      continue;
    }
    if (options.batch > 0) {
      peft::MeasureBatch(kind, options.batch, options.rounds);
      continue;
    }
    peft::Roofline roofline(kind, options.adapter, options.prefill);
    roofline.Run(options.rounds);
    roofline.Print();
  }
  return 0;
}
