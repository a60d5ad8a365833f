#include "kernels/cuda/driver.h"

#include <dlfcn.h>

#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

// Graphs are instantiated with flags since then.
constexpr int kOldestVersion = 11040;

absl::Status DriverError(absl::string_view message,
                         const ErrorDetails& details = {}) {
  return MakeError(absl::StatusCode::kFailedPrecondition, error_id::kCudaDriver,
                   message, details);
}

std::string VersionText(int version) {
  return absl::StrFormat("%d.%d", version / 1000, version % 1000 / 10);
}

// Why dlopen or dlsym has failed.
std::string LoaderMessage() {
  const char* const text = dlerror();
  return text == nullptr ? "no reason given" : text;
}

// Where the table has each function.
struct TableEntry {
  const char* name;
  size_t offset;
};
constexpr TableEntry kFunctions[] = {
#define PEFT_CUDA_FUNCTION(name, parameters) \
  {#name, offsetof(DriverTable, name)},
#include "kernels/cuda/driver_functions.inc"
#undef PEFT_CUDA_FUNCTION
};

// Finds the functions of the opened `library`.
absl::Status FindFunctions(void* library, const std::string& path,
                           DriverTable& table) {
  for (const TableEntry& entry : kFunctions) {
    void* const function = dlsym(library, entry.name);
    if (function == nullptr) {
      return DriverError(
          absl::StrCat(path, " has no ", entry.name,
                       ": the CUDA driver is too old, CUDA ",
                       VersionText(kOldestVersion),
                       " or newer is needed; update NVIDIA's driver"),
          {entry.name, VersionText(kOldestVersion), ""});
    }
    std::memcpy(reinterpret_cast<char*>(&table) + entry.offset, &function,
                sizeof(function));
  }
  return absl::OkStatus();
}

// "CUDA_ERROR_OUT_OF_MEMORY (out of memory)", or the number.
std::string ResultText(const DriverTable& table, Result result) {
  const char* name = nullptr;
  if (table.cuGetErrorName(result, &name) != kSuccess || name == nullptr) {
    return absl::StrCat("CUDA error ", result);
  }
  const char* text = nullptr;
  if (table.cuGetErrorString(result, &text) != kSuccess || text == nullptr) {
    return name;
  }
  return absl::StrCat(name, " (", text, ")");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Driver>> Driver::Open(
    const std::string& library) {
  void* const handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return DriverError(
        absl::StrCat("no CUDA driver: ", LoaderMessage(),
                     "; install NVIDIA's driver, or run on the CPU"));
  }
  DriverTable table;
  PEFT_RETURN_IF_ERROR(FindFunctions(handle, library, table));
  return FromTable(table);
}

absl::StatusOr<std::unique_ptr<Driver>> Driver::FromTable(
    const DriverTable& table) {
  std::unique_ptr<Driver> driver(new Driver(table));
  PEFT_RETURN_IF_ERROR(driver->Initialize());
  return driver;
}

absl::Status Driver::Initialize() {
  const Result result = table_.cuInit(0);
  if (result != kSuccess) {
    return DriverError(absl::StrCat(
        "the CUDA driver does not start: ", ResultText(table_, result),
        "; is there an NVIDIA GPU, and may this process use it?"));
  }
  PEFT_RETURN_IF_ERROR(Check(table_.cuDriverGetVersion(&version_),
                             "asking the CUDA driver for its version"));
  if (version_ < kOldestVersion) {
    return DriverError(
        absl::StrCat("the CUDA driver is too old: it knows CUDA ",
                     VersionText(version_), ", ", VersionText(kOldestVersion),
                     " or newer is needed; update NVIDIA's driver"),
        {"", VersionText(kOldestVersion), VersionText(version_)});
  }
  PEFT_RETURN_IF_ERROR(
      Check(table_.cuDeviceGetCount(&num_devices_), "counting CUDA devices"));
  if (num_devices_ > 0) return absl::OkStatus();
  return DriverError(
      "the CUDA driver finds no device; look at nvidia-smi and "
      "CUDA_VISIBLE_DEVICES");
}

absl::Status Driver::Check(Result result, absl::string_view what) const {
  if (result == kSuccess) return absl::OkStatus();
  const std::string message =
      absl::StrCat(what, ": ", ResultText(table_, result));
  if (result == kOutOfMemory) {
    return MakeError(absl::StatusCode::kResourceExhausted,
                     error_id::kOutOfMemory, message);
  }
  return MakeError(absl::StatusCode::kInternal, error_id::kCuda, message);
}

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
