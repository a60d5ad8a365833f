// A session: the KV cache and workspace of one conversation (or batch).
#ifndef PEFT_CC_MODELS_SESSION_H_
#define PEFT_CC_MODELS_SESSION_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "peft_cc/models/model.h"
#include "peft_cc/models/session_options.h"

namespace peft {

class SessionCore;

// Thread-compatible: one call at a time. Several sessions of one model run at
// the same time.
class Session {
 public:
  static absl::StatusOr<std::unique_ptr<Session>> Create(
      const Model& model, const SessionOptions& options = {});
  ~Session();

  // Runs `input` after what the cache holds, under the model's current
  // activation. The first forward after creation or Reset fixes the batch
  // size. Fails with INVALID_ARGUMENT (ARGUMENT, TOKEN_OUT_OF_RANGE),
  // RESOURCE_EXHAUSTED (SEQUENCE_TOO_LONG) or FAILED_PRECONDITION
  // (ACTIVATION_CHANGED; MODEL_TASK for an output that the model does not
  // make), and then leaves the cache as it was. An encoder has no cache: each
  // forward stands for itself.
  //
  // A model that classifies sequences gives one row of logits per batch row: of
  // the first token (BERT), or of the last one that is not config.json's
  // pad_token_id. As in transformers, attention_mask has no say in that, and
  // without a pad_token_id a batch of more than one row is INVALID_ARGUMENT.
  absl::StatusOr<Logits> Forward(const ForwardInput& input,
                                 const ForwardOptions& options = {});

  // What the last forward gave back besides logits. Borrowed as these are.
  HiddenStates last_hidden_state() const;
  HiddenStates pooler_output() const;

  // Resets, then generates from `input` under one activation to its end.
  // Positions are counted from the attention mask, as transformers' generate
  // does (`position_ids` must be null); a mask that is not given is not guessed
  // from padding tokens. The cache is left with the prompt and all new tokens
  // but the last. Fails as Forward does, with INVALID_ARGUMENT for options out
  // of their range (ARGUMENT) and for NaN logits (LOGITS_NOT_FINITE), and,
  // before anything runs, with FAILED_PRECONDITION (MODEL_TASK) where the
  // model is no causal language model, and with SEQUENCE_TOO_LONG where
  // `max_new_tokens` would not fit the session or the model's positions.
  // Cancelled by the callback: CANCELLED. Whenever it fails, `out_partial` (may
  // be null) holds what was generated until then.
  absl::StatusOr<GenerateOutput> Generate(
      const ForwardInput& input, const GenerateOptions& options,
      GenerateOutput* out_partial = nullptr);

  // Empties the cache.
  void Reset();
  int64_t cache_length() const;

 private:
  Session(const Model& model, std::unique_ptr<SessionCore> core);

  const Model& model_;
  std::unique_ptr<SessionCore> core_;
};

}  // namespace peft

#endif  // PEFT_CC_MODELS_SESSION_H_
