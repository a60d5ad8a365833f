// cuBLASLt, opened when a program asks for it: it is 0.5 GB, and nothing links
// to it, so that one binary serves machines with and without a GPU.
#ifndef KERNELS_CUDA_LT_LIBRARY_H_
#define KERNELS_CUDA_LT_LIBRARY_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/cuda/lt/abi.h"

namespace peft {
namespace kernels {
namespace cuda {

// The library's functions under their own names.
struct LtTable {
#define PEFT_LT_FUNCTION(type, name, parameters) \
  type(*name) parameters = nullptr;
#include "kernels/cuda/lt/functions.inc"
  // Null where the library has none.
#include "kernels/cuda/lt/grouped_functions.inc"
#undef PEFT_LT_FUNCTION
};

// The library and its version. Immutable, thread-safe.
class LtLibrary {
 public:
  // Opens the file `path`; where it is empty, libcublasLt.so.13 or .12 as the
  // dynamic linker finds them. FAILED_PRECONDITION (CUBLASLT) where there is
  // none, with all that was tried, or where it is older than version 12.
  static absl::StatusOr<std::unique_ptr<LtLibrary>> Open(
      const std::string& path = "");

  // The process keeps the library: it does not survive dlclose.
  ~LtLibrary() = default;
  LtLibrary(const LtLibrary&) = delete;
  LtLibrary& operator=(const LtLibrary&) = delete;

  const LtTable* operator->() const { return &table_; }
  // 10000 * major + 100 * minor + patch.
  int64_t version() const { return version_; }
  // Whether it knows of products of groups; whether it has any for a device,
  // its heuristic says.
  bool has_grouped() const;
  // What was opened.
  const std::string& path() const { return path_; }

  // OK for kLtSuccess. Else the library's name of `status` after `what`, a verb
  // phrase as in "multiplying": UNIMPLEMENTED where it does not support this,
  // RESOURCE_EXHAUSTED where memory is out, INTERNAL otherwise (CUBLASLT).
  absl::Status Check(LtStatus status, absl::string_view what) const;

 private:
  LtLibrary(std::string path, const LtTable& table, int64_t version)
      : path_(std::move(path)), table_(table), version_(version) {}

  const std::string path_;
  const LtTable table_;
  const int64_t version_;
};

// The library's state for the device that is current when it is created.
// Thread-safe. Keeps the library, which must outlive it.
class LtHandle {
 public:
  // Fails with FAILED_PRECONDITION (CUBLASLT) where no device is current.
  static absl::StatusOr<std::unique_ptr<LtHandle>> Create(
      const LtLibrary& library);

  ~LtHandle();
  LtHandle(const LtHandle&) = delete;
  LtHandle& operator=(const LtHandle&) = delete;

  const LtLibrary& library() const { return library_; }
  LtHandleType get() const { return handle_; }

 private:
  LtHandle(const LtLibrary& library, LtHandleType handle)
      : library_(library), handle_(handle) {}

  const LtLibrary& library_;
  const LtHandleType handle_;
};

}  // namespace cuda
}  // namespace kernels
}  // namespace peft

#endif  // KERNELS_CUDA_LT_LIBRARY_H_
