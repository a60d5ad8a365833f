// What every family of base models has in common: the part of config.json that
// sessions, executors and programs need.
#ifndef PEFT_CC_MODELS_MODEL_CONFIG_H_
#define PEFT_CC_MODELS_MODEL_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "peft_cc/models/rope.h"

namespace peft {

// What a model's head is for. Values are part of the C ABI (`PEFT_TASK_*`).
enum class ModelTask : int32_t {
  kBase = 1,                    // no head: hidden states only
  kCausalLm = 2,                // logits of the next token
  kMaskedLm = 3,                // logits of the token itself
  kSequenceClassification = 4,  // one row of logits per sequence
  kTokenClassification = 5,     // logits of labels, per token
  kQuestionAnswering = 6,  // logits of an answer's start and end, per token
};

// Whether logits are of labels, of which a config says the number.
constexpr bool Classifies(ModelTask task) {
  return task == ModelTask::kSequenceClassification ||
         task == ModelTask::kTokenClassification;
}

// How the files of a model hold the weights of its linear layers.
enum class StoredWeights {
  kNumbers,       // f32, bf16 or f16
  kBitsAndBytes,  // some in 4 bits as bitsandbytes has them
  kBlocks,        // some in the SDK's own blocks
};

// Where a model learns the order of tokens from.
enum class PositionKind {
  kRotary,  // rotated queries and keys; any position
  kTable,   // an embedding of max_position_embeddings rows
};

// Every number is checked: positive where it must be, heads divide, and any
// product of two of the sizes fits an int64. Fields are named as in
// transformers' configs.
struct ModelConfig {
  std::string model_type;    // "llama", "gpt2", "bert" ...
  std::string architecture;  // transformers' class: "LlamaForCausalLM"
  // What older versions of transformers saved it as; "" in newer files.
  std::string name_or_path;
  ModelTask task = ModelTask::kCausalLm;
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  // By layer: which one of the files it is, where some of them are there
  // several times. Empty: each is itself.
  std::vector<int64_t> source_layers;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;
  int64_t max_position_embeddings = 0;
  int64_t num_labels = 2;  // of the classification heads
  // The program has chosen the task; files then decide nothing of it.
  bool is_task_chosen = false;
  double initializer_range = 0.02;  // of weights that are made anew
  // Token type ids are 0 to num_token_types - 1; 0: the model takes none.
  int64_t num_token_types = 0;
  StoredWeights stored_weights = StoredWeights::kNumbers;
  bool is_causal = true;  // false: an encoder, which keeps no cache
  PositionKind positions = PositionKind::kRotary;
  RopeConfig rope;  // kRotary
  // Whether the head's weight is the embedding's.
  bool tie_word_embeddings = false;
  // What generation_config.json overrides.
  std::vector<int64_t> eos_token_ids;
  std::optional<int64_t> pad_token_id;
  // pad_token_id of config.json itself, or a program's, which pooling skips.
  std::optional<int64_t> pooling_pad_token_id;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_MODEL_CONFIG_H_
