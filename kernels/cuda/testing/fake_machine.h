// A machine with a fake GPU for programs that open CUDA's libraries by their
// paths: libfake_cuda.so and libfake_cublaslt.so, which work together.
#ifndef KERNELS_CUDA_TESTING_FAKE_MACHINE_H_
#define KERNELS_CUDA_TESTING_FAKE_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/driver.h"

namespace peft {
namespace kernels {
namespace cuda {

// For the length of a test. What was done wrong on the device fails it. One at
// a time in a process, as there is one device.
class FakeMachine {
 public:
  // Fails the test where the libraries, data of the target, are missing.
  FakeMachine();
  ~FakeMachine();
  FakeMachine(const FakeMachine&) = delete;
  FakeMachine& operator=(const FakeMachine&) = delete;

  const char* driver_path() const;
  const char* cublaslt_path() const;
  // A file that stands for the kernels' machine code: the device has them.
  const char* kernels_path() const;

  // The device as the test's own code uses it, with its context for this
  // thread.
  const DriverTable* operator->() const { return &driver_->table(); }

  // Memory of the device that is freed with the machine.
  DevicePtr Allocate(size_t bytes);
  // Both wait.
  void Write(DevicePtr to, const void* from, size_t bytes);
  void Read(DevicePtr from, void* to, size_t bytes);

  // What ran since it was asked last: the names of our kernels, a line each,
  // and how many products.
  std::string TakeKernels();
  int64_t TakeProducts();
  // What was done wrong, and forgets it: for tests that expect it.
  std::string TakeDefects();

 private:
  struct Libraries;

  std::unique_ptr<Driver> driver_;
  std::unique_ptr<Libraries> libraries_;
  ContextHandle context_ = nullptr;
  std::vector<DevicePtr> blocks_;
  int64_t products_ = 0;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_TESTING_FAKE_MACHINE_H_
