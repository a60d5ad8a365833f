// The fake driver's modules and kernel launches.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/testing/fake_cuda_state.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr unsigned kMaxThreads = 1024;
constexpr unsigned kMaxGrid = 65535;  // in y and z; x may be larger
// As if each thread used 128 registers.
constexpr unsigned kThreadsPerMultiprocessor = 512;
constexpr unsigned kSharedBytesForAll = 48 << 10;

const EmulatedKernel* FindKernel(FunctionHandle function,
                                 const FakeCuda::State& state) {
  if (state.options.kernels == nullptr) return nullptr;
  for (const EmulatedKernel& kernel : *state.options.kernels) {
    if (reinterpret_cast<const void*>(function) == &kernel) return &kernel;
  }
  return nullptr;
}

Result LoadModule(ModuleHandle* module, const void* image) {
  const FakeCall call;
  if (!call.HasContext()) return kInvalidContext;
  if (image == nullptr) return kInvalidImage;
  if (!call->options.has_code) return kNoBinaryForGpu;
  *module = reinterpret_cast<ModuleHandle>(
      static_cast<uintptr_t>(call->next_module++));
  call->modules.insert(*module);
  return kSuccess;
}

Result UnloadModule(ModuleHandle module) {
  return FakeCall()->modules.erase(module) == 1 ? kSuccess : kInvalidHandle;
}

Result GetFunction(FunctionHandle* function, ModuleHandle module,
                   const char* name) {
  const FakeCall call;
  if (call->modules.count(module) == 0) return kInvalidHandle;
  if (call->options.kernels == nullptr) return kNotFound;
  for (const EmulatedKernel& kernel : *call->options.kernels) {
    if (kernel.name != name) continue;
    *function = reinterpret_cast<FunctionHandle>(
        const_cast<EmulatedKernel*>(&kernel));  // an opaque handle
    return kSuccess;
  }
  return kNotFound;
}

Result SetFunctionAttribute(FunctionHandle function, int attribute, int value) {
  const FakeCall call;
  if (FindKernel(function, *call) == nullptr) return kInvalidHandle;
  if (attribute != kMaxDynamicSharedBytes) return kInvalidValue;
  if (value < 0 || value > kFakeSharedPerBlock) return kInvalidValue;
  call->shared_bytes[function] = value;
  return kSuccess;
}

// More than 48 KB of shared memory must be asked for.
bool MayHave(FunctionHandle function, unsigned shared_bytes) {
  if (shared_bytes <= kSharedBytesForAll) return true;
  const FakeCall call;
  const auto found = call->shared_bytes.find(function);
  return found != call->shared_bytes.end() &&
         shared_bytes <= static_cast<unsigned>(found->second);
}

// How many run on a multiprocessor at the same time.
unsigned BlocksAtOnce(const EmulatedLaunch& launch) {
  return std::min<unsigned>(kThreadsPerMultiprocessor / launch.threads,
                            kFakeSharedPerMultiprocessor /
                                (launch.shared_bytes + kFakeSharedReserved));
}

// Our kernels use one dimension of threads.
bool IsValid(const EmulatedLaunch& launch, unsigned block_y, unsigned block_z) {
  if (launch.grid[0] == 0 || launch.grid[1] == 0 || launch.grid[2] == 0) {
    return false;
  }
  if (launch.grid[1] > kMaxGrid || launch.grid[2] > kMaxGrid) return false;
  if (launch.threads == 0 || launch.threads > kMaxThreads) return false;
  return block_y == 1 && block_z == 1;
}

void Run(const EmulatedKernel& kernel, const EmulatedLaunch& launch,
         const std::vector<char>& parameter) {
  FakeCuda::State& state = *fake_cuda_state;
  state.clock += 1e-3;
  state.launches.push_back(kernel.name);
  const std::string error = kernel.run(launch, parameter.data());
  if (!error.empty()) state.defects.push_back(kernel.name + ": " + error);
}

Result Launch(FunctionHandle function, EmulatedLaunch launch,
              StreamHandle handle, void** parameters) {
  const FakeCall call;
  const EmulatedKernel* const kernel = FindKernel(function, *call);
  const std::shared_ptr<FakeStream> stream = call->FindStream(handle);
  if (kernel == nullptr || stream == nullptr) return kInvalidHandle;
  if (!call.HasContext()) return kInvalidContext;
  launch.backwards = call->options.backwards;
  // The driver copies parameters before it returns.
  const char* const parameter = static_cast<const char*>(parameters[0]);
  stream->Add([kernel, launch,
               copy = std::vector<char>(parameter,
                                        parameter + kernel->parameter_bytes)] {
    Run(*kernel, launch, copy);
  });
  return kSuccess;
}

Result LaunchKernel(FunctionHandle function, unsigned grid_x, unsigned grid_y,
                    unsigned grid_z, unsigned block_x, unsigned block_y,
                    unsigned block_z, unsigned shared_bytes,
                    StreamHandle stream, void** parameters, void** extra) {
  EmulatedLaunch launch = {{grid_x, grid_y, grid_z}, block_x, shared_bytes};
  if (extra != nullptr || !IsValid(launch, block_y, block_z) ||
      !MayHave(function, shared_bytes)) {
    return kInvalidValue;
  }
  return Launch(function, launch, stream, parameters);
}

Result LaunchCooperativeKernel(FunctionHandle function, unsigned grid_x,
                               unsigned grid_y, unsigned grid_z,
                               unsigned block_x, unsigned block_y,
                               unsigned block_z, unsigned shared_bytes,
                               StreamHandle stream, void** parameters) {
  EmulatedLaunch launch = {
      {grid_x, grid_y, grid_z}, block_x, shared_bytes, true};
  if (!IsValid(launch, block_y, block_z) || !MayHave(function, shared_bytes)) {
    return kInvalidValue;
  }
  const int64_t blocks = int64_t{grid_x} * grid_y * grid_z;
  const int multiprocessors = FakeCall()->options.multiprocessors;
  if (blocks > int64_t{multiprocessors} * BlocksAtOnce(launch)) {
    return kCooperativeLaunchTooLarge;
  }
  return Launch(function, launch, stream, parameters);
}

}  // namespace

void FillLaunchFunctions(DriverTable& table) {
  table.cuModuleLoadData = LoadModule;
  table.cuModuleUnload = UnloadModule;
  table.cuModuleGetFunction = GetFunction;
  table.cuFuncSetAttribute = SetFunctionAttribute;
  table.cuLaunchKernel = LaunchKernel;
  table.cuLaunchCooperativeKernel = LaunchCooperativeKernel;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
