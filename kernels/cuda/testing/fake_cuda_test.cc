#include "kernels/cuda/testing/fake_cuda.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/driver.h"
#include "kernels/cuda/testing/emulated_kernel.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

constexpr char kImage[] = "any";

// Adds one to the byte whose host address is the parameter.
std::string AddOne(const EmulatedLaunch& launch, const void* parameter) {
  char* target = nullptr;
  std::memcpy(&target, parameter, sizeof(target));
  for (unsigned i = 0; i < launch.grid[0]; ++i) ++*target;
  return "";
}

std::string Fail(const EmulatedLaunch&, const void*) { return "it failed"; }

const std::vector<EmulatedKernel>& Kernels() {
  static const auto* const kernels = new std::vector<EmulatedKernel>{
      {"add_one", sizeof(char*), AddOne}, {"fail", sizeof(char*), Fail}};
  return *kernels;
}

class FakeCudaTest : public testing::Test {
 protected:
  FakeCudaTest() {
    EXPECT_EQ(driver()->cuDevicePrimaryCtxRetain(&context_, 0), kSuccess);
    EXPECT_EQ(driver()->cuCtxPushCurrent_v2(context_), kSuccess);
    EXPECT_EQ(driver()->cuStreamCreate(&stream_, kStreamNonBlocking), kSuccess);
  }
  ~FakeCudaTest() override {
    EXPECT_EQ(driver()->cuStreamDestroy_v2(stream_), kSuccess);
    EXPECT_EQ(driver()->cuCtxPopCurrent_v2(&context_), kSuccess);
    EXPECT_EQ(driver()->cuDevicePrimaryCtxRelease_v2(0), kSuccess);
  }

  const Driver& driver() const { return *driver_; }

  DevicePtr Allocate(size_t bytes) {
    DevicePtr pointer = 0;
    EXPECT_EQ(driver()->cuMemAlloc_v2(&pointer, bytes), kSuccess);
    return pointer;
  }
  void Free(DevicePtr pointer) {
    EXPECT_EQ(driver()->cuMemFree_v2(pointer), kSuccess);
  }

  static FakeCudaOptions Options() {
    FakeCudaOptions options;
    options.memory = 1000;
    options.kernels = &Kernels();
    return options;
  }

  FakeCuda fake_{Options()};
  const std::unique_ptr<Driver> driver_ = fake_.driver();
  ContextHandle context_ = nullptr;
  StreamHandle stream_ = nullptr;
};

TEST_F(FakeCudaTest, RunsWorkOnlyWhenSomebodyWaits) {
  const DevicePtr memory = Allocate(4);
  ASSERT_EQ(driver()->cuMemsetD8Async(memory, 7, 4, stream_), kSuccess);
  const char* const bytes = static_cast<const char*>(fake_.Resolve(memory, 4));
  EXPECT_EQ(bytes[0], '\xff');
  EXPECT_EQ(driver()->cuStreamSynchronize(stream_), kSuccess);
  EXPECT_EQ(bytes[3], 7);
  Free(memory);
}

TEST_F(FakeCudaTest, ReadsPinnedMemoryLate) {
  const DevicePtr memory = Allocate(1);
  void* pinned = nullptr;
  ASSERT_EQ(driver()->cuMemHostAlloc(&pinned, 1, 0), kSuccess);
  char* const source = static_cast<char*>(pinned);
  *source = 1;
  ASSERT_EQ(driver()->cuMemcpyHtoDAsync_v2(memory, source, 1, stream_),
            kSuccess);
  *source = 2;
  char result = 0;
  EXPECT_EQ(driver()->cuMemcpyDtoHAsync_v2(&result, memory, 1, stream_),
            kSuccess);
  EXPECT_EQ(result, 2);
  EXPECT_EQ(driver()->cuMemFreeHost(pinned), kSuccess);
  Free(memory);
}

TEST_F(FakeCudaTest, ReadsOtherMemoryAtOnce) {
  const DevicePtr memory = Allocate(1);
  char source = 1;
  ASSERT_EQ(driver()->cuMemcpyHtoDAsync_v2(memory, &source, 1, stream_),
            kSuccess);
  source = 2;
  char result = 0;
  EXPECT_EQ(driver()->cuMemcpyDtoHAsync_v2(&result, memory, 1, stream_),
            kSuccess);
  EXPECT_EQ(result, 1);
  Free(memory);
}

TEST_F(FakeCudaTest, FindsCopiesBeyondTheEnd) {
  const DevicePtr memory = Allocate(4);
  const char source[5] = {};
  ASSERT_EQ(driver()->cuMemcpyHtoDAsync_v2(memory, source, 5, stream_),
            kSuccess);
  EXPECT_EQ(driver()->cuStreamSynchronize(stream_), kSuccess);
  EXPECT_EQ(fake_.TakeDefects().size(), 1u);
  Free(memory);
}

TEST_F(FakeCudaTest, FindsWorkOnFreedMemory) {
  const DevicePtr memory = Allocate(4);
  Free(memory);
  ASSERT_EQ(driver()->cuMemsetD8Async(memory, 0, 4, stream_), kSuccess);
  EXPECT_EQ(driver()->cuStreamSynchronize(stream_), kSuccess);
  EXPECT_EQ(fake_.TakeDefects().size(), 1u);
  EXPECT_EQ(driver()->cuMemFree_v2(memory), kInvalidValue);
}

TEST_F(FakeCudaTest, RunsOutOfMemory) {
  const DevicePtr memory = Allocate(600);
  DevicePtr second = 0;
  EXPECT_EQ(driver()->cuMemAlloc_v2(&second, 401), kOutOfMemory);
  EXPECT_EQ(fake_.free_bytes(), 400u);
  Free(memory);
}

TEST_F(FakeCudaTest, StreamsDoNotWaitForEachOtherWithoutAnEvent) {
  const DevicePtr memory = Allocate(1);
  StreamHandle other = nullptr;
  EventHandle event = nullptr;
  ASSERT_EQ(driver()->cuStreamCreate(&other, kStreamNonBlocking), kSuccess);
  ASSERT_EQ(driver()->cuEventCreate(&event, kEventDisableTiming), kSuccess);
  ASSERT_EQ(driver()->cuMemsetD8Async(memory, 5, 1, stream_), kSuccess);
  ASSERT_EQ(driver()->cuEventRecord(event, stream_), kSuccess);
  char result = 0;
  ASSERT_EQ(driver()->cuMemcpyDtoHAsync_v2(&result, memory, 1, other),
            kSuccess);
  EXPECT_EQ(result, '\xff');
  ASSERT_EQ(driver()->cuStreamWaitEvent(other, event, 0), kSuccess);
  ASSERT_EQ(driver()->cuMemcpyDtoHAsync_v2(&result, memory, 1, other),
            kSuccess);
  EXPECT_EQ(result, 5);
  EXPECT_EQ(driver()->cuEventDestroy_v2(event), kSuccess);
  EXPECT_EQ(driver()->cuStreamDestroy_v2(other), kSuccess);
  Free(memory);
}

TEST_F(FakeCudaTest, PollingAnEventGetsThere) {
  EventHandle event = nullptr;
  const DevicePtr memory = Allocate(1);
  ASSERT_EQ(driver()->cuEventCreate(&event, kEventDisableTiming), kSuccess);
  ASSERT_EQ(driver()->cuMemsetD8Async(memory, 5, 1, stream_), kSuccess);
  ASSERT_EQ(driver()->cuEventRecord(event, stream_), kSuccess);
  EXPECT_EQ(driver()->cuEventQuery(event), kNotReady);
  EXPECT_EQ(driver()->cuEventQuery(event), kNotReady);
  EXPECT_EQ(driver()->cuEventQuery(event), kSuccess);
  EXPECT_EQ(driver()->cuEventDestroy_v2(event), kSuccess);
  Free(memory);
}

TEST_F(FakeCudaTest, GraphRunsWhatWasCapturedEachTimeItIsLaunched) {
  const DevicePtr memory = Allocate(1);
  FunctionHandle function = nullptr;
  ModuleHandle module = nullptr;
  ASSERT_EQ(driver()->cuModuleLoadData(&module, kImage), kSuccess);
  ASSERT_EQ(driver()->cuModuleGetFunction(&function, module, "add_one"),
            kSuccess);
  ASSERT_EQ(driver()->cuMemsetD8Async(memory, 5, 1, stream_), kSuccess);
  void* target = fake_.Resolve(memory, 1);
  void* parameters[] = {&target};
  GraphHandle graph = nullptr;
  GraphExecHandle exec = nullptr;
  ASSERT_EQ(driver()->cuStreamBeginCapture_v2(stream_, kCaptureThreadLocal),
            kSuccess);
  EXPECT_EQ(driver()->cuLaunchKernel(function, 3, 1, 1, 1, 1, 1, 0, stream_,
                                     parameters, nullptr),
            kSuccess);
  EXPECT_EQ(driver()->cuStreamSynchronize(stream_), kStreamCaptureUnsupported);
  DevicePtr more = 0;
  EXPECT_EQ(driver()->cuMemAlloc_v2(&more, 1), kStreamCaptureUnsupported);
  ASSERT_EQ(driver()->cuStreamEndCapture(stream_, &graph), kSuccess);
  ASSERT_EQ(driver()->cuGraphInstantiateWithFlags(&exec, graph, 0), kSuccess);
  target = nullptr;  // the launch has its own copy
  EXPECT_EQ(driver()->cuGraphLaunch(exec, stream_), kSuccess);
  EXPECT_EQ(driver()->cuGraphLaunch(exec, stream_), kSuccess);
  char result = 0;
  EXPECT_EQ(driver()->cuMemcpyDtoHAsync_v2(&result, memory, 1, stream_),
            kSuccess);
  EXPECT_EQ(result, 11);
  EXPECT_EQ(fake_.TakeLaunches().size(), 2u);
  EXPECT_EQ(driver()->cuGraphExecDestroy(exec), kSuccess);
  EXPECT_EQ(driver()->cuGraphDestroy(graph), kSuccess);
  EXPECT_EQ(driver()->cuModuleUnload(module), kSuccess);
  Free(memory);
}

TEST_F(FakeCudaTest, KernelsDefectIsKept) {
  FunctionHandle function = nullptr;
  ModuleHandle module = nullptr;
  ASSERT_EQ(driver()->cuModuleLoadData(&module, kImage), kSuccess);
  ASSERT_EQ(driver()->cuModuleGetFunction(&function, module, "fail"), kSuccess);
  void* target = nullptr;
  void* parameters[] = {&target};
  EXPECT_EQ(driver()->cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream_,
                                     parameters, nullptr),
            kSuccess);
  EXPECT_EQ(driver()->cuCtxSynchronize(), kSuccess);
  EXPECT_EQ(fake_.TakeDefects(), std::vector<std::string>{"fail: it failed"});
  EXPECT_EQ(driver()->cuModuleGetFunction(&function, module, "none"),
            kNotFound);
  EXPECT_EQ(driver()->cuModuleUnload(module), kSuccess);
}

TEST_F(FakeCudaTest, RefusesACooperativeLaunchThatCannotRunAtOnce) {
  FunctionHandle function = nullptr;
  ModuleHandle module = nullptr;
  ASSERT_EQ(driver()->cuModuleLoadData(&module, kImage), kSuccess);
  ASSERT_EQ(driver()->cuModuleGetFunction(&function, module, "add_one"),
            kSuccess);
  void* target = nullptr;
  void* parameters[] = {&target};
  EXPECT_EQ(driver()->cuLaunchCooperativeKernel(function, 17, 1, 1, 128, 1, 1,
                                                0, stream_, parameters),
            kCooperativeLaunchTooLarge);
  // Shared memory of 100 KB leaves room for two blocks.
  constexpr int kBytes = 100 << 10;
  const auto launch = [&](unsigned blocks) {
    return driver()->cuLaunchCooperativeKernel(function, blocks, 1, 1, 32, 1, 1,
                                               kBytes, stream_, parameters);
  };
  EXPECT_EQ(launch(9), kInvalidValue) << "it was not asked for";
  ASSERT_EQ(
      driver()->cuFuncSetAttribute(function, kMaxDynamicSharedBytes, kBytes),
      kSuccess);
  EXPECT_EQ(launch(9), kCooperativeLaunchTooLarge);
  EXPECT_EQ(driver()->cuModuleUnload(module), kSuccess);
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
