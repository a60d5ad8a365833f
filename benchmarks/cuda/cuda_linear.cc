// Linear layers with LoRA adapters on a GPU: by kernels/cuda beside their base
// layers alone, and beside libtorch running what PEFT runs, in captured graphs
// with a cold L2 cache, in turns. Every result is compared with what it must be
// before anything is timed. Prints tables, and whether what kernels/cuda
// promises is met.
//
// Without a GPU it says so, and succeeds.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "benchmarks/cuda/bench.h"
#include "benchmarks/cuda/measurements.h"
#include "benchmarks/cuda/report.h"
#include "benchmarks/cuda/torch_linears.h"
#include "benchmarks/cuda/torch_side.h"
#include "kernels/cuda/adapter_kernels.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/driver.h"
#include "kernels/cuda/kernel_image.h"
#include "kernels/cuda/lt/gpu_timer.h"
#include "kernels/cuda/lt/library.h"
#include "kernels/cuda/lt/plan_cache.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using kernels::cuda::AdapterKernels;
using kernels::cuda::Device;
using kernels::cuda::DevicePtr;
using kernels::cuda::DeviceScope;
using kernels::cuda::Driver;
using kernels::cuda::GpuTimer;
using kernels::cuda::GpuTimerOptions;
using kernels::cuda::LtHandle;
using kernels::cuda::LtLibrary;
using kernels::cuda::LtSettings;
using kernels::cuda::PlanCache;

constexpr char kUsage[] =
    "usage: %s [--quick] [--no-tune] [--no-peer] [--json FILE]\n"
    "  --quick      few shapes, for a look; bounds that need others are not\n"
    "               measured\n"
    "  --no-tune    cuBLASLt's own choice of algorithms\n"
    "  --no-peer    without libtorch\n"
    "  --json FILE  also writes everything to FILE\n"
    "PEFT_CUBLASLT names a libcublasLt.so that the dynamic linker does not\n"
    "find. Needs a build with --config=cuda.\n";

struct Options {
  bool quick = false;
  bool tune = true;
  bool peer = true;
  std::string json;
};

// Prints why there is none. The device must be current.
MakeSide FindPeer(const Options& options) {
  if (!options.peer) return nullptr;
  const std::string missing = LoadTorchCuda();
  if (!missing.empty()) {
    std::printf("NO PEER, libtorch has no CUDA: %s\n", missing.c_str());
    return nullptr;
  }
  TorchPlace place;
  place.stream = UseNewTorchStream();
  place.address = [](DevicePtr address, int64_t /*bytes*/) {
    return reinterpret_cast<void*>(address);
  };
  return TorchPeer(place);
}

absl::Status Measure(const CudaBench& bench, const Options& options,
                     Report& report) {
  SingleLayers layers;
  RowGroups groups;
  DecodeSteps steps;
  if (options.quick) {
    layers.ranks = {16};
    layers.rows = {1, 16, 256, 2048};
    groups.rows = {256};
    steps.rows = {1};
  }
  PEFT_RETURN_IF_ERROR(MeasureSingleLayers(bench, layers, report));
  PEFT_RETURN_IF_ERROR(MeasureRowGroups(bench, groups, report));
  PEFT_RETURN_IF_ERROR(MeasureDecodeSteps(bench, steps, report));
  return MeasureSwitch(bench, steps, report);
}

absl::Status WriteJson(const Report& report, const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  std::FILE* const file = std::fopen(path.c_str(), "w");
  if (file == nullptr) {
    return absl::InvalidArgumentError("cannot write " + path);
  }
  std::fputs(report.Json().c_str(), file);
  return std::fclose(file) == 0
             ? absl::OkStatus()
             : absl::DataLossError("cannot write all of " + path);
}

absl::Status Run(const Driver& driver, const LtLibrary& library,
                 const Options& options) {
  PEFT_ASSIGN_OR_RETURN(const auto device, Device::Open(driver, 0));
  const DeviceScope scope(*device);
  PEFT_RETURN_IF_ERROR(scope.status());
  PEFT_ASSIGN_OR_RETURN(
      const auto kernels,
      AdapterKernels::Load(*device, kernels::cuda::KernelImage()));
  LtSettings settings;
  settings.workspace_bytes =
      kernels::cuda::DefaultWorkspaceBytes(device->capability() / 10);
  PEFT_ASSIGN_OR_RETURN(const auto handle, LtHandle::Create(library));
  GpuTimerOptions timer_options;
  timer_options.repeats = 21;
  // Long enough for the host to have launched a graph of all linears by then.
  timer_options.flush_bytes = int64_t{512} << 20;
  PEFT_ASSIGN_OR_RETURN(const auto timer,
                        GpuTimer::Create(*device, settings, timer_options));
  PlanCache cache(*handle, settings);
  Numbers numbers;
  Report report;
  report.SetTitle(absl::StrCat(device->name(), ", cuBLASLt ", library.version(),
                               ", algorithms ",
                               options.tune ? "tuned" : "of its heuristic"));
  const CudaBench bench = {*device, *kernels,          cache,       *timer,
                           numbers, FindPeer(options), options.tune};
  PEFT_RETURN_IF_ERROR(Measure(bench, options, report));
  return WriteJson(report, options.json);
}

int Main(const Options& options) {
  const auto driver = Driver::Open();
  if (!driver.ok()) {
    std::printf("SKIPPED, NOTHING WAS MEASURED: there is no GPU: %s\n",
                std::string(driver.status().message()).c_str());
    return 0;
  }
  const char* const path = std::getenv("PEFT_CUBLASLT");
  const auto library = LtLibrary::Open(path == nullptr ? "" : path);
  const absl::Status status =
      library.ok() ? Run(**driver, **library, options) : library.status();
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

// False where the arguments are wrong.
bool Parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick") {
      options.quick = true;
    } else if (argument == "--no-tune") {
      options.tune = false;
    } else if (argument == "--no-peer") {
      options.peer = false;
    } else if (argument == "--json" && i + 1 < argc) {
      options.json = argv[++i];
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace
}  // namespace peft

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
    std::printf(peft::kUsage, argv[0]);
    return 0;
  }
  peft::Options options;
  if (!peft::Parse(argc, argv, options)) {
    std::fprintf(stderr, peft::kUsage, argv[0]);
    return 2;
  }
  return peft::Main(options);
}
