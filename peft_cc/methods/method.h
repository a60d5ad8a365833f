// What every PEFT method is to those who load adapters: a small compiler from
// a config and tensors to the programs of a model's layers.
#ifndef PEFT_CC_METHODS_METHOD_H_
#define PEFT_CC_METHODS_METHOD_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/thread_pool.h"
#include "peft_cc/methods/forms.h"
#include "peft_cc/methods/layer.h"

namespace peft {

// What a lowering may use. Lowerings of several layers may run one after the
// other only.
struct LowerServices {
  // For lowerings that read the base's weights. Never null.
  kernels::ThreadPool* pool = &kernels::InlineThreadPool();
};

// One method at work on one adapter: it knows the config and all layers that
// the config targets, in module order, and speaks of them by their index.
// Immutable.
class Method {
 public:
  virtual ~Method() = default;

  // The tensors that PEFT saves for the layer. INVALID_ARGUMENT
  // (ADAPTER_CONFIG) for what PEFT refuses too.
  virtual absl::StatusOr<std::vector<TensorSpec>> Tensors(
      size_t layer) const = 0;

  // Where their shapes come from beside the layer's, for messages: "rank 8 by
  // the config"; "" for nothing.
  virtual std::string ShapeReason(size_t layer) const = 0;

  // The layer's program. `tensors` holds those of Tensors, already checked; one
  // that is absent acts as if it had never been trained.
  virtual absl::StatusOr<SiteProgram> Lower(
      size_t layer, const LayerTensors& tensors,
      const LowerServices& services) const = 0;

  // The program of one expert of a layer with several. A method that adapts no
  // such layers is not asked.
  virtual absl::StatusOr<SiteProgram> LowerExpert(
      size_t layer, int64_t /*expert*/, const LayerTensors& tensors,
      const LowerServices& services) const {
    return Lower(layer, tensors, services);
  }
};

}  // namespace peft

#endif  // PEFT_CC_METHODS_METHOD_H_
