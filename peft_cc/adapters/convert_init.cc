#include "peft_cc/adapters/convert_init.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "peft_cc/adapters/adapter_folder.h"
#include "peft_cc/adapters/key_map.h"
#include "peft_cc/algebra/f32_tensor.h"
#include "peft_cc/algebra/mutated_init.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"
#include "peft_cc/config/lora_ranks.h"

namespace peft {
namespace {

constexpr char kInitKey[] = "init_lora_weights";

// The names of one layer's factors.
struct FactorNames {
  std::string layer;
  std::string a;
  std::string b;
  bool is_embedding = false;
};

std::vector<FactorNames> FactorsIn(const TensorMap& tensors) {
  std::vector<FactorNames> found;
  for (const auto& entry : tensors) {
    absl::string_view layer = entry.first;
    if (absl::ConsumeSuffix(&layer, ".lora_A.weight")) {
      found.push_back({std::string(layer), entry.first,
                       absl::StrCat(layer, ".lora_B.weight")});
    } else if (absl::ConsumeSuffix(&layer, ".lora_embedding_A")) {
      found.push_back({std::string(layer), entry.first,
                       absl::StrCat(layer, ".lora_embedding_B"), true});
    }
  }
  return found;
}

absl::Status CheckInit(const AdapterConfig& config) {
  const auto init = config.json.find(kInitKey);
  if (config.lora.has_value() && init != config.json.end() &&
      init->is_string()) {
    const std::string name = absl::AsciiStrToLower(init->get<std::string>());
    for (const char* known : {"pissa", "olora", "corda", "lora_ga"}) {
      if (absl::StartsWith(name, known)) return absl::OkStatus();
    }
  }
  return ArgumentError(absl::StrCat(
      "the adapter cannot be converted: its ", kInitKey, " is ",
      init == config.json.end() ? "not set" : init->dump(),
      ", expected that of a LoRA which takes something from the base: pissa, "
      "pissa_niter_<n>, olora, corda or lora_ga"));
}

// A file's tensors under the names of get_adapter_state_dict.
TensorMap InModelNames(const TensorMap& file) {
  TensorMap tensors;
  for (const auto& [name, tensor] : file) {
    const TensorKey key = ParseTensorKey(name);
    tensors.emplace(ModelName(key.module, key.part), tensor);
  }
  return tensors;
}

absl::StatusOr<Tensor> FindInitial(const TensorMap& tensors,
                                   const std::string& folder,
                                   const std::string& name) {
  const auto found = tensors.find(name);
  if (found != tensors.end()) return found->second;
  return ArgumentError(absl::StrCat("the initial adapter ", Quoted(folder),
                                    " has no tensor ", Quoted(name)));
}

// `matrix` with `size` rows (axis 0) or columns (axis 1), what is new zero, in
// the elements of `dtype`.
absl::StatusOr<Tensor> Widened(const Tensor& matrix, int axis, int64_t size,
                               DType dtype) {
  std::vector<int64_t> shape(matrix.shape().begin(), matrix.shape().end());
  shape[axis] = std::max(shape[axis], size);
  const std::vector<float> values = matrix.ToF32();
  PEFT_ASSIGN_OR_RETURN(const Tensor wide,
                        MakeF32Tensor(shape, [&](absl::Span<float> out) {
                          const int64_t columns = matrix.dim(1);
                          for (int64_t row = 0; row < matrix.dim(0); ++row) {
                            std::copy_n(values.begin() + row * columns, columns,
                                        out.begin() + row * shape[1]);
                          }
                        }));
  return wide.Cast(dtype);
}

// The layer's factors with twice the rank, for the base as it was.
absl::Status ConvertLayer(const FactorNames& names, int64_t rank,
                          const TensorMap& initial, const std::string& folder,
                          TensorMap* tensors) {
  Tensor& a = tensors->at(names.a);
  const auto b = tensors->find(names.b);
  if (b == tensors->end()) {
    return ArgumentError(absl::StrCat("there is no tensor ", Quoted(names.b)));
  }
  LoraFactors factors = {a, b->second};
  if (!names.is_embedding) {  // from which nothing was taken
    LoraFactors taken;
    PEFT_ASSIGN_OR_RETURN(taken.a, FindInitial(initial, folder, names.a));
    PEFT_ASSIGN_OR_RETURN(taken.b, FindInitial(initial, folder, names.b));
    absl::StatusOr<LoraFactors> both = SubtractInitialFactors(factors, taken);
    if (!both.ok()) {
      return WithContext(both.status(),
                         absl::StrCat("layer ", Quoted(names.layer)));
    }
    factors = *std::move(both);
  }
  if (factors.a.dim(0) > 2 * rank) {
    return ArgumentError(absl::StrCat("the initial adapter ", Quoted(folder),
                                      " has rank ", factors.a.dim(0) - a.dim(0),
                                      " in layer ", Quoted(names.layer),
                                      ", expected at most ", rank));
  }
  PEFT_ASSIGN_OR_RETURN(a, Widened(factors.a, 0, 2 * rank, a.dtype()));
  PEFT_ASSIGN_OR_RETURN(b->second,
                        Widened(factors.b, 1, 2 * rank, b->second.dtype()));
  return absl::OkStatus();
}

// A whole number stays one, as in Python.
Json Scaled(const Json& number, double factor) {
  const double value = number.get<double>() * factor;
  constexpr double kExact = 1ll << 53;
  if (number.is_number_integer() && value == std::floor(value) &&
      std::abs(value) < kExact) {
    return static_cast<int64_t>(value);
  }
  return value;
}

void ConvertConfigJson(const LoraConfig& lora, Json* json) {
  const ConvertedConfig factors = ConvertConfig(1, 1, lora.use_rslora);
  (*json)["r"] = factors.r * lora.r;
  (*json)["lora_alpha"] = Scaled(
      json->value("lora_alpha", Json(lora.lora_alpha)), factors.lora_alpha);
  (*json)[kInitKey] = true;
  const auto scale_pattern = [&](const char* key, double factor) {
    const auto pattern = json->find(key);
    if (pattern == json->end() || !pattern->is_object()) return;
    for (auto& entry : pattern->items()) {
      entry.value() = Scaled(entry.value(), factor);
    }
  };
  scale_pattern("rank_pattern", static_cast<double>(factors.r));
  scale_pattern("alpha_pattern", factors.lora_alpha);
}

}  // namespace

absl::StatusOr<ConvertedAdapter> ConvertInit(const Adapter& adapter,
                                             const std::string& initial) {
  PEFT_RETURN_IF_ERROR(CheckInit(adapter.config()));
  PEFT_ASSIGN_OR_RETURN(const Folder folder, FindAdapterFolder(initial, ""));
  PEFT_ASSIGN_OR_RETURN(const TensorMap file, ReadAdapterTensors(folder));
  const TensorMap taken = InModelNames(file);
  ConvertedAdapter converted = {adapter.config(), adapter.state_dict()};
  const std::vector<FactorNames> layers = FactorsIn(converted.state_dict);
  std::vector<std::string> names;
  for (const FactorNames& layer : layers) names.push_back(layer.layer);
  const LoraConfig& lora = *converted.config.lora;
  std::vector<std::string> notes;
  PEFT_ASSIGN_OR_RETURN(const std::vector<LoraRank> ranks,
                        FindLoraRanks(lora, names, &notes));
  for (size_t i = 0; i < layers.size(); ++i) {
    PEFT_RETURN_IF_ERROR(ConvertLayer(layers[i], ranks[i].r, taken, initial,
                                      &converted.state_dict));
  }
  ConvertConfigJson(lora, &converted.config.json);
  return converted;
}

}  // namespace peft
