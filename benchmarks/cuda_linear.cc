// Linear layers with a LoRA on a GPU: by kernels/cuda beside their base layers
// alone, and beside libtorch running what PEFT runs, in captured graphs with a
// cold L2 cache. Prints tables.
//
//   cuda_linear [--quick] [--no-tune]
//
// Without a GPU it says so, and succeeds.

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "benchmarks/cuda_side.h"
#include "benchmarks/torch_cuda_linear.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/driver.h"
#include "kernels/cuda/lt/gpu_timer.h"
#include "kernels/cuda/lt/library.h"
#include "kernels/cuda/lt/plan_cache.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using kernels::cuda::Device;
using kernels::cuda::DeviceScope;
using kernels::cuda::Driver;
using kernels::cuda::GpuTimer;
using kernels::cuda::LtHandle;
using kernels::cuda::LtLibrary;
using kernels::cuda::LtSettings;
using kernels::cuda::LtStream;
using kernels::cuda::PlanCache;
using kernels::cuda::StreamHandle;

struct Options {
  bool quick = false;
  bool tune = true;
};

// Microseconds of the base alone, with an adapter, and with its gradients; of
// both sides, and 0 where one was not measured.
struct Times {
  double base = 0;
  double forward = 0;
  double training = 0;
};

absl::StatusOr<Times> TimeOurs(const CudaBench& bench, const Options& options,
                               int64_t rows, int64_t size, int64_t rank) {
  const LtStream& stream = bench.timer.stream();
  PEFT_ASSIGN_OR_RETURN(const auto base,
                        CudaLinears::Create(bench, rows, size, {size}, 0));
  PEFT_ASSIGN_OR_RETURN(const auto adapted,
                        CudaLinears::Create(bench, rows, size, {size}, rank));
  PEFT_RETURN_IF_ERROR(adapted->PlanBackward(bench));
  if (options.tune) {
    PEFT_RETURN_IF_ERROR(base->Tune(bench));
    PEFT_RETURN_IF_ERROR(adapted->Tune(bench));
  }
  Times times;
  PEFT_ASSIGN_OR_RETURN(times.base, TimeGraph(bench, stream.stream, [&] {
                          return base->Forward(stream);
                        }));
  PEFT_ASSIGN_OR_RETURN(times.forward, TimeGraph(bench, stream.stream, [&] {
                          return adapted->Forward(stream);
                        }));
  PEFT_ASSIGN_OR_RETURN(times.training, TimeGraph(bench, stream.stream, [&] {
                          PEFT_RETURN_IF_ERROR(adapted->Forward(stream));
                          return adapted->Backward(stream);
                        }));
  return times;
}

// `stream` is libtorch's, null without its CUDA part.
absl::StatusOr<Times> TimeTheirs(const CudaBench& bench, StreamHandle stream,
                                 int64_t rows, int64_t size, int64_t rank) {
  Times times;
  if (stream == nullptr) return times;
  TorchCudaLinear linear(rows, size, size, rank, /*scale=*/2.0f);
  const auto time = [&](void (TorchCudaLinear::*run)()) {
    return TimeGraph(bench, stream, [&] {
      (linear.*run)();
      return absl::OkStatus();
    });
  };
  PEFT_ASSIGN_OR_RETURN(times.base, time(&TorchCudaLinear::Base));
  PEFT_ASSIGN_OR_RETURN(times.forward, time(&TorchCudaLinear::Forward));
  PEFT_ASSIGN_OR_RETURN(times.training,
                        time(&TorchCudaLinear::ForwardBackward));
  return times;
}

absl::Status PrintSingleLayers(const CudaBench& bench, const Options& options,
                               StreamHandle torch_stream) {
  std::printf(
      "\nOne layer of d x d in BF16, microseconds. PEFT is what it runs on "
      "libtorch.\n\n"
      "| d | rank | rows | base | with LoRA | over base | PEFT | PEFT / ours | "
      "training | PEFT's | PEFT / ours |\n"
      "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
  const std::vector<int64_t> all_rows =
      options.quick ? std::vector<int64_t>{1, 256}
                    : std::vector<int64_t>{1, 8, 32, 128, 512, 2048, 8192};
  const std::vector<int64_t> ranks = options.quick
                                         ? std::vector<int64_t>{16}
                                         : std::vector<int64_t>{8, 16, 64, 128};
  for (int64_t size : {4096, 8192}) {
    for (int64_t rank : ranks) {
      for (int64_t rows : all_rows) {
        PEFT_ASSIGN_OR_RETURN(const Times ours,
                              TimeOurs(bench, options, rows, size, rank));
        PEFT_ASSIGN_OR_RETURN(
            const Times theirs,
            TimeTheirs(bench, torch_stream, rows, size, rank));
        std::printf(
            "| %d | %d | %d | %.1f | %.1f | %+.1f %% | %.1f | %.2f | %.1f | "
            "%.1f | %.2f |\n",
            static_cast<int>(size), static_cast<int>(rank),
            static_cast<int>(rows), 1e6 * ours.base, 1e6 * ours.forward,
            100 * (ours.forward / ours.base - 1), 1e6 * theirs.forward,
            theirs.forward / ours.forward, 1e6 * ours.training,
            1e6 * theirs.training, theirs.training / ours.training);
      }
    }
  }
  return absl::OkStatus();
}

// All linears of one decode step of a model of 7B parameters: seconds of one
// graph.
absl::StatusOr<double> TimeDecodeStep(const CudaBench& bench,
                                      const Options& options, int64_t rows,
                                      int64_t rank) {
  constexpr int kLayers = 32;
  constexpr int64_t kHidden = 4096;
  constexpr int64_t kIntermediate = 11008;
  std::vector<std::unique_ptr<CudaLinears>> linears;
  for (int i = 0; i < kLayers; ++i) {
    // q, k, v; o; gate, up; down.
    const std::pair<int64_t, std::vector<int64_t>> shapes[] = {
        {kHidden, {kHidden, kHidden, kHidden}},
        {kHidden, {kHidden}},
        {kHidden, {kIntermediate, kIntermediate}},
        {kIntermediate, {kHidden}}};
    for (const auto& shape : shapes) {
      PEFT_ASSIGN_OR_RETURN(
          auto made,
          CudaLinears::Create(bench, rows, shape.first, shape.second, rank));
      if (options.tune) PEFT_RETURN_IF_ERROR(made->Tune(bench));
      linears.push_back(std::move(made));
    }
  }
  const LtStream& stream = bench.timer.stream();
  return TimeGraph(bench, stream.stream, [&] {
    for (const auto& linear : linears) {
      PEFT_RETURN_IF_ERROR(linear->Forward(stream));
    }
    return absl::OkStatus();
  });
}

absl::Status PrintDecodeSteps(const CudaBench& bench, const Options& options) {
  std::printf(
      "\nAll linears of one step of a 7B model (32 layers), microseconds.\n\n"
      "| rows | rank | base | with LoRA | over base |\n"
      "|--:|--:|--:|--:|--:|\n");
  for (int64_t rows : {1, 16, 32}) {
    PEFT_ASSIGN_OR_RETURN(const double base,
                          TimeDecodeStep(bench, options, rows, 0));
    PEFT_ASSIGN_OR_RETURN(const double adapted,
                          TimeDecodeStep(bench, options, rows, 16));
    std::printf("| %d | 16 | %.0f | %.0f | %+.1f %% |\n",
                static_cast<int>(rows), 1e6 * base, 1e6 * adapted,
                100 * (adapted / base - 1));
  }
  return absl::OkStatus();
}

absl::Status Run(const Driver& driver, const LtLibrary& library,
                 const Options& options) {
  PEFT_ASSIGN_OR_RETURN(const auto device, Device::Open(driver, 0));
  const DeviceScope scope(*device);
  PEFT_RETURN_IF_ERROR(scope.status());
  LtSettings settings;
  settings.workspace_bytes =
      kernels::cuda::DefaultWorkspaceBytes(device->capability() / 10);
  PEFT_ASSIGN_OR_RETURN(const auto handle, LtHandle::Create(library));
  PEFT_ASSIGN_OR_RETURN(const auto timer, GpuTimer::Create(*device, settings));
  PlanCache cache(*handle, settings);
  const CudaBench bench = {*device, cache, *timer};
  std::printf("%s, cuBLASLt %d, algorithms %s\n", device->name().c_str(),
              static_cast<int>(library.version()),
              options.tune ? "tuned" : "of its heuristic");
  const std::string no_torch = LoadTorchCuda();
  StreamHandle torch_stream = nullptr;
  if (no_torch.empty()) {
    torch_stream = UseNewTorchStream();
  } else {
    std::printf("libtorch has no CUDA, its columns are 0: %s\n",
                no_torch.c_str());
  }
  PEFT_RETURN_IF_ERROR(PrintSingleLayers(bench, options, torch_stream));
  return PrintDecodeSteps(bench, options);
}

int Main(const Options& options) {
  const auto driver = Driver::Open();
  if (!driver.ok()) {
    std::printf("SKIPPED, there is no GPU: %s\n",
                std::string(driver.status().message()).c_str());
    return 0;
  }
  const auto library = LtLibrary::Open();
  if (!library.ok()) {
    std::printf("SKIPPED, there is no cuBLASLt: %s\n",
                std::string(library.status().message()).c_str());
    return 0;
  }
  const absl::Status status = Run(**driver, **library, options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

}  // namespace
}  // namespace peft

int main(int argc, char** argv) {
  peft::Options options;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--quick") == 0) {
      options.quick = true;
    } else if (std::strcmp(argv[i], "--no-tune") == 0) {
      options.tune = false;
    } else {
      std::fprintf(stderr, "usage: %s [--quick] [--no-tune]\n", argv[0]);
      return 2;
    }
  }
  return peft::Main(options);
}
