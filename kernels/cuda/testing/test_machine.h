// A machine for programs that open CUDA's libraries by their paths: a fake one
// (libfake_cuda.so and libfake_cublaslt.so, which work together), or with
// PEFT_TEST_GPU in the environment the real one, where PEFT_CUBLASLT may name
// the library.
#ifndef KERNELS_CUDA_TESTING_TEST_MACHINE_H_
#define KERNELS_CUDA_TESTING_TEST_MACHINE_H_

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
class TestMachine {
 public:
  // Fails the test where the libraries, data of the target, are missing.
  TestMachine();
  ~TestMachine();
  TestMachine(const TestMachine&) = delete;
  TestMachine& operator=(const TestMachine&) = delete;

  // What CUDA is opened by; null: as without a test.
  const char* driver_path() const;
  const char* cublaslt_path() const;
  // A file that stands for the kernels' machine code: the fake device has them.
  const char* kernels_path() const;

  // False on a GPU: then it is not known what ran.
  bool is_fake() const;

  // The device as the test's own code uses it, with its context for this
  // thread.
  const DriverTable* operator->() const { return &driver_->table(); }

  // Memory of the device that is freed with the machine.
  DevicePtr Allocate(size_t bytes);
  // Both wait.
  void Write(DevicePtr to, const void* from, size_t bytes);
  void Read(DevicePtr from, void* to, size_t bytes);

  // What ran on a fake since it was asked last: the names of our kernels, a
  // line each, and how many products.
  std::string TakeKernels();
  int64_t TakeProducts();

 private:
  struct Libraries;

  void OpenFakes();

  std::unique_ptr<Driver> driver_;
  std::unique_ptr<Libraries> libraries_;
  ContextHandle context_ = nullptr;
  std::vector<DevicePtr> blocks_;
  int64_t products_ = 0;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_TESTING_TEST_MACHINE_H_
