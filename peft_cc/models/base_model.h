// A base model as its folder describes it: weights by transformers' names,
// sites, and the description that executors run.
#ifndef PEFT_CC_MODELS_BASE_MODEL_H_
#define PEFT_CC_MODELS_BASE_MODEL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "peft_cc/adapters/site.h"
#include "peft_cc/base/file.h"
#include "peft_cc/models/decoder_config.h"
#include "peft_cc/models/description.h"

namespace peft {

// Immutable, thread-safe.
class BaseModel {
 public:
  // Reads config.json, generation_config.json if there is one, and
  // model.safetensors or model.safetensors.index.json with its shards. Fails
  // with NOT_FOUND, INVALID_ARGUMENT (MODEL_CONFIG, MODEL_WEIGHTS ...) or
  // UNIMPLEMENTED (MODEL_UNSUPPORTED: family, quantization, rope type ...).
  static absl::StatusOr<std::unique_ptr<BaseModel>> Open(
      const std::string& path, ReadMode mode);

  const DecoderConfig& config() const { return config_; }
  const SiteTable& sites() const { return sites_; }
  const Description& description() const { return description_; }
  const std::vector<Tensor>& weights() const { return weights_; }  // norms
  int64_t size_bytes() const { return size_bytes_; }

 private:
  BaseModel() = default;

  DecoderConfig config_;
  Description description_;
  SiteTable sites_;
  std::vector<Tensor> weights_;  // indexed by Op::weight
  int64_t size_bytes_ = 0;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_BASE_MODEL_H_
