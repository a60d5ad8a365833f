// The names of an adapter file's tensors, read as module and part.
// Source of the format: peft 0.21.2, utils/save_and_load.py, and the key
// mapping of transformers 5.23.0, integrations/peft.py.
#ifndef PEFT_CC_ADAPTERS_KEY_MAP_H_
#define PEFT_CC_ADAPTERS_KEY_MAP_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// One tensor name, taken apart.
struct TensorKey {
  std::string file_name;  // as in the file
  std::string module;     // "model.layers.0.self_attn.q_proj"
  std::string part;       // "lora_A.weight", "base_layer.bias", "bias" ...
  // Both, "module.part", as get_adapter_state_dict names the tensor. Empty
  // until MapKeys has put the module in the model's terms.
  std::string model_name;
  // The name of an adapter that stands inside ("lora_A.default.weight").
  std::string adapter_name;
  int num_prefixes = 0;  // how often "base_model.model." stood before it
};

// Takes `file_name` apart: the part begins at the last component that starts
// with the method's `prefix`. Never fails: what follows no known form is a
// module and its last component.
TensorKey ParseTensorKey(absl::string_view file_name,
                         absl::string_view prefix = "lora_");

// What stands before the names in PEFT's files: they are those of its own
// wrapper around the model.
inline constexpr absl::string_view kPeftPrefix = "base_model.model.";

// How the module names of a file relate to those of the model.
enum class NameStyle {
  kSame,          // equal
  kWithoutOuter,  // trained on the bare model: no leading "model."
  kWithOuter,     // trained on a model with a head, this one is bare
};

// The names of one file, modules written as the model writes them.
struct KeyMap {
  std::vector<TensorKey> keys;  // one per tensor, in the order of their map
  NameStyle style = NameStyle::kSame;
  std::string outer;               // "model." where style is not kSame
  bool has_prefix = false;         // of most names; decides FileName
  std::vector<std::string> notes;  // remarks for the load report

  // The name that this file would give a tensor that it lacks.
  std::string FileName(absl::string_view module, absl::string_view part) const;
  // `module`, a name of the model, as the trained model called it; "" when
  // that model cannot have had it.
  std::string ModuleInFile(absl::string_view module) const;
  // The inverse.
  std::string ModuleInModel(absl::string_view module) const;
};

// Reads all names of a file of the method with `prefix`. Fails with
// INVALID_ARGUMENT (ADAPTER_TENSORS) when two names mean one tensor, or tensors
// of several adapters are mixed.
absl::StatusOr<KeyMap> MapKeys(const TensorMap& tensors, const SiteTable& sites,
                               absl::string_view prefix = "lora_");

// "module.part": TensorKey::model_name.
std::string ModelName(absl::string_view module, absl::string_view part);

// True for the weight and bias of the heads of transformers' classifiers, which
// PEFT saves with the adapter.
bool IsOfClassifier(const TensorKey& key);

// What is probably wrong with a tensor that nothing uses, as the end of a
// sentence; "" where nothing is known.
std::string UnexpectedHint(const TensorKey& key);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_KEY_MAP_H_
