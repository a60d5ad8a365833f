#include "benchmarks/batch_decode.h"

#include <cstdio>

#include "benchmarks/llama_side.h"
#include "benchmarks/machine_limits.h"
#include "benchmarks/samples.h"

namespace peft {
namespace {

struct BatchSamples {
  Samples read;
  Samples base;
  Samples one;
  Samples own;
};

// One round.
void Measure(LlamaSide& side, ReadLimit& read, BatchSamples& samples) {
  const auto decode = [&](Samples& of) {
    side.StartDecoding();
    for (int i = 0; i < 3; ++i) {
      samples.read.Time([&] { read.ReadBurst(side.pool()); });
      of.Time([&] { side.DecodeSome(); });
    }
  };
  side.SetAdapter(false);
  decode(samples.base);
  side.SetAdapter(true);
  decode(samples.one);
  side.SetOwnAdapters(true);
  decode(samples.own);
  side.SetOwnAdapters(false);
}

void Print(int threads, int64_t batch, int64_t adapter_bytes,
           const BatchSamples& samples) {
  const auto time = [&](const Samples& of) {
    return threads == 1 ? of.Own() : of.Wall();
  };
  const auto step = [&](const Samples& of) {
    return time(of) / LlamaSide::kStepsAtOnce;
  };
  const double read_rate =
      static_cast<double>(ReadLimit::kBurstBytes) / time(samples.read);
  const double others =
      static_cast<double>((batch - 1) * adapter_bytes) / read_rate;
  std::printf("| %d | %.3g | %.3g | %.3g | %.3g | %.3g | %.2f |\n", threads,
              1e-9 * read_rate, 1e3 * step(samples.base),
              1e3 * step(samples.one), 1e3 * step(samples.own), 1e3 * others,
              step(samples.own) / (step(samples.one) + others));
}

}  // namespace

void MeasureBatch(BaseKind kind, int64_t batch, int rounds) {
  constexpr int kMaxThreads = 2;
  const LlamaFolders folders(kind);
  ReadLimit read;
  std::printf(
      "\n%s, a step of %d rows, medians; of one thread by its own time\n\n| "
      "threads | read, GB/s | base, ms | "
      "one adapter, ms | one for each row, ms | reading the others, ms | of "
      "one "
      "and reading |\n|---|---|---|---|---|---|---|\n",
      NameOf(kind), static_cast<int>(batch));
  for (int threads = 1; threads <= kMaxThreads; ++threads) {
    LlamaSide side(folders, threads, batch);
    BatchSamples samples;
    for (int round = 0; round < rounds; ++round) Measure(side, read, samples);
    Print(threads, batch, folders.adapter_bytes(), samples);
  }
}

}  // namespace peft
