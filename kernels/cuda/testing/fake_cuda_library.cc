// libfake_cuda.so: the fake driver as a library under the driver's own names,
// for programs that open one by its path. Its device has our kernels.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/testing/emulated_kernels.h"
#include "kernels/cuda/testing/fake_cuda.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

FakeCuda* fake = nullptr;  // lives as long as the process
std::string text;          // of TakeText

const char* TakeText(const std::vector<std::string>& lines) {
  text.clear();
  for (const std::string& line : lines) text += line + "\n";
  return text.c_str();
}

}  // namespace
}  // namespace cuda
}  // namespace kernels
}  // namespace peft

using namespace peft::kernels::cuda;  // NOLINT: as the driver's users see it.

// Each function jumps to the fake's: so it needs no names of its parameters.
#define PEFT_CUDA_FUNCTION(name, parameters)                        \
  extern "C" {                                                      \
  __attribute__((visibility("hidden"), used))                       \
  Result(*peft_slot_##name) parameters = nullptr;                   \
  }                                                                 \
  asm(".text\n.globl " #name "\n.type " #name ", @function\n" #name \
      ":\n\tjmp *peft_slot_" #name "(%rip)\n");
#include "kernels/cuda/driver_functions.inc"
#undef PEFT_CUDA_FUNCTION

extern "C" {

__attribute__((constructor)) void StartFakeCuda() {
  FakeCudaOptions options;
  options.kernels = &EmulatedKernels();
  fake = new FakeCuda(options);
  const DriverTable table = fake->table();
#define PEFT_CUDA_FUNCTION(name, parameters) peft_slot_##name = table.name;
#include "kernels/cuda/driver_functions.inc"
#undef PEFT_CUDA_FUNCTION
}

void peft_fake_cuda_enqueue(CUstream_st* stream, void (*run)(void*),
                            void (*drop)(void*), void* argument) {
  const std::shared_ptr<void> owned(argument, drop);
  if (!fake->Enqueue(stream, [run, owned] { run(owned.get()); })) {
    fake->AddDefect("a product is on a stream that does not exist");
  }
}

void* peft_fake_cuda_resolve(const void* address, uint64_t bytes) {
  return fake->Resolve(reinterpret_cast<DevicePtr>(address), bytes);
}

void peft_fake_cuda_add_defect(const char* what) { fake->AddDefect(what); }

const char* peft_fake_cuda_take_defects() {
  return TakeText(fake->TakeDefects());
}

const char* peft_fake_cuda_take_launches() {
  return TakeText(fake->TakeLaunches());
}

}  // extern "C"
