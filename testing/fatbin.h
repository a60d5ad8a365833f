// Code for GPUs as nvcc puts it into programs. Not documented by NVIDIA, and
// the same since CUDA 4.
#ifndef TESTING_FATBIN_H_
#define TESTING_FATBIN_H_

#include <cstdint>

namespace peft {

struct FatbinHeader {
  uint32_t magic;
  uint16_t version;
  uint16_t header_size;
  uint64_t size;  // of all entries, which follow
};
constexpr uint32_t kFatbinMagic = 0xba55ed50;

// What stands in front of each piece of code, as far as it matters.
struct FatbinEntry {
  uint16_t kind;
  uint16_t attributes;
  uint32_t header_size;
  uint64_t size;
  uint32_t unused[3];
  uint32_t architecture;  // 90: compute capability 9.0
};
constexpr uint16_t kPtx = 1;
constexpr uint16_t kMachineCode = 2;

}  // namespace peft

#endif  // TESTING_FATBIN_H_
