// The CUDA code of this program is what it should be, and runs where there is a
// GPU. Without one the program starts all the same, and is told so by the
// runtime, which is linked in.

#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <elf.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"
#include "testing/cuda_smoke_kernel.h"
#include "testing/fatbin.h"

namespace peft {
namespace {

static_assert(CUDART_VERSION / 10 == 1300, "nvcc is pinned to CUDA 13.0");
static_assert(CUBLAS_VER_MAJOR == 13, "the headers are those of cuBLAS 13");

// Copies a T from `offset` of `bytes`.
template <typename T>
T ReadAt(const std::string& bytes, size_t offset) {
  T value = {};
  if (offset + sizeof(value) > bytes.size()) {
    ADD_FAILURE() << "no " << sizeof(value) << " bytes at " << offset;
    return value;
  }
  std::memcpy(&value, &bytes[offset], sizeof(value));
  return value;
}

// The section of this program that holds all code for GPUs: the kernel's.
std::string FatbinSection() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const std::string program(std::istreambuf_iterator<char>(file), {});
  const auto elf = ReadAt<Elf64_Ehdr>(program, 0);
  const auto section = [&](size_t i) {
    return ReadAt<Elf64_Shdr>(program, elf.e_shoff + i * sizeof(Elf64_Shdr));
  };
  const Elf64_Shdr names = section(elf.e_shstrndx);
  for (size_t i = 0; i < elf.e_shnum; ++i) {
    const size_t name = names.sh_offset + section(i).sh_name;
    if (std::strcmp(&program.at(name), ".nv_fatbin") != 0) continue;
    return program.substr(section(i).sh_offset, section(i).sh_size);
  }
  return "";
}

// "" where there is a GPU, else why there is none.
std::string WhyNoGpu() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    return std::string(cudaGetErrorName(error)) + ": " +
           cudaGetErrorString(error);
  }
  return count > 0 ? "" : "the driver knows no device";
}

TEST(CudaSmokeTest, HasMachineCodeForHopperAndPtx) {
  const std::string section = FatbinSection();
  const auto header = ReadAt<FatbinHeader>(section, 0);
  ASSERT_EQ(header.magic, kFatbinMagic);
  const auto first = ReadAt<FatbinEntry>(section, header.header_size);
  const auto second = ReadAt<FatbinEntry>(
      section, header.header_size + first.header_size + first.size);
  EXPECT_EQ(first.kind, kMachineCode);
  EXPECT_EQ(first.architecture, 90u);
  EXPECT_EQ(second.kind, kPtx);
  EXPECT_EQ(second.architecture, 90u);
  // ptxas leaves its options in the machine code.
  EXPECT_NE(section.find("-arch sm_90a "), std::string::npos);
}

TEST(CudaSmokeTest, TellsWhetherThereIsAGpu) {
  int count = -1;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess) {
    EXPECT_GE(count, 0);
    return;
  }
  EXPECT_TRUE(error == cudaErrorNoDevice ||
              error == cudaErrorInsufficientDriver)
      << WhyNoGpu();
}

TEST(CudaSmokeTest, RunsAKernel) {
  const std::string reason = WhyNoGpu();
  if (!reason.empty()) GTEST_SKIP() << "no GPU: " << reason;
  constexpr int kSize = 1000;
  void* memory = nullptr;
  ASSERT_EQ(cudaMallocManaged(&memory, 3 * kSize * sizeof(__nv_bfloat16)),
            cudaSuccess);
  auto* const values = static_cast<__nv_bfloat16*>(memory);
  for (int i = 0; i < 2 * kSize; ++i) {
    values[i] = __float2bfloat16(static_cast<float>(i % 100));
  }
  EXPECT_EQ(LaunchAdd(values, values + kSize, values + 2 * kSize, kSize),
            cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  for (int i = 0; i < kSize; ++i) {
    EXPECT_EQ(__bfloat162float(values[2 * kSize + i]), 2.0f * (i % 100)) << i;
  }
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
}

// cuBLASLt is half a gigabyte: it is never linked, but looked for at run time.
TEST(CudaSmokeTest, FindsCublasLtWhereItIs) {
  void* const library = dlopen("libcublasLt.so.13", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) GTEST_SKIP() << dlerror();
  const auto version = reinterpret_cast<decltype(&cublasLtGetVersion)>(
      dlsym(library, "cublasLtGetVersion"));
  ASSERT_NE(version, nullptr);
  EXPECT_GE(version(), 130000u);
  dlclose(library);
}

}  // namespace
}  // namespace peft
