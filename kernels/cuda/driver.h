// The CUDA driver, opened when a program asks for it: nothing links to it, so
// that one binary serves machines with and without a GPU.
#ifndef KERNELS_CUDA_DRIVER_H_
#define KERNELS_CUDA_DRIVER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/cuda/driver_types.h"

namespace peft {
namespace kernels {
namespace cuda {

// The driver's functions under their own names. A test's fake fills it with
// its own (kernels/cuda/testing/fake_cuda.h).
struct DriverTable {
#define PEFT_CUDA_FUNCTION(name, parameters) Result(*name) parameters = nullptr;
#include "kernels/cuda/driver_functions.inc"
#undef PEFT_CUDA_FUNCTION
};

// The driver library and its version. Immutable.
class Driver {
 public:
  // Opens and initialises the driver. Fails with FAILED_PRECONDITION
  // (CUDA_DRIVER) where there is none, it is too old or finds no device.
  static absl::StatusOr<std::unique_ptr<Driver>> Open(
      const std::string& library = "libcuda.so.1");
  // The same with functions that are there already.
  static absl::StatusOr<std::unique_ptr<Driver>> FromTable(
      const DriverTable& table);

  // The process keeps the library: drivers do not survive dlclose.
  ~Driver() = default;
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  const DriverTable& table() const { return table_; }
  const DriverTable* operator->() const { return &table_; }
  // 1000 * major + 10 * minor of the newest CUDA that the driver knows.
  int version() const { return version_; }
  int num_devices() const { return num_devices_; }

  // OK for kSuccess. Else what the driver calls the error after `what`, a verb
  // phrase as in "copying adapter \"a\"": RESOURCE_EXHAUSTED (OUT_OF_MEMORY)
  // where memory is out, INTERNAL (CUDA) otherwise.
  absl::Status Check(Result result, absl::string_view what) const;

 private:
  explicit Driver(const DriverTable& table) : table_(table) {}
  absl::Status Initialize();

  DriverTable table_;
  int version_ = 0;
  int num_devices_ = 0;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_DRIVER_H_
