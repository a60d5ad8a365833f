// Parts of config.json that all families read in one way.
#ifndef PEFT_CC_MODELS_CONFIG_PARTS_H_
#define PEFT_CC_MODELS_CONFIG_PARTS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/nn.h"
#include "peft_cc/base/json.h"
#include "peft_cc/models/config_fields.h"
#include "peft_cc/models/model_config.h"

namespace peft {

// Limits: some ten times the largest model known, so small that every product
// of two of them is far from overflow.
inline constexpr int64_t kMaxVocabulary = int64_t{1} << 24;
inline constexpr int64_t kMaxWidth = int64_t{1} << 22;
inline constexpr int64_t kMaxLayers = 4096;
inline constexpr int64_t kMaxHeads = 65536;
inline constexpr int64_t kMaxPositions = int64_t{1} << 31;

// UNIMPLEMENTED (MODEL_UNSUPPORTED): `key` has the value `found`.
absl::Status UnsupportedModel(absl::string_view what, absl::string_view key,
                              absl::string_view found,
                              absl::string_view expected);

// The JSON object that `text` is. INVALID_ARGUMENT (JSON, MODEL_CONFIG).
absl::StatusOr<Json> ParseConfigObject(absl::string_view text,
                                       absl::string_view what);

// The activation that `key` names, or `fallback`.
kernels::Activation ReadActivation(ConfigFields& fields, absl::string_view key,
                                   absl::string_view fallback);

// Fails for each of `keys` that is true.
void RefuseTrue(ConfigFields& fields, std::initializer_list<const char*> keys);

// num_attention_heads, which must divide hidden_size, and what follows from it
// in families where every head has its own keys.
void ReadPlainHeads(ConfigFields& fields, absl::string_view key,
                    int64_t fallback, ModelConfig& config);

// The number of labels, of id2label or num_labels.
void ReadLabels(ConfigFields& fields, ModelConfig& config);

// eos_token_id and pad_token_id. They are not checked against the vocabulary:
// an end token that no logits have never ends anything, in Python neither.
void ReadTokens(ConfigFields& fields, std::vector<int64_t> default_eos,
                ModelConfig& config);

}  // namespace peft

#endif  // PEFT_CC_MODELS_CONFIG_PARTS_H_
