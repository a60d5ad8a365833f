// What goes into a session's calls and comes out of them.
#ifndef PEFT_CC_MODELS_SESSION_OPTIONS_H_
#define PEFT_CC_MODELS_SESSION_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "peft_cc/adapters/batch_plan.h"

namespace peft {

// A batch of token rows of one length; shorter rows are padded on the left and
// masked. Borrowed for the call.
struct ForwardInput {
  // (batch, length), row-major. Every id must be in [0, vocabulary).
  const int64_t* ids = nullptr;
  int64_t batch = 0;
  int64_t length = 0;
  // (batch, length): 0 = padding that nothing attends to; null = no padding.
  const int64_t* attention_mask = nullptr;
  // (batch, length); null = counted on from the tokens already in the cache
  // (as transformers' forward does, padding included).
  const int64_t* position_ids = nullptr;
  // (batch, length), of models that have token types; null = all 0, or none at
  // all where a model does without (GPT-2).
  const int64_t* token_type_ids = nullptr;
};

// What a forward can give back: bits of ForwardOptions::outputs. Part of the C
// ABI (`PEFT_OUTPUT_*`).
enum ForwardOutput : uint32_t {
  kLogits = 1,           // of models with a head
  kLastHiddenState = 2,  // after the last layer and its norm, of all positions
  kPoolerOutput = 4,     // of models with a pooler
};

// What a forward gives back, and whether it may go on.
struct ForwardOptions {
  // ForwardOutput bits; 0 = what the model's class is for: logits, or of a bare
  // model the other two.
  uint32_t outputs = 0;
  // Logits of the last so many positions of each row; 0 = all
  // (transformers' logits_to_keep).
  int64_t logits_to_keep = 0;
  // Go on with a cache that another activation wrote.
  bool allow_activation_change = false;
  // What the rows run; null: the model's current activation.
  const BatchPlan* plans = nullptr;
};

// Borrowed: valid until the next call on the session.
struct Logits {
  // (batch, positions, vocabulary); null when none were asked for.
  const float* data = nullptr;
  int64_t batch = 0;
  int64_t positions = 0;   // 1 where a sequence has one row
  int64_t vocabulary = 0;  // of a classifier: its labels
};

// Borrowed in the same way: last_hidden_state or, with one position,
// pooler_output. Null data when it was not asked for.
struct HiddenStates {
  const float* data = nullptr;  // (batch, positions, width)
  int64_t batch = 0;
  int64_t positions = 0;
  int64_t width = 0;
};

// transformers' GenerationConfig fields of the same names. The defaults are
// these, whatever the model's generation_config.json says, except for the end
// tokens.
struct GenerateOptions {
  int64_t max_new_tokens = 20;
  bool do_sample = false;
  float temperature = 1.0f;
  int64_t top_k = 50;  // 0: off. Only with do_sample, as the next two.
  float top_p = 1.0f;
  float min_p = 0.0f;  // 0: off
  float repetition_penalty = 1.0f;
  uint64_t seed = 0;
  // Empty: those of generation_config.json or config.json; with
  // `ignore_eos`, none.
  std::vector<int64_t> eos_token_ids;
  bool ignore_eos = false;
  // A row ends when its new tokens end in one of these.
  std::vector<std::vector<int64_t>> stop_sequences;
  // What the rows run; null: the model's current activation.
  const BatchPlan* plans = nullptr;
  // Called for each new token, on the calling thread; false cancels.
  std::function<bool(int64_t row, int64_t token)> on_token;
};

// Why a row ended. Values are part of the C ABI (`PEFT_FINISH_*`).
enum class FinishReason : int32_t { kLength = 1, kEos = 2, kStop = 3 };

// One entry per row of the input.
struct GenerateOutput {
  // The new tokens of each row, the eos or stop tokens included.
  std::vector<std::vector<int64_t>> tokens;
  std::vector<FinishReason> finish_reasons;
};

// How a session is made.
struct SessionOptions {
  int64_t max_length = 0;  // positions of the cache; 0: grows as needed
  // See kernels::LinearCall::round_inputs.
  bool round_activations = false;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_SESSION_OPTIONS_H_
