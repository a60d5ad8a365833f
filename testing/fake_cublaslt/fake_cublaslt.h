// A stand-in for cuBLASLt: a shared library with its C names that computes on
// the CPU, in host memory, and is stricter than the real one about what it is
// given. Opened by its path in place of the library:
//
//   auto fake =
//   FakeCublasLt::Open("testing/fake_cublaslt/libfake_cublaslt.so"); auto
//   library = LtLibrary::Open(fake->path());
//
// What it accepts is written down in cases.txt. Everything here is for one test
// at a time; products may run on several threads.
#ifndef TESTING_FAKE_CUBLASLT_FAKE_CUBLASLT_H_
#define TESTING_FAKE_CUBLASLT_FAKE_CUBLASLT_H_

#include <cstdint>
#include <memory>
#include <string>

// CUDA's own type.
struct CUstream_st;

namespace peft {
namespace testing {

// What a test may change. Of the fake's C interface, so of plain types.
struct FakeCublasLtSettings {
  uint64_t version = 130100;
  // Whether there is a device.
  bool device = true;
  // Whether an alpha per row of D is supported.
  bool alpha_vector = true;
  // Whether streams may share a workspace, as where their work is put in order.
  bool shared_workspaces = false;
  // Whether products of groups are: of version 13.2 and newer.
  bool grouped = true;
  // Runs `run(argument)` when its turn on the stream comes, and then
  // `drop(argument)` when it will not run again. Null: at once.
  void (*enqueue)(CUstream_st* stream, void (*run)(void*), void (*drop)(void*),
                  void* argument) = nullptr;
  // Where the host finds `bytes` at an address of the device; null where they
  // are not its memory. Null: the addresses are the host's.
  void* (*resolve)(const void* address, uint64_t bytes) = nullptr;
  // Takes what has gone wrong in a product that runs later. Null: it aborts.
  void (*defect)(const char* text) = nullptr;
};

// The fake's own functions, beside cuBLASLt's.
extern "C" {
using FakeCublasLtSet = void (*)(const FakeCublasLtSettings* settings);
// Why the last call was refused, on this thread; "" where it was not.
using FakeCublasLtReason = const char* (*)();
// Products that have run.
using FakeCublasLtRuns = int64_t (*)();
}

// The opened fake. Starts with the default settings.
class FakeCublasLt {
 public:
  // Null where the file cannot be opened; the reason is on stderr.
  static std::unique_ptr<FakeCublasLt> Open(const std::string& path);

  const std::string& path() const { return path_; }
  void Set(const FakeCublasLtSettings& settings) const { set_(&settings); }
  std::string reason() const { return reason_(); }
  int64_t runs() const { return runs_(); }

 private:
  FakeCublasLt() = default;

  std::string path_;
  FakeCublasLtSet set_ = nullptr;
  FakeCublasLtReason reason_ = nullptr;
  FakeCublasLtRuns runs_ = nullptr;
};

}  // namespace testing
}  // namespace peft

#endif  // TESTING_FAKE_CUBLASLT_FAKE_CUBLASLT_H_
