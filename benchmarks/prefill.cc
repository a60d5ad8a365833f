// Prefill without and with an adapter, in turns, of bf16 also with rounded
// activations: what part of the time is the adapter's, beside its part of the
// multiplications, and how near all of it comes to the rate of multiply-adds.
// Prints a table for docs/performance.md. Of one thread the adapter's part is
// also given by the time in which that thread ran ("own"), which other programs
// disturb less.
//
//   ./bazelw run //benchmarks:prefill -- [--rounds=N] [--dtype=f32|bf16]

#include <cstdint>
#include <cstdio>
#include <map>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "benchmarks/llama_folders.h"
#include "benchmarks/llama_side.h"
#include "benchmarks/machine_limits.h"
#include "benchmarks/samples.h"

namespace peft {
namespace {

constexpr int kMaxThreads = 2;

// Prefill of one session, without and with the adapter in turns.
class PrefillTrial {
 public:
  PrefillTrial(const LlamaFolders& folders, int threads, bool round_activations)
      : threads_(threads),
        rounded_(round_activations),
        side_(folders, threads, 1, round_activations) {}

  void Measure(int64_t tokens) {
    Trial& trial = trials_[tokens];
    trial.limit.Time([&] { flops_ = RunMultiplyAdds(side_.pool()); });
    // Each is first as often as the other.
    for (const bool adapter : {adapter_first_, !adapter_first_}) {
      side_.SetAdapter(adapter);
      (adapter ? trial.adapted : trial.base).Time([&] {
        side_.Prefill(tokens);
      });
    }
    adapter_first_ = !adapter_first_;
  }

  void Print() const {
    for (const auto& [tokens, trial] : trials_) {
      const double time = 1 - trial.base.Wall() / trial.adapted.Wall();
      const double own = 1 - trial.base.Own() / trial.adapted.Own();
      const double flops =
          1 - ForwardFlops(tokens, false) / ForwardFlops(tokens, true);
      const double limit = trial.limit.Wall() / flops_;
      std::printf(
          "| %lld%s | %d | %.3g | %.3g | %.0f %%, %.0f %% | %.1f %% | %.1f %% "
          "| %.2f",
          static_cast<long long>(tokens), rounded_ ? ", rounded" : "", threads_,
          1e3 * trial.base.Wall(), 1e3 * trial.adapted.Wall(),
          100 * limit * ForwardFlops(tokens, false) / trial.base.Wall(),
          100 * limit * ForwardFlops(tokens, true) / trial.adapted.Wall(),
          100 * time, 100 * flops, time / flops);
      if (threads_ == 1) std::printf(", own %.2f", own / flops);
      std::printf(" |\n");
    }
  }

 private:
  struct Trial {
    Samples limit, base, adapted;
  };

  const int threads_;
  const bool rounded_;
  LlamaSide side_;
  bool adapter_first_ = false;
  double flops_ = 0;
  std::map<int64_t, Trial> trials_;  // by tokens
};

void MeasurePrefill(BaseKind kind, int rounds) {
  const LlamaFolders folders(kind);
  std::printf(
      "\n%s\n\n| tokens | threads | base, ms | adapter, ms | of the "
      "multiply-adds' rate | adapter's time | its FLOPs | ratio "
      "|\n|---|---|---|---|---|---|---|---|\n",
      NameOf(kind));
  for (int threads = 1; threads <= kMaxThreads; ++threads) {
    for (const bool rounded : {false, true}) {
      if (rounded && kind != BaseKind::kBF16) continue;
      PrefillTrial trial(folders, threads, rounded);
      for (int round = 0; round < rounds; ++round) {
        for (const int64_t tokens : {256, 256, 256, 1024, 1024}) {
          trial.Measure(tokens);
        }
      }
      trial.Print();
    }
  }
}

bool ParseOption(absl::string_view argument, std::vector<BaseKind>* kinds,
                 int* rounds) {
  if (absl::ConsumePrefix(&argument, "--rounds=")) {
    return absl::SimpleAtoi(argument, rounds) && *rounds >= 1;
  }
  for (const BaseKind kind : {BaseKind::kF32, BaseKind::kBF16}) {
    if (argument != absl::StrCat("--dtype=", NameOf(kind))) continue;
    *kinds = {kind};
    return true;
  }
  return false;
}

}  // namespace
}  // namespace peft

int main(int count, char** arguments) {
  std::vector<peft::BaseKind> kinds = {peft::BaseKind::kF32,
                                       peft::BaseKind::kBF16};
  int rounds = 7;
  for (int i = 1; i < count; ++i) {
    if (peft::ParseOption(arguments[i], &kinds, &rounds)) continue;
    std::fprintf(stderr, "usage: %s [--rounds=N] [--dtype=f32|bf16]\n",
                 arguments[0]);
    return 2;
  }
  for (const peft::BaseKind kind : kinds) peft::MeasurePrefill(kind, rounds);
  return 0;
}
