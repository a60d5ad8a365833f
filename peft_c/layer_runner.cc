// Layers of a host model run in the program's own memory.

#include "peft_c/layer_runner.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "peft_c/activation.h"
#include "peft_c/arguments.h"
#include "peft_c/layer_index.h"
#include "peft_c/model.h"
#include "peft_c/struct_size.h"
#include "peft_c/tensor.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/run_layer.h"

namespace peft {

absl::StatusOr<RunnerUse> RunnerUse::Begin(const peft_layer_runner_t* handle) {
  PEFT_ASSIGN_OR_RETURN(auto object, Lookup("runner", handle));
  if (!object->is_busy.exchange(true)) return RunnerUse(std::move(object));
  return MakeError(absl::StatusCode::kFailedPrecondition, error_id::kRunnerBusy,
                   "the runner is in use by another call that has not ended; "
                   "make one for each thread");
}

RunnerUse::~RunnerUse() {
  if (object_ == nullptr) return;
  object_->activations.clear();
  object_->plans.reset();
  object_->is_busy.store(false);
}

absl::Status RefreshRunning(LayerRunnerObject& runner) {
  if (runner.running.version == runner.model->running_version()) {
    return absl::OkStatus();
  }
  PEFT_ASSIGN_OR_RETURN(runner.running, runner.model->GetRunning());
  return absl::OkStatus();
}

namespace {

absl::Status TakeActivations(const peft_run_layer_options_t& options,
                             LayerRunnerObject& runner) {
  constexpr char kName[] = "options.activations";
  PEFT_ASSIGN_OR_RETURN(
      const auto handles,
      ArrayArgument(kName, options.activations, options.num_activations));
  PEFT_RETURN_IF_ERROR(runner.running.rows);
  for (size_t i = 0; i < handles.size(); ++i) {
    const Plan* plan = runner.running.base.get();
    if (handles[i] != nullptr) {
      std::shared_ptr<const ActivationObject> object = Find(handles[i]);
      if (object == nullptr || object->model != runner.model) {
        // Says which it is.
        PEFT_RETURN_IF_ERROR(
            Lookup(absl::StrCat(kName, "[", i, "]"), handles[i]).status());
        return BadArgument(absl::StrCat(kName, "[", i, "]"),
                           "is of another model than the runner");
      }
      if (runner.running.enabled) plan = object->held.plan.get();
      runner.activations.push_back(std::move(object));
    }
    runner.rows.push_back(plan);
  }
  return absl::OkStatus();
}

absl::Status TakeNames(const peft_run_layer_options_t& options,
                       LayerRunnerObject& runner) {
  PEFT_ASSIGN_OR_RETURN(
      const std::vector<std::string> names,
      TextArray("options.adapter_names", options.adapter_names,
                options.num_adapter_names));
  PEFT_ASSIGN_OR_RETURN(runner.plans, runner.model->PlanRows(names));
  for (size_t i = 0; i < names.size(); ++i) {
    runner.rows.push_back(&runner.plans->OfRow(static_cast<int64_t>(i)));
  }
  return absl::OkStatus();
}

// What the rows of the call run, to `runner.rows`.
absl::Status TakeRows(const peft_run_layer_options_t& options,
                      LayerRunnerObject& runner) {
  runner.rows.clear();
  if (options.expert != -1) {
    return BadArgument("options.expert",
                       absl::StrCat("is ", options.expert,
                                    ", expected -1: the layer says it"));
  }
  if (options.num_adapter_names > 0 && options.num_activations > 0) {
    return BadArgument("options.adapter_names",
                       "and options.activations are both given");
  }
  PEFT_RETURN_IF_ERROR(RefreshRunning(runner));
  if (options.num_adapter_names > 0) return TakeNames(options, runner);
  if (options.num_activations > 0) return TakeActivations(options, runner);
  runner.rows.push_back(runner.running.current.get());
  return absl::OkStatus();
}

using RunnerMode = CudaLayerMode;

absl::Status RunOnCpu(RunnerMode mode, int layer, const peft_tensor_view_t* x,
                      const peft_run_layer_options_t& options,
                      const peft_tensor_view_t* y, LayerRunnerObject& runner) {
  if (options.stream != nullptr) {
    return BadArgument("options.stream",
                       "is not NULL, and the runner is not on a CUDA device");
  }
  PEFT_ASSIGN_OR_RETURN(const ArrayView input, ReadArrayView("x", x));
  PEFT_ASSIGN_OR_RETURN(const ArrayView output, ReadArrayView("y", y));
  PEFT_ASSIGN_OR_RETURN(const WeightsGate::Use weights,
                        runner.model->UseWeights());
  PEFT_RETURN_IF_ERROR(TakeRows(options, runner));
  return mode == RunnerMode::kWhole
             ? runner.runner.Run(layer, runner.rows, input, output)
             : runner.runner.AddDelta(layer, runner.rows, input, output);
}

absl::Status RunOnCuda(RunnerMode mode, int layer, const peft_tensor_view_t* x,
                       const peft_run_layer_options_t& options,
                       const peft_tensor_view_t* y, LayerRunnerObject& runner) {
  CudaLayerRunner& cuda = *runner.cuda;
  const int device = cuda.device_index();
  PEFT_ASSIGN_OR_RETURN(const ArrayView input,
                        ReadCudaArrayView("x", x, device));
  PEFT_ASSIGN_OR_RETURN(const ArrayView output,
                        ReadCudaArrayView("y", y, device));
  PEFT_RETURN_IF_ERROR(TakeRows(options, runner));
  // What is merged is not in the weights on the device.
  PEFT_RETURN_IF_ERROR(runner.running.rows);
  const bool is_models =
      options.num_adapter_names == 0 && options.num_activations == 0;
  return cuda.Run(mode, layer, runner.rows, is_models, input, output,
                  static_cast<kernels::cuda::StreamHandle>(options.stream));
}

peft_status_t* RunLayerAs(RunnerMode mode, peft_layer_runner_t* runner,
                          int64_t layer, const peft_tensor_view_t* x,
                          const peft_run_layer_options_t* options,
                          const peft_tensor_view_t* y) {
  return Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const RunnerUse use, RunnerUse::Begin(runner));
    PEFT_ASSIGN_OR_RETURN(const int index, LayerIndex(*use->model, layer));
    peft_run_layer_options_t known = PEFT_RUN_LAYER_OPTIONS_INIT;
    PEFT_RETURN_IF_ERROR(ReadOptions(options, &known));
    const auto run = use->cuda == nullptr ? RunOnCpu : RunOnCuda;
    return run(mode, index, x, known, y, *use);
  });
}

}  // namespace
}  // namespace peft

peft_status_t* peft_model_find_layer(const peft_model_t* model,
                                     const char* name, int64_t expert,
                                     int64_t* out_layer) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_layer", out_layer));
    PEFT_ASSIGN_OR_RETURN(const auto object, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const std::string layer,
                          peft::TextArgument("name", name));
    PEFT_ASSIGN_OR_RETURN(*out_layer, object->FindLayer(layer, expert));
    return absl::OkStatus();
  });
}

peft_status_t* peft_layer_runner_create(const peft_model_t* model,
                                        peft_layer_runner_t** out_runner) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_runner", out_runner));
    PEFT_ASSIGN_OR_RETURN(auto object, peft::Lookup("model", model));
    return peft::NewHandle(
        std::make_shared<peft::LayerRunnerObject>(std::move(object)),
        out_runner);
  });
}

void peft_layer_runner_free(peft_layer_runner_t* runner) {
  peft::FreeHandle("peft_layer_runner_free", runner);
}

peft_status_t* peft_layer_runner_run(peft_layer_runner_t* runner, int64_t layer,
                                     const peft_tensor_view_t* x,
                                     const peft_run_layer_options_t* options,
                                     const peft_tensor_view_t* y) {
  return peft::RunLayerAs(peft::RunnerMode::kWhole, runner, layer, x, options,
                          y);
}

peft_status_t* peft_layer_runner_add_delta(
    peft_layer_runner_t* runner, int64_t layer, const peft_tensor_view_t* x,
    const peft_run_layer_options_t* options, const peft_tensor_view_t* y) {
  return peft::RunLayerAs(peft::RunnerMode::kDelta, runner, layer, x, options,
                          y);
}
