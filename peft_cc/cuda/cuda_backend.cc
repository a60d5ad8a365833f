#include "peft_cc/cuda/cuda_backend.h"

#include <cstdint>
#include <utility>

#include "kernels/cuda/kernel_image.h"
#include "kernels/cuda/lt/descriptors.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"

namespace peft {
namespace {

using kernels::cuda::AdapterKernels;
using kernels::cuda::Device;
using kernels::cuda::DeviceScope;
using kernels::cuda::Driver;
using kernels::cuda::LtHandle;
using kernels::cuda::LtLibrary;
using kernels::cuda::LtSettings;
using kernels::cuda::PlanCache;

constexpr char kSystemDriver[] = "libcuda.so.1";
constexpr uint64_t kMaxKernelBytes = uint64_t{256} << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<CudaBackend>> CudaBackend::Open(
    const CudaOptions& options) {
  PEFT_RETURN_IF_ERROR(CheckCudaOptions(options));
  std::unique_ptr<CudaBackend> backend(new CudaBackend);
  PEFT_ASSIGN_OR_RETURN(
      backend->driver_,
      Driver::Open(options.driver_path.empty() ? kSystemDriver
                                               : options.driver_path));
  PEFT_ASSIGN_OR_RETURN(backend->device_,
                        Device::Open(*backend->driver_, options.device_index));
  PEFT_RETURN_IF_ERROR(backend->OpenKernels(options.kernels_path));
  PEFT_RETURN_IF_ERROR(backend->OpenLibrary(options));
  return backend;
}

absl::Status CudaBackend::OpenKernels(const std::string& path) {
  Bytes file;
  if (!path.empty()) {
    PEFT_ASSIGN_OR_RETURN(file,
                          ReadFile(path, ReadMode::kRead, kMaxKernelBytes));
  }
  const void* const image =
      path.empty() ? kernels::cuda::KernelImage() : file.data.data();
  PEFT_ASSIGN_OR_RETURN(kernels_, AdapterKernels::Load(*device_, image));
  return absl::OkStatus();
}

absl::Status CudaBackend::OpenLibrary(const CudaOptions& options) {
  PEFT_ASSIGN_OR_RETURN(library_, LtLibrary::Open(options.cublaslt_path));
  const DeviceScope scope(*device_);
  PEFT_RETURN_IF_ERROR(scope.status());
  PEFT_ASSIGN_OR_RETURN(handle_, LtHandle::Create(*library_));
  LtSettings settings;
  settings.workspace_bytes =
      kernels::cuda::DefaultWorkspaceBytes(device_->capability() / 10);
  settings.deterministic = options.deterministic;
  plans_ = std::make_unique<PlanCache>(*handle_, settings);
  return absl::OkStatus();
}

}  // namespace peft
