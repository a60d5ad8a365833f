// The fake driver's memory: allocations and copies.

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/testing/fake_cuda_state.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

// Runs in its turn; `what` names it in a defect.
Result Enqueue(StreamHandle handle, const char* what,
               std::function<bool(FakeCuda::State&)> work) {
  const FakeCall call;
  const std::shared_ptr<FakeStream> stream = call->FindStream(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (!call.HasContext()) return kInvalidContext;
  stream->Add([what, work = std::move(work)] {
    FakeCuda::State& state = *fake_cuda_state;
    state.clock += 1e-3;
    if (work(state)) return;
    state.defects.push_back(std::string(what) +
                            " outside of an allocation, or in a freed one");
  });
  return kSuccess;
}

Result Allocate(DevicePtr* pointer, size_t bytes) {
  const FakeCall call;
  if (!call.HasContext()) return kInvalidContext;
  if (call->IsCapturing()) return kStreamCaptureUnsupported;
  if (bytes == 0) return kInvalidValue;
  if (call->allocations_left == 0) return kOutOfMemory;
  *pointer = call->memory.Allocate(bytes);
  if (*pointer == 0) return kOutOfMemory;
  if (call->allocations_left > 0) --call->allocations_left;
  return kSuccess;
}

Result Free(DevicePtr pointer) {
  const FakeCall call;
  if (!call.HasContext()) return kInvalidContext;
  if (call->IsCapturing()) return kStreamCaptureUnsupported;
  // The real one waits for the device, too.
  call->RunAll();
  return call->memory.Free(pointer) ? kSuccess : kInvalidValue;
}

Result GetMemoryInfo(size_t* free, size_t* total) {
  const FakeCall call;
  if (!call.HasContext()) return kInvalidContext;
  *free = call->memory.free_bytes();
  *total = call->memory.capacity();
  return kSuccess;
}

Result AllocatePinned(void** pointer, size_t bytes, unsigned flags) {
  const FakeCall call;
  if (!call.HasContext()) return kInvalidContext;
  if (bytes == 0 || flags != 0) return kInvalidValue;
  *pointer = call->memory.AllocatePinned(bytes);
  return *pointer == nullptr ? kOutOfMemory : kSuccess;
}

Result FreePinned(void* pointer) {
  const FakeCall call;
  call->RunAll();
  return call->memory.FreePinned(pointer) ? kSuccess : kInvalidValue;
}

// memcpy to device memory. False where it does not fit.
bool CopyTo(DevicePtr to, const void* from, size_t bytes,
            FakeCuda::State& state) {
  void* const target = state.memory.Resolve(to, bytes);
  if (target == nullptr) return false;
  if (bytes > 0) std::memcpy(target, from, bytes);
  return true;
}

// Pinned memory is read when the copy's turn comes. Other memory is read at
// once, as the driver stages it, but by a graph whenever that is launched.
Result CopyHostToDevice(DevicePtr to, const void* from, size_t bytes,
                        StreamHandle stream) {
  const FakeCall call;
  static constexpr char kWhat[] = "a copy to the device";
  if (call->memory.IsPinned(from, bytes)) {
    return Enqueue(stream, kWhat, [=](FakeCuda::State& state) {
      return state.memory.IsPinned(from, bytes) &&
             CopyTo(to, from, bytes, state);
    });
  }
  if (call->IsCapturing()) return kStreamCaptureUnsupported;
  const char* const start = static_cast<const char*>(from);
  std::vector<char> staged(start, start + bytes);
  return Enqueue(stream, kWhat,
                 [to, staged = std::move(staged)](FakeCuda::State& state) {
                   return CopyTo(to, staged.data(), staged.size(), state);
                 });
}

// Into memory that is not pinned the driver copies before it returns.
Result CopyDeviceToHost(void* to, DevicePtr from, size_t bytes,
                        StreamHandle handle) {
  const FakeCall call;
  const bool pinned = call->memory.IsPinned(to, bytes);
  if (!pinned && call->IsCapturing()) return kStreamCaptureUnsupported;
  const Result result =
      Enqueue(handle, "a copy from the device", [=](FakeCuda::State& state) {
        const void* const source = state.memory.Resolve(from, bytes);
        if (source == nullptr) return false;
        std::memcpy(to, source, bytes);
        return true;
      });
  if (result == kSuccess && !pinned) call->FindStream(handle)->RunAll();
  return result;
}

Result CopyOnDevice(DevicePtr to, DevicePtr from, size_t bytes,
                    StreamHandle stream) {
  return Enqueue(stream, "a copy on the device", [=](FakeCuda::State& state) {
    const void* const source = state.memory.Resolve(from, bytes);
    return source != nullptr && CopyTo(to, source, bytes, state);
  });
}

Result SetBytes(DevicePtr pointer, unsigned char value, size_t bytes,
                StreamHandle stream) {
  return Enqueue(stream, "setting memory", [=](FakeCuda::State& state) {
    void* const target = state.memory.Resolve(pointer, bytes);
    if (target == nullptr) return false;
    std::memset(target, value, bytes);
    return true;
  });
}

}  // namespace

void FillMemoryFunctions(DriverTable& table) {
  table.cuMemAlloc_v2 = Allocate;
  table.cuMemFree_v2 = Free;
  table.cuMemGetInfo_v2 = GetMemoryInfo;
  table.cuMemHostAlloc = AllocatePinned;
  table.cuMemFreeHost = FreePinned;
  table.cuMemcpyHtoDAsync_v2 = CopyHostToDevice;
  table.cuMemcpyDtoHAsync_v2 = CopyDeviceToHost;
  table.cuMemcpyDtoDAsync_v2 = CopyOnDevice;
  table.cuMemsetD8Async = SetBytes;
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
