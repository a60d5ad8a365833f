#include "kernels/cuda/testing/fake_cuda.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "gtest/gtest.h"
#include "kernels/cuda/testing/fake_cuda_state.h"

namespace peft {
namespace kernels {
namespace cuda {

FakeCuda::State* fake_cuda_state = nullptr;

namespace {

// The only context, whatever the device.
char context_target;
ContextHandle TheContext() {
  return reinterpret_cast<ContextHandle>(&context_target);
}

std::vector<ContextHandle>& ContextStack() {
  thread_local std::vector<ContextHandle> stack;
  return stack;
}

bool IsDevice(DeviceNumber device, const FakeCuda::State& state) {
  return 0 <= device && device < state.options.num_devices;
}

Result Init(unsigned flags) {
  const FakeCall call;
  if (flags != 0) return kInvalidValue;
  return call->options.num_devices > 0 ? kSuccess : kNoDevice;
}

Result GetDriverVersion(int* version) {
  *version = FakeCall()->options.driver_version;
  return kSuccess;
}

Result GetErrorName(Result result, const char** name) {
  static const std::map<Result, const char*> names = {
      {kInvalidValue, "CUDA_ERROR_INVALID_VALUE"},
      {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"},
      {kNoDevice, "CUDA_ERROR_NO_DEVICE"},
      {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT"},
      {kInvalidHandle, "CUDA_ERROR_INVALID_HANDLE"},
      {kNotFound, "CUDA_ERROR_NOT_FOUND"},
      {kNotReady, "CUDA_ERROR_NOT_READY"},
      {kStreamCaptureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"},
  };
  const auto found = names.find(result);
  *name = found == names.end() ? nullptr : found->second;
  return found == names.end() ? kInvalidValue : kSuccess;
}

Result GetErrorString(Result result, const char** text) {
  const char* name = nullptr;
  *text = "as the fake driver says";
  return GetErrorName(result, &name);
}

Result GetDeviceCount(int* count) {
  *count = FakeCall()->options.num_devices;
  return kSuccess;
}

Result GetDevice(DeviceNumber* device, int ordinal) {
  const FakeCall call;
  if (!IsDevice(ordinal, *call)) return kInvalidDevice;
  *device = ordinal;
  return kSuccess;
}

Result GetDeviceName(char* name, int size, DeviceNumber device) {
  const FakeCall call;
  constexpr char kName[] = "Fake GPU";
  if (!IsDevice(device, *call)) return kInvalidDevice;
  if (size < static_cast<int>(sizeof(kName))) return kInvalidValue;
  std::memcpy(name, kName, sizeof(kName));
  return kSuccess;
}

Result GetDeviceAttribute(int* value, int attribute, DeviceNumber device) {
  const FakeCall call;
  if (!IsDevice(device, *call)) return kInvalidDevice;
  const std::map<int, int> values = {
      {kMaxSharedMemoryPerMultiprocessor, kFakeSharedPerMultiprocessor},
      {kMaxSharedMemoryPerBlockOptin, kFakeSharedPerBlock},
      {kReservedSharedMemoryPerBlock, kFakeSharedReserved},
      {kMultiprocessorCount, call->options.multiprocessors},
      {kComputeCapabilityMajor, call->options.major},
      {kComputeCapabilityMinor, call->options.minor},
      {kCooperativeLaunch, 1},
  };
  const auto found = values.find(attribute);
  if (found == values.end()) return kInvalidValue;
  *value = found->second;
  return kSuccess;
}

Result RetainContext(ContextHandle* context, DeviceNumber device) {
  const FakeCall call;
  if (!IsDevice(device, *call)) return kInvalidDevice;
  ++call->retained;
  *context = TheContext();
  return kSuccess;
}

Result ReleaseContext(DeviceNumber device) {
  const FakeCall call;
  if (!IsDevice(device, *call)) return kInvalidDevice;
  if (call->retained == 0) return kInvalidContext;
  --call->retained;
  return kSuccess;
}

Result PushContext(ContextHandle context) {
  const FakeCall call;
  if (context != TheContext() || call->retained == 0) return kInvalidContext;
  ContextStack().push_back(context);
  return kSuccess;
}

Result PopContext(ContextHandle* context) {
  std::vector<ContextHandle>& stack = ContextStack();
  if (stack.empty()) return kInvalidContext;
  *context = stack.back();
  stack.pop_back();
  return kSuccess;
}

Result SynchronizeContext() {
  const FakeCall call;
  if (!call.HasContext()) return kInvalidContext;
  if (call->IsCapturing()) return kStreamCaptureUnsupported;
  call->RunAll();
  return kSuccess;
}

// "2 streams, ", or "".
std::string Count(size_t count, const char* what) {
  return count == 0 ? "" : std::to_string(count) + " " + what + ", ";
}

}  // namespace

void FillDeviceFunctions(DriverTable& table) {
  table.cuInit = Init;
  table.cuDriverGetVersion = GetDriverVersion;
  table.cuGetErrorName = GetErrorName;
  table.cuGetErrorString = GetErrorString;
  table.cuDeviceGetCount = GetDeviceCount;
  table.cuDeviceGet = GetDevice;
  table.cuDeviceGetName = GetDeviceName;
  table.cuDeviceGetAttribute = GetDeviceAttribute;
  table.cuDevicePrimaryCtxRetain = RetainContext;
  table.cuDevicePrimaryCtxRelease_v2 = ReleaseContext;
  table.cuCtxPushCurrent_v2 = PushContext;
  table.cuCtxPopCurrent_v2 = PopContext;
  table.cuCtxSynchronize = SynchronizeContext;
}

bool FakeCall::HasContext() const { return !ContextStack().empty(); }

std::shared_ptr<FakeStream> FakeCuda::State::FindStream(
    StreamHandle handle) const {
  if (handle == nullptr) return default_stream;
  const auto found = streams.find(handle);
  return found == streams.end() ? nullptr : found->second;
}

FakeEvent* FakeCuda::State::FindEvent(EventHandle handle) const {
  const auto found = events.find(handle);
  return found == events.end() ? nullptr : found->second.get();
}

bool FakeCuda::State::IsCapturing() const {
  return std::any_of(streams.begin(), streams.end(), [](const auto& entry) {
    return entry.second->capture() != nullptr;
  });
}

void FakeCuda::State::RunAll() {
  default_stream->RunAll();
  for (const auto& [handle, stream] : streams) stream->RunAll();
}

std::string FakeCuda::State::Leaks() const {
  return Count(memory.num_allocations(), "allocations") +
         Count(streams.size(), "streams") + Count(events.size(), "events") +
         Count(graphs.size(), "graphs") +
         Count(execs.size(), "graphs to launch") +
         Count(modules.size(), "modules") + Count(retained, "contexts");
}

FakeCuda::FakeCuda(const FakeCudaOptions& options)
    : state_(std::make_unique<State>(options)) {
  assert(fake_cuda_state == nullptr);
  fake_cuda_state = state_.get();
}

FakeCuda::~FakeCuda() {
  const std::string leaks = state_->Leaks();
  EXPECT_EQ(leaks, "") << "not freed on the fake device";
  for (const std::string& defect : TakeDefects()) ADD_FAILURE() << defect;
  fake_cuda_state = nullptr;
}

DriverTable FakeCuda::table() const {
  DriverTable table;
  FillDeviceFunctions(table);
  FillMemoryFunctions(table);
  FillStreamFunctions(table);
  FillLaunchFunctions(table);
  return table;
}

std::unique_ptr<Driver> FakeCuda::driver() const {
  auto driver = Driver::FromTable(table());
  EXPECT_TRUE(driver.ok()) << driver.status();
  return driver.ok() ? *std::move(driver) : nullptr;
}

bool FakeCuda::Enqueue(StreamHandle stream, std::function<void()> work) {
  const FakeCall call;
  const std::shared_ptr<FakeStream> found = call->FindStream(stream);
  if (found == nullptr) return false;
  found->Add([work = std::move(work)] {
    fake_cuda_state->clock += 1e-3;
    work();
  });
  return true;
}

void* FakeCuda::Resolve(DevicePtr pointer, size_t bytes) const {
  return FakeCall()->memory.Resolve(pointer, bytes);
}

std::vector<std::string> FakeCuda::TakeDefects() {
  return std::exchange(FakeCall()->defects, {});
}

void FakeCuda::AddDefect(const std::string& text) {
  FakeCall()->defects.push_back(text);
}

void FakeCuda::FailAllocationsAfter(int count) {
  FakeCall()->allocations_left = count;
}

size_t FakeCuda::free_bytes() const { return FakeCall()->memory.free_bytes(); }

std::vector<std::string> FakeCuda::TakeLaunches() {
  return std::exchange(FakeCall()->launches, {});
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
