// The sites of a tiny Qwen2 for tests, the same model that
// testdata/make_testdata.py builds, and what its layers compute.
#ifndef PEFT_CC_ADAPTERS_TINY_MODEL_H_
#define PEFT_CC_ADAPTERS_TINY_MODEL_H_

#include <string>
#include <vector>

#include "peft_cc/adapters/plan.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/config/adapter_config.h"
#include "peft_cc/tensors/tensor.h"

namespace peft {

// Hidden size 8, 2 layers, q, k and v with biases, vocabulary of 10.
SiteTable TinySites();

// A tensor of the given values; `values` may be shorter, the rest is 0.
Tensor MakeTensor(std::vector<int64_t> shape, std::vector<float> values = {},
                  DType dtype = DType::kF32);

// A LORA config with r = 2 and lora_alpha = 4 and the given target_modules.
AdapterConfig MakeLoraConfig(std::vector<std::string> targets);

// Both tensors of an adapter of r = 2 at linear site `module`, under the names
// that PEFT gives them.
void AddFactors(const SiteTable& sites, const std::string& module,
                TensorMap& tensors);

// What linear site `site` computes on make_testdata.py's input (3 rows), or an
// embedding site for every row of its table.
std::vector<float> SiteOutput(const SiteTable& sites, const Plan& plan,
                              int site);

}  // namespace peft

#endif  // PEFT_CC_ADAPTERS_TINY_MODEL_H_
