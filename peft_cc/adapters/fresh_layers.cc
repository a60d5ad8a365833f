#include "peft_cc/adapters/fresh_layers.h"

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/fresh_lora.h"
#include "peft_cc/algebra/lora_init.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// The number under `key`, or `otherwise`: its type was checked by the parser.
double NumberOr(const Json& json, const char* key, double otherwise) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>()
                                                   : otherwise;
}

// A flag or a string, which Python's truth decides about.
bool IsTrue(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end()) return true;
  if (found->is_boolean()) return found->get<bool>();
  if (found->is_number()) return found->get<double>() != 0;
  return !found->is_null();
}

absl::Status Refused(const char* key, absl::string_view problem) {
  return MakeError(absl::StatusCode::kInvalidArgument, error_id::kAdapterConfig,
                   absl::StrCat(key, " ", problem), {key, "", ""});
}

// The schedule, without which PEFT makes no AdaLoRA.
absl::Status CheckSchedule(const Json& json) {
  const double steps = NumberOr(json, "total_step", 0);
  if (steps <= 0) {
    return Refused("total_step",
                   "is not above 0; a new AdaLoRA needs the number of steps "
                   "that it will be trained for");
  }
  if (NumberOr(json, "tinit", 0) >= steps - NumberOr(json, "tfinal", 0)) {
    return Refused("tinit",
                   "leaves no steps between tinit and total_step - tfinal; "
                   "decrease tinit or tfinal, or increase total_step");
  }
  if (NumberOr(json, "orth_reg_weight", 0) < 0) {
    return Refused("orth_reg_weight", "is below 0");
  }
  const auto pattern = json.find("rank_pattern");
  if (pattern != json.end() && !pattern->is_null() && !pattern->empty()) {
    return Refused("rank_pattern",
                   "says which ranks training has taken away, but the adapter "
                   "is new; make it null");
  }
  return absl::OkStatus();
}

// Methods whose tensors are draws, whatever the layer.
class DrawnLayers : public FreshLayers {
 public:
  DrawnLayers(const Method& method, bool init_weights)
      : method_(method), init_weights_(init_weights) {}

  absl::StatusOr<LayerTensors> Make(size_t i,
                                    TorchGenerator& generator) const override {
    PEFT_ASSIGN_OR_RETURN(const std::vector<TensorSpec> specs,
                          method_.Tensors(i));
    return Draw(specs, init_weights_, generator);
  }

 private:
  virtual absl::StatusOr<LayerTensors> Draw(
      const std::vector<TensorSpec>& specs, bool init_weights,
      TorchGenerator& generator) const = 0;

  const Method& method_;
  const bool init_weights_;
};

class FreshAdaLora : public DrawnLayers {
 public:
  using DrawnLayers::DrawnLayers;

 private:
  absl::StatusOr<LayerTensors> Draw(const std::vector<TensorSpec>& specs,
                                    bool init_weights,
                                    TorchGenerator& generator) const override {
    const std::vector<int64_t>& a = specs[0].shape;  // (r, in)
    const std::vector<int64_t>& b = specs[1].shape;  // (out, r)
    PEFT_ASSIGN_OR_RETURN(
        AdaLoraFactors factors,
        InitAdaLora(a[1], b[0], a[0], init_weights, generator));
    LayerTensors tensors;
    tensors["lora_A"] = std::move(factors.a);
    tensors["lora_B"] = std::move(factors.b);
    tensors["lora_E"] = std::move(factors.e);
    return tensors;
  }
};

class FreshIa3 : public DrawnLayers {
 public:
  using DrawnLayers::DrawnLayers;

 private:
  absl::StatusOr<LayerTensors> Draw(const std::vector<TensorSpec>& specs,
                                    bool init_weights,
                                    TorchGenerator& generator) const override {
    LayerTensors tensors;
    PEFT_ASSIGN_OR_RETURN(tensors[specs[0].part],
                          InitIa3(specs[0].shape, init_weights, generator));
    return tensors;
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<FreshLayers>> MakeFreshLayers(
    const AdapterConfig& config, const Method& method,
    const std::vector<Layer>& layers, const LowerServices& services) {
  if (config.adalora.has_value()) {
    PEFT_RETURN_IF_ERROR(CheckSchedule(config.json));
    return std::unique_ptr<FreshLayers>(std::make_unique<FreshAdaLora>(
        method, IsTrue(config.json, "init_lora_weights")));
  }
  if (config.ia3.has_value()) {
    return std::unique_ptr<FreshLayers>(std::make_unique<FreshIa3>(
        method, IsTrue(config.json, "init_ia3_weights")));
  }
  return MakeFreshLora(config, layers, services);
}

}  // namespace peft
