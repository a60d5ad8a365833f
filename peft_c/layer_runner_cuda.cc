// Runners of layers on CUDA devices.

#include <memory>
#include <string>

#include "peft_c/arguments.h"
#include "peft_c/layer_index.h"
#include "peft_c/layer_runner.h"
#include "peft_c/struct_size.h"
#include "peft_c/tensor.h"
#include "peft_cc/base/error.h"
#include "peft_cc/cuda/cuda_options.h"

namespace peft {
namespace {

// Each dtype is checked where it is known what it is for.
DType DTypeOf(int32_t value) {
  const bool is_one = value > 0 && DTypeBits(static_cast<DType>(value)) > 0;
  return is_one ? static_cast<DType>(value) : DType::kUnspecified;
}

absl::StatusOr<CudaOptions> ReadCudaOptions(
    const peft_cuda_options_t* options) {
  peft_cuda_options_t known = PEFT_CUDA_OPTIONS_INIT;
  PEFT_RETURN_IF_ERROR(ReadOptions(options, &known));
  CudaOptions result;
  result.device_index = known.device_index;
  result.dtype = DTypeOf(known.dtype);
  result.adapter_dtype = DTypeOf(known.adapter_dtype);
  PEFT_ASSIGN_OR_RETURN(
      result.deterministic,
      FlagArgument("options.deterministic", known.deterministic));
  result.max_adapters = known.max_adapters;
  result.max_rank = known.max_rank;
  result.max_activations = known.max_activations;
  result.adapter_bytes = known.adapter_bytes;
  PEFT_ASSIGN_OR_RETURN(
      result.driver_path,
      OptionalText("options.driver_path", known.driver_path, ""));
  PEFT_ASSIGN_OR_RETURN(
      result.cublaslt_path,
      OptionalText("options.cublaslt_path", known.cublaslt_path, ""));
  PEFT_ASSIGN_OR_RETURN(
      result.kernels_path,
      OptionalText("options.kernels_path", known.kernels_path, ""));
  return result;
}

absl::StatusOr<CudaLayerRunner*> CudaOf(LayerRunnerObject& runner) {
  if (runner.cuda != nullptr) return runner.cuda.get();
  return BadArgument("runner",
                     "is not on a CUDA device; make it with "
                     "peft_layer_runner_create_cuda");
}

}  // namespace
}  // namespace peft

void peft_cuda_options_init(peft_cuda_options_t* options, size_t struct_size) {
  static const peft_cuda_options_t kDefaults = PEFT_CUDA_OPTIONS_INIT;
  peft::InitStruct(kDefaults, options, struct_size);
}

peft_status_t* peft_layer_runner_create_cuda(const peft_model_t* model,
                                             const peft_cuda_options_t* options,
                                             peft_layer_runner_t** out_runner) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_runner", out_runner));
    PEFT_ASSIGN_OR_RETURN(auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const peft::CudaOptions known,
                          peft::ReadCudaOptions(options));
    auto runner = std::make_shared<peft::LayerRunnerObject>(std::move(object));
    PEFT_ASSIGN_OR_RETURN(runner->cuda, peft::CudaLayerRunner::Create(
                                            runner->model->sites(), known));
    return peft::NewHandle(std::move(runner), out_runner);
  });
}

peft_status_t* peft_layer_runner_set_weight(peft_layer_runner_t* runner,
                                            int64_t layer,
                                            const peft_tensor_view_t* weight) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const peft::RunnerUse use,
                          peft::RunnerUse::Begin(runner));
    PEFT_ASSIGN_OR_RETURN(peft::CudaLayerRunner* const cuda,
                          peft::CudaOf(*use));
    PEFT_ASSIGN_OR_RETURN(const int index,
                          peft::LayerIndex(*use->model, layer));
    PEFT_ASSIGN_OR_RETURN(
        const peft::ArrayView view,
        peft::ReadCudaArrayView("weight", weight, cuda->device_index()));
    return cuda->SetWeight(index, view);
  });
}

peft_status_t* peft_layer_runner_update(peft_layer_runner_t* runner,
                                        void* stream) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const peft::RunnerUse use,
                          peft::RunnerUse::Begin(runner));
    PEFT_ASSIGN_OR_RETURN(peft::CudaLayerRunner* const cuda,
                          peft::CudaOf(*use));
    PEFT_RETURN_IF_ERROR(peft::RefreshRunning(*use));
    PEFT_RETURN_IF_ERROR(use->running.rows);
    return cuda->Update(*use->running.current,
                        static_cast<peft::kernels::cuda::StreamHandle>(stream));
  });
}
