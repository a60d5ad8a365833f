// Our declarations of the CUDA driver are the real ones: compiled with its
// header, and with --config=cuda only.

#include "kernels/cuda/driver_types.h"

#include <cuda.h>

#include <type_traits>

#include "gtest/gtest.h"
#include "kernels/cuda/driver.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

// Enumerations as the integers that they are passed as.
template <typename T, bool = std::is_enum_v<T>>
struct Plain {
  using type = T;
};
template <typename T>
struct Plain<T, true> {
  using type = int;
};
template <typename T>
struct Plain<T*, false> {
  using type = typename Plain<T>::type*;
};

template <typename Ours, typename Theirs>
constexpr bool SameParameter() {
  if (std::is_same_v<Ours, typename Plain<Theirs>::type>) return true;
  // 64-bit flags have two names, uint64_t and unsigned long long.
  return std::is_integral_v<Ours> && std::is_integral_v<Theirs> &&
         sizeof(Ours) == sizeof(Theirs) &&
         std::is_signed_v<Ours> == std::is_signed_v<Theirs>;
}

template <typename... Ours, typename... Theirs>
constexpr bool SameFunction(Result (*)(Ours...), CUresult (*)(Theirs...)) {
  if constexpr (sizeof...(Ours) == sizeof...(Theirs)) {
    return (SameParameter<Ours, Theirs>() && ...);
  }
  return false;
}

#define PEFT_CUDA_FUNCTION(name, parameters)                             \
  static_assert(SameFunction(static_cast<Result(*) parameters>(nullptr), \
                             static_cast<decltype(&::name)>(nullptr)),   \
                #name);
#include "kernels/cuda/driver_functions.inc"
#undef PEFT_CUDA_FUNCTION

static_assert(kSuccess == CUDA_SUCCESS);
static_assert(kInvalidValue == CUDA_ERROR_INVALID_VALUE);
static_assert(kOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY);
static_assert(kNotInitialized == CUDA_ERROR_NOT_INITIALIZED);
static_assert(kNoDevice == CUDA_ERROR_NO_DEVICE);
static_assert(kInvalidDevice == CUDA_ERROR_INVALID_DEVICE);
static_assert(kInvalidImage == CUDA_ERROR_INVALID_IMAGE);
static_assert(kInvalidContext == CUDA_ERROR_INVALID_CONTEXT);
static_assert(kNoBinaryForGpu == CUDA_ERROR_NO_BINARY_FOR_GPU);
static_assert(kInvalidHandle == CUDA_ERROR_INVALID_HANDLE);
static_assert(kNotFound == CUDA_ERROR_NOT_FOUND);
static_assert(kNotReady == CUDA_ERROR_NOT_READY);
static_assert(kIllegalAddress == CUDA_ERROR_ILLEGAL_ADDRESS);
static_assert(kCooperativeLaunchTooLarge ==
              CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
static_assert(kStreamCaptureUnsupported ==
              CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
static_assert(kStreamCaptureInvalidated ==
              CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
static_assert(kMaxSharedMemoryPerMultiprocessor ==
              CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
static_assert(kMaxSharedMemoryPerBlockOptin ==
              CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
static_assert(kReservedSharedMemoryPerBlock ==
              CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK);
static_assert(kMaxDynamicSharedBytes ==
              CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
static_assert(kMultiprocessorCount == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
static_assert(kComputeCapabilityMajor ==
              CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(kComputeCapabilityMinor ==
              CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(kCooperativeLaunch == CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH);
static_assert(kStreamNonBlocking == CU_STREAM_NON_BLOCKING);
static_assert(kEventDefault == CU_EVENT_DEFAULT);
static_assert(kEventDisableTiming == CU_EVENT_DISABLE_TIMING);
static_assert(kCaptureThreadLocal == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);

// Tells, on a machine with a GPU, that all functions are found under these
// names.
TEST(DriverTypesTest, OpensTheRealDriver) {
  const auto driver = Driver::Open();
  if (!driver.ok()) GTEST_SKIP() << driver.status();
  EXPECT_GE((*driver)->version(), 11040);
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft
