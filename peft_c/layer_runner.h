// Runners of layers at the C ABI.
#ifndef PEFT_C_LAYER_RUNNER_H_
#define PEFT_C_LAYER_RUNNER_H_

#include <atomic>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "peft_c/activation.h"
#include "peft_c/handle.h"
#include "peft_c/model.h"
#include "peft_c/peft_c.h"
#include "peft_cc/cuda/cuda_layer_runner.h"
#include "peft_cc/models/run_layer.h"

namespace peft {

// What a runner handle stands for. What it keeps between calls is there so that
// calls allocate nothing.
struct LayerRunnerObject {
  explicit LayerRunnerObject(std::shared_ptr<Model> its_model)
      : model(std::move(its_model)), runner(model->sites(), model->pool()) {}

  const std::shared_ptr<Model> model;  // outlives the runner
  LayerRunner runner;
  std::unique_ptr<CudaLayerRunner> cuda;  // null: it is on the CPU
  AdapterRegistry::Running running;
  std::optional<BatchPlan> plans;  // of adapters by their names
  std::vector<std::shared_ptr<const ActivationObject>> activations;
  std::vector<const Plan*> rows;
  std::atomic<bool> is_busy{false};
};

template <>
struct HandleTraits<peft_layer_runner_t> {
  using Object = LayerRunnerObject;
  static constexpr HandleKind kKind = HandleKind::kLayerRunner;
};

// A runner for the length of one call.
class RunnerUse {
 public:
  // FAILED_PRECONDITION (RUNNER_BUSY) while another call uses it.
  static absl::StatusOr<RunnerUse> Begin(const peft_layer_runner_t* handle);

  RunnerUse(RunnerUse&&) = default;
  ~RunnerUse();

  LayerRunnerObject* operator->() const { return object_.get(); }
  LayerRunnerObject& operator*() const { return *object_; }

 private:
  explicit RunnerUse(std::shared_ptr<LayerRunnerObject> object)
      : object_(std::move(object)) {}

  std::shared_ptr<LayerRunnerObject> object_;
};

// What is active on the runner's model now, in `running`.
absl::Status RefreshRunning(LayerRunnerObject& runner);

}  // namespace peft

#endif  // PEFT_C_LAYER_RUNNER_H_
