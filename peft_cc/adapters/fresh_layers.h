// The initial tensors of the layers of one adapter, as PEFT draws and computes
// them.
#ifndef PEFT_CC_ADAPTERS_FRESH_LAYERS_H_
#define PEFT_CC_ADAPTERS_FRESH_LAYERS_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "peft_cc/algebra/torch_generator.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/methods/layer.h"
#include "peft_cc/methods/method.h"

namespace peft {

// Makes the layers one after the other, as their numbers come from one
// generator. Immutable.
class FreshLayers {
 public:
  virtual ~FreshLayers() = default;

  // The tensors of layer `i`, in f32, by part. INVALID_ARGUMENT
  // (ADAPTER_CONFIG, ARGUMENT) for what PEFT refuses, UNIMPLEMENTED
  // (ADAPTER_FEATURE_UNSUPPORTED) for a layer whose weight is needed and is not
  // there.
  virtual absl::StatusOr<LayerTensors> Make(
      size_t i, TorchGenerator& generator) const = 0;

  // The same for a head whose factors share the memory of those of the layer
  // that `embedding` has the tensors of, which it may change.
  virtual absl::StatusOr<LayerTensors> MakeTied(
      size_t i, LayerTensors& /*embedding*/, TorchGenerator& generator) const {
    return Make(i, generator);
  }
};

// Those of `config` on `layers`, which `method` was made for; they and
// `services` must outlive it. Fails with INVALID_ARGUMENT (ADAPTER_CONFIG) for
// what PEFT refuses, and UNIMPLEMENTED (ADAPTER_FEATURE_UNSUPPORTED) for inits
// that need data.
absl::StatusOr<std::unique_ptr<FreshLayers>> MakeFreshLayers(
    const AdapterConfig& config, const Method& method,
    const std::vector<Layer>& layers, const LowerServices& services);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_FRESH_LAYERS_H_
