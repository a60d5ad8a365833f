// A CUDA driver without a GPU, for tests: memory is the heap's, streams are
// queues that run when somebody waits for them, kernels are those of
// emulated_kernels.h. It is stricter than the real one: what CUDA leaves
// undefined is an error here, or gives NaN.
#ifndef KERNELS_CUDA_TESTING_FAKE_CUDA_H_
#define KERNELS_CUDA_TESTING_FAKE_CUDA_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/driver.h"
#include "kernels/cuda/testing/emulated_kernel.h"

namespace peft {
namespace kernels {
namespace cuda {

struct FakeCudaOptions {
  size_t memory = size_t{1} << 30;
  int driver_version = 13000;
  int num_devices = 1;
  int multiprocessors = 4;
  int major = 9;  // compute capability
  int minor = 0;
  // What a module holds, whatever its image is. Must outlive the fake.
  const std::vector<EmulatedKernel>* kernels = nullptr;
  // Whether modules have code for the device.
  bool has_code = true;
  // Threads and blocks run from the last to the first.
  bool backwards = false;
};

// One at a time in a process. Thread-safe, as the driver is. Destroying it
// fails the test for whatever was not freed.
class FakeCuda {
 public:
  explicit FakeCuda(const FakeCudaOptions& options = {});
  ~FakeCuda();
  FakeCuda(const FakeCuda&) = delete;
  FakeCuda& operator=(const FakeCuda&) = delete;

  // Serves Driver::FromTable.
  DriverTable table() const;
  // Driver::FromTable(table()), which must succeed.
  std::unique_ptr<Driver> driver() const;

  // For fakes of other libraries. Adds work to a stream, or to the graph that
  // it captures. False where the stream is none.
  bool Enqueue(StreamHandle stream, std::function<void()> work);
  // The host's address of `bytes` of device memory; null where they are not all
  // inside of one allocation.
  void* Resolve(DevicePtr pointer, size_t bytes) const;

  // What work has done wrong when it ran, and forgets it. A fake that is
  // destroyed with some left fails the test.
  std::vector<std::string> TakeDefects();
  void AddDefect(const std::string& text);

  // Calls of cuMemAlloc_v2 that succeed before all others fail; -1: all.
  void FailAllocationsAfter(int count);
  size_t free_bytes() const;
  // Kernels that have run, by name, in order; and forgets them.
  std::vector<std::string> TakeLaunches();

  struct State;  // known to fake_cuda*.cc

 private:
  std::unique_ptr<State> state_;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_TESTING_FAKE_CUDA_H_
