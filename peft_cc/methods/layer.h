// What a method is told about the layer that it adapts, and what it asks of
// the adapter's file.
#ifndef PEFT_CC_METHODS_LAYER_H_
#define PEFT_CC_METHODS_LAYER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "peft_cc/tensors/tensor.h"

namespace peft {

// The layer below an adapter.
struct LayerShape {
  bool is_embedding = false;
  int64_t in_features = 0;   // embedding: rows of the table
  int64_t out_features = 0;  // embedding: width of a row
};

// A tensor that a layer needs, by its name behind the module's
// ("lora_A.weight").
struct TensorSpec {
  std::string part;
  std::vector<int64_t> shape;
};

// The tensors that a file has for one layer, by part.
using LayerTensors = std::map<std::string, Tensor, std::less<>>;

}  // namespace peft

#endif  // PEFT_CC_METHODS_LAYER_H_
