// The names of the CUDA driver API that we use, declared by ourselves: so all
// code around the kernels compiles, and is tested, where CUDA is not installed.
// driver_types_test.cc holds them against the real header. Either this file or
// <cuda.h> may be included first, or both.
#ifndef KERNELS_CUDA_DRIVER_TYPES_H_
#define KERNELS_CUDA_DRIVER_TYPES_H_

#include <cstdint>

// As in <cuda.h>: these are the driver's own types.
struct CUctx_st;
struct CUevent_st;
struct CUfunc_st;
struct CUgraph_st;
struct CUgraphExec_st;
struct CUmod_st;
struct CUstream_st;

namespace peft {
namespace kernels {
namespace cuda {

// An address in the device's memory, as CUdeviceptr. Never dereferenced here.
using DevicePtr = unsigned long long;  // NOLINT: the driver's own type.
static_assert(sizeof(DevicePtr) == 8, "CUDA runs on 64-bit machines only");

// CUdevice: the number of a device.
using DeviceNumber = int;
// CUresult: 0 is success.
using Result = int;

using ContextHandle = CUctx_st*;
using EventHandle = CUevent_st*;
using FunctionHandle = CUfunc_st*;
using GraphHandle = CUgraph_st*;
using GraphExecHandle = CUgraphExec_st*;
using ModuleHandle = CUmod_st*;
using StreamHandle = CUstream_st*;  // null: the default stream

// Values of CUresult that somebody decides by.
constexpr Result kSuccess = 0;
constexpr Result kInvalidValue = 1;
constexpr Result kOutOfMemory = 2;
constexpr Result kNotInitialized = 3;
constexpr Result kNoDevice = 100;
constexpr Result kInvalidDevice = 101;
constexpr Result kInvalidImage = 200;
constexpr Result kInvalidContext = 201;
constexpr Result kNoBinaryForGpu = 209;
constexpr Result kInvalidHandle = 400;
constexpr Result kNotFound = 500;
constexpr Result kNotReady = 600;
constexpr Result kIllegalAddress = 700;
constexpr Result kCooperativeLaunchTooLarge = 720;
constexpr Result kStreamCaptureUnsupported = 900;
constexpr Result kStreamCaptureInvalidated = 901;

// CUdevice_attribute.
constexpr int kMultiprocessorCount = 16;
constexpr int kComputeCapabilityMajor = 75;
constexpr int kComputeCapabilityMinor = 76;
constexpr int kMaxSharedMemoryPerMultiprocessor = 81;
constexpr int kCooperativeLaunch = 95;
constexpr int kMaxSharedMemoryPerBlockOptin = 97;
constexpr int kReservedSharedMemoryPerBlock = 111;
// CUfunction_attribute
constexpr int kMaxDynamicSharedBytes = 8;

// CUstream_flags and CUevent_flags.
constexpr unsigned kStreamNonBlocking = 1;
constexpr unsigned kEventDefault = 0;
constexpr unsigned kEventDisableTiming = 2;
// CUstreamCaptureMode: other threads may go on calling the driver.
constexpr int kCaptureThreadLocal = 1;

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_DRIVER_TYPES_H_
