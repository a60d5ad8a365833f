#include "kernels/cuda/lt/library.h"

#include <dlfcn.h>

#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace kernels {
namespace cuda {
namespace {

// Newest first. Versions 12 and 13 are the same in all that we call.
constexpr const char* kNames[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
constexpr int64_t kOldestVersion = 120000;
constexpr int64_t kOldestGroupedVersion = 130200;

absl::Status LibraryError(absl::string_view message,
                          const ErrorDetails& details = {}) {
  return MakeError(absl::StatusCode::kFailedPrecondition, error_id::kCublasLt,
                   message, details);
}

std::string VersionText(int64_t version) {
  return absl::StrFormat("%d.%d.%d", version / 10000, version / 100 % 100,
                         version % 100);
}

// Opens `path`, or adds to `tried` why it cannot be.
void* OpenFile(const std::string& path, std::string* tried) {
  void* const file = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (file != nullptr) return file;
  const char* const reason = dlerror();
  absl::StrAppend(tried, tried->empty() ? "" : "; ",
                  reason == nullptr ? path.c_str() : reason);
  return nullptr;
}

// Where the table has each function.
struct TableEntry {
  const char* name;
  size_t offset;
  bool is_needed;
};
constexpr TableEntry kFunctions[] = {
#define PEFT_LT_FUNCTION(type, name, parameters) \
  {#name, offsetof(LtTable, name), true},
#include "kernels/cuda/lt/functions.inc"
#undef PEFT_LT_FUNCTION
#define PEFT_LT_FUNCTION(type, name, parameters) \
  {#name, offsetof(LtTable, name), false},
#include "kernels/cuda/lt/grouped_functions.inc"
#undef PEFT_LT_FUNCTION
};

absl::StatusOr<LtTable> FindFunctions(void* file, const std::string& path) {
  LtTable table;
  for (const TableEntry& entry : kFunctions) {
    void* const function = dlsym(file, entry.name);
    if (function == nullptr && entry.is_needed) {
      return LibraryError(
          absl::StrCat(path, " has no ", entry.name,
                       ": it is not cuBLASLt, or older than version ",
                       VersionText(kOldestVersion)),
          {entry.name, VersionText(kOldestVersion), ""});
    }
    std::memcpy(reinterpret_cast<char*>(&table) + entry.offset, &function,
                sizeof(function));
  }
  return table;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LtLibrary>> LtLibrary::Open(
    const std::string& path) {
  std::string tried;
  std::string opened = path;
  void* file = nullptr;
  if (!path.empty()) {
    file = OpenFile(path, &tried);
  } else {
    for (const char* name : kNames) {
      if (file == nullptr) file = OpenFile(opened = name, &tried);
    }
  }
  if (file == nullptr) {
    return LibraryError(
        absl::StrCat("cuBLASLt was not found (", tried,
                     "); install CUDA 12 or 13 or NVIDIA's wheel nvidia-cublas "
                     "and name its folder in LD_LIBRARY_PATH"));
  }
  PEFT_ASSIGN_OR_RETURN(const LtTable table, FindFunctions(file, opened));
  const int64_t version = static_cast<int64_t>(table.cublasLtGetVersion());
  if (version < kOldestVersion) {
    return LibraryError(
        absl::StrCat(opened, " is version ", VersionText(version),
                     ", expected ", VersionText(kOldestVersion),
                     " or newer; update CUDA"),
        {opened, VersionText(kOldestVersion), VersionText(version)});
  }
  return absl::WrapUnique(new LtLibrary(std::move(opened), table, version));
}

bool LtLibrary::has_grouped() const {
  return table_.cublasLtGroupedMatrixLayoutInit_internal != nullptr &&
         version_ >= kOldestGroupedVersion;
}

absl::Status LtLibrary::Check(LtStatus status, absl::string_view what) const {
  if (status == kLtSuccess) return absl::OkStatus();
  absl::StatusCode code = absl::StatusCode::kInternal;
  if (status == kLtNotSupported) code = absl::StatusCode::kUnimplemented;
  if (status == kLtAllocFailed) code = absl::StatusCode::kResourceExhausted;
  return MakeError(
      code, error_id::kCublasLt,
      absl::StrCat(what, ": ", table_.cublasLtGetStatusName(status),
                   " from cuBLASLt ", VersionText(version_)));
}

absl::StatusOr<std::unique_ptr<LtHandle>> LtHandle::Create(
    const LtLibrary& library) {
  LtHandleType handle = nullptr;
  const LtStatus status = library->cublasLtCreate(&handle);
  if (status == kLtNotInitialized) {
    return LibraryError(
        "cuBLASLt finds no device: make a CUDA context current first");
  }
  PEFT_RETURN_IF_ERROR(library.Check(status, "starting cuBLASLt"));
  return absl::WrapUnique(new LtHandle(library, handle));
}

LtHandle::~LtHandle() { library_->cublasLtDestroy(handle_); }

}  // namespace cuda
}  // namespace kernels
}  // namespace peft
