// What kernels are made of, on the CPU: the functions of
// device/primitives_cuda.inc. Each thread of a block is a fibre that runs until
// it waits for others, so a missing wait shows as it would on a GPU.
#ifndef KERNELS_CUDA_TESTING_EMULATION_H_
#define KERNELS_CUDA_TESTING_EMULATION_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "kernels/cuda/testing/emulated_kernel.h"
#include "kernels/cuda/testing/fake_memory.h"
#include "peft_cc/base/dtype.h"

#define PEFT_DEVICE inline
#define PEFT_UNROLL
#define PEFT_UNROLL_4
#define PEFT_UNROLL_8
#define PEFT_SHARED(Type, name) \
  Type& name = *static_cast<Type*>(SharedMemory(sizeof(Type)))
#define PEFT_SHARED_BYTES(name) char* const name = SharedBytes()

namespace peft {
namespace kernels {
namespace cuda {

// Runs `body` as each thread of the launch. Returns "", or why it cannot end.
std::string RunThreads(const EmulatedLaunch& launch,
                       void (*body)(const void* argument),
                       const void* argument);

// The rest is for `body`.
int ThreadIndex();
int BlockIndex(int dimension);
int GridSize(int dimension);
void SyncThreads();
// Barriers of some threads of a block, numbered from 1 on.
void SyncAt(int barrier, int threads);
void ArriveAt(int barrier, int threads);
void SyncWarp();
bool AllInWarp(bool value);
int FromLane(int value, int lane);
int SumOfLanesBefore(int value);
// Full of NaN for each block.
void* SharedMemory(size_t bytes);
// As much as the launch asked for.
char* SharedBytes();
// Lets other threads run, which may be in other blocks.
void Pause();
// Fails the launch, with the first reason that was given.
void Fail(const std::string& reason);

// Copies happen as late as they may: where they are waited for.
void CopyAsync(void* to, const void* from, bool inside);
void CommitCopies();
void WaitForCopies(int pending);

uint32_t AddRelease(uint32_t* address, uint32_t value);
uint32_t AddRelaxed(uint32_t* address, uint32_t value);
uint32_t LoadAcquire(const uint32_t* address);
void StoreRelaxed(uint32_t* address, uint32_t value);

template <typename T>
T* Global(DevicePtr address) {
  return address == 0 ? nullptr : static_cast<T*>(HostAddress(address));
}

template <int kAlignment, typename T>
bool IsAligned(const T* address) {
  return reinterpret_cast<uintptr_t>(address) % kAlignment == 0;
}

template <int kWords>
void LoadWords(const void* from, uint32_t* to) {
  if (!IsAligned<(kWords < 4 ? kWords * 4 : 16)>(
          static_cast<const char*>(from))) {
    Fail("a load of words that are not aligned");
  }
  std::memcpy(to, from, kWords * sizeof(uint32_t));
}

template <int kWords>
void StoreWords(const uint32_t* from, void* to) {
  if (!IsAligned<16>(static_cast<char*>(to))) {
    Fail("a store of words that are not aligned");
  }
  std::memcpy(to, from, kWords * sizeof(uint32_t));
}

inline float HalfToFloat(uint16_t value) { return F16ToF32(value); }
inline uint16_t FloatToHalf(float value) { return F32ToF16(value); }
inline float BFloatToFloat(uint16_t value) { return BF16ToF32(value); }
inline uint16_t FloatToBFloat(float value) { return F32ToBF16(value); }
inline bool IsFinite(float value) { return std::isfinite(value); }
inline double SquareRoot(double value) { return std::sqrt(value); }

// The registers of a thread for mma.m16n8k16.
struct TileRegisters {
  uint32_t a[4];
  uint32_t b[2];
};
// c += a b, with `load` for the elements' type. Waits for the whole warp.
void MultiplyTileOf(const TileRegisters& registers, float (*load)(uint16_t),
                    float (&c)[4]);

template <typename Element>
void MultiplyTile(uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,
                  uint32_t b0, uint32_t b1, float (&c)[4]) {
  MultiplyTileOf({{a0, a1, a2, a3}, {b0, b1}}, Element::Load, c);
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_TESTING_EMULATION_H_
