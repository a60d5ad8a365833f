#include "peft_cc/models/session_core.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "peft_cc/adapters/pool_check.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

// Far beyond any context, and exact as a float angle's factor no more.
constexpr int64_t kMaxPosition = int64_t{1} << 31;
// Keeps every product of a count of tokens and a width in an int64.
constexpr int64_t kMaxTokens = int64_t{1} << 36;

std::string At(const ForwardInput& input, int64_t index) {
  return absl::StrCat("row ", index / input.length, ", position ",
                      index % input.length);
}

// Kernels read rows of the embedding by these ids without looking again.
absl::Status CheckIds(const ForwardInput& input, int64_t vocabulary) {
  for (int64_t i = 0; i < input.batch * input.length; ++i) {
    const int64_t id = input.ids[i];
    if (id >= 0 && id < vocabulary) continue;
    return MakeError(
        absl::StatusCode::kInvalidArgument, error_id::kTokenOutOfRange,
        absl::StrCat("token id ", id, " at ", At(input, i),
                     " is not in the vocabulary of ", vocabulary, " tokens"),
        {"ids", absl::StrCat("0 to ", vocabulary - 1), absl::StrCat(id)});
  }
  return absl::OkStatus();
}

bool HasPadding(const ForwardInput& input) {
  if (input.attention_mask == nullptr) return false;
  const int64_t* end = input.attention_mask + input.batch * input.length;
  return std::find(input.attention_mask, end, 0) != end;
}

// The number of positions that the rotary embedding sees: the greatest
// position and one.
int64_t NumPositions(const ForwardInput& input, int64_t cached) {
  if (input.position_ids == nullptr) return cached + input.length;
  const int64_t* end = input.position_ids + input.batch * input.length;
  return *std::max_element(input.position_ids, end) + 1;
}

// The input as the executor takes it; 0 logits to keep means all of them, and
// so does more than there are (as a slice in Python).
ForwardBatch MakeBatch(const ForwardInput& input, int64_t logits_to_keep,
                       const BatchPlan& plans, int64_t gate_tokens) {
  ForwardBatch batch;
  batch.ids = input.ids;
  batch.attention_mask = input.attention_mask;
  batch.position_ids = input.position_ids;
  batch.token_type_ids = input.token_type_ids;
  batch.batch = input.batch;
  batch.length = input.length;
  batch.keep = logits_to_keep == 0 ? input.length
                                   : std::min(logits_to_keep, input.length);
  batch.has_padding = HasPadding(input);
  batch.plans = &plans;
  batch.gate_tokens = gate_tokens;
  return batch;
}

// The last token that is not `padding`, whatever the mask says; the first where
// there is no other (as transformers' classifiers).
int64_t LastToken(const int64_t* ids, int64_t length, int64_t padding) {
  int64_t position = length - 1;
  while (position > 0 && ids[position] == padding) --position;
  return position;
}

absl::Status WrongTask(absl::string_view architecture, absl::string_view what,
                       absl::string_view expected) {
  return MakeError(absl::StatusCode::kFailedPrecondition, error_id::kModelTask,
                   absl::StrCat("the model is a ", architecture, ", which ",
                                what, "; ", expected),
                   {"architectures", "", std::string(architecture)});
}

// The layers whose keys and values a session keeps.
int CachedLayers(const BaseModel& base) {
  return base.config().is_causal ? base.description().num_layers : 0;
}

}  // namespace

SessionCore::SessionCore(const BaseModel& base, kernels::ThreadPool& pool,
                         const SessionOptions& options)
    : base_(base),
      pool_(pool),
      options_(options),
      cache_(CachedLayers(base),
             base.config().num_key_value_heads * base.config().head_dim),
      executor_(base, pool, options.round_activations) {
  const ModelConfig& config = base.config();
  if (config.positions != PositionKind::kRotary) return;
  rope_.emplace(config.rope, config.head_dim, config.max_position_embeddings);
}

absl::Status SessionCore::CheckGenerates() const {
  const ModelConfig& config = base_.config();
  if (config.task == ModelTask::kCausalLm) return absl::OkStatus();
  return WrongTask(config.architecture, "makes no logits of the next token",
                   "generate needs a causal language model; where the weights "
                   "have such a head, name its class in config.json's "
                   "architectures");
}

absl::Status SessionCore::CheckTable(int64_t num_positions) const {
  const int64_t rows = base_.config().max_position_embeddings;
  if (base_.config().positions != PositionKind::kTable ||
      num_positions <= rows) {
    return absl::OkStatus();
  }
  return MakeError(
      absl::StatusCode::kResourceExhausted, error_id::kSequenceTooLong,
      absl::StrCat("the sequence would have ", num_positions,
                   " positions, but the model's table of positions has ", rows,
                   "; shorten it"),
      {"max_position_embeddings", absl::StrCat(rows),
       absl::StrCat(num_positions)});
}

// Kernels read rows of the table by these ids without looking again.
absl::Status SessionCore::CheckPositions(const ForwardInput& input) const {
  if (input.position_ids == nullptr) return absl::OkStatus();
  const int64_t end = base_.config().positions == PositionKind::kTable
                          ? base_.config().max_position_embeddings
                          : kMaxPosition;
  for (int64_t i = 0; i < input.batch * input.length; ++i) {
    const int64_t position = input.position_ids[i];
    if (position >= 0 && position < end) continue;
    return ArgumentError(
        absl::StrCat("position id ", position, " at ", At(input, i),
                     " is negative or too large"),
        {"position_ids", absl::StrCat("0 to ", end - 1),
         absl::StrCat(position)});
  }
  return absl::OkStatus();
}

absl::Status SessionCore::CheckTokenTypes(const ForwardInput& input) const {
  if (input.token_type_ids == nullptr) return absl::OkStatus();
  const int64_t types = base_.config().num_token_types;
  if (types == 0) {
    return ArgumentError(
        absl::StrCat("token_type_ids are given, but a ",
                     base_.config().architecture, " has no token types"),
        {"token_type_ids", "null", "ids"});
  }
  for (int64_t i = 0; i < input.batch * input.length; ++i) {
    const int64_t type = input.token_type_ids[i];
    if (type >= 0 && type < types) continue;
    return ArgumentError(
        absl::StrCat("token type id ", type, " at ", At(input, i),
                     " is not one of the model's ", types, " token types"),
        {"token_type_ids", absl::StrCat("0 to ", types - 1),
         absl::StrCat(type)});
  }
  return absl::OkStatus();
}

uint32_t SessionCore::DefaultOutputs() const {
  const Description& description = base_.description();
  if (description.logits_buffer >= 0) return kLogits;
  return description.pooler_buffer >= 0 ? kLastHiddenState | kPoolerOutput
                                        : kLastHiddenState;
}

absl::Status SessionCore::CheckOutputs(const ForwardInput& input,
                                       const ForwardOptions& options) const {
  const ModelConfig& config = base_.config();
  const Description& description = base_.description();
  constexpr uint32_t kKnown = kLogits | kLastHiddenState | kPoolerOutput;
  if ((options.outputs & ~kKnown) != 0) {
    return ArgumentError(absl::StrCat("outputs is ", options.outputs,
                                      ", expected bits of ", kKnown));
  }
  if ((options.outputs & kLogits) != 0 && description.logits_buffer < 0) {
    return WrongTask(config.architecture, "has no head and makes no logits",
                     "ask for last_hidden_state");
  }
  if ((options.outputs & kPoolerOutput) != 0 && description.pooler_buffer < 0) {
    return WrongTask(config.architecture, "has no pooler",
                     "ask for last_hidden_state");
  }
  if (options.logits_to_keep < 0 ||
      (options.logits_to_keep != 0 && description.pooling != Pooling::kNone)) {
    return ArgumentError(absl::StrCat(
        "logits_to_keep is ", options.logits_to_keep, ", expected 0",
        options.logits_to_keep < 0 ? " (all) or more"
                                   : ": the model makes one row of logits"));
  }
  if (description.pooling == Pooling::kLastNonPadding && input.batch > 1 &&
      !config.pooling_pad_token_id.has_value()) {
    return ArgumentError(
        absl::StrCat("the input has ", input.batch,
                     " rows, but config.json has no pad_token_id, by which a "
                     "classifier finds the last token of each; give it in the "
                     "options of the model, or run one row at a time"),
        {"batch", "1", absl::StrCat(input.batch)});
  }
  return absl::OkStatus();
}
absl::Status SessionCore::CheckInput(const ForwardInput& input) const {
  if (input.batch < 1 || input.length < 1) {
    return ArgumentError(absl::StrCat("the input has ", input.batch,
                                      " rows of ", input.length,
                                      " tokens; both must be at least 1"));
  }
  const int64_t tokens = CheckedProduct({input.batch, input.length});
  if (tokens < 0 || tokens > kMaxTokens) {
    return ArgumentError(absl::StrCat("the input has ", input.batch,
                                      " rows of ", input.length,
                                      " tokens, which is too many"));
  }
  if (input.ids == nullptr) return ArgumentError("ids is null");
  PEFT_RETURN_IF_ERROR(CheckIds(input, base_.config().vocab_size));
  PEFT_RETURN_IF_ERROR(CheckTokenTypes(input));
  return CheckPositions(input);
}

// What depends on what the session has seen before.
absl::Status SessionCore::CheckState(const ForwardInput& input,
                                     const ForwardOptions& options,
                                     const BatchPlan& plans) const {
  if (plans.batch() != 0 && plans.batch() != input.batch) {
    return ArgumentError(
        absl::StrCat("adapters are given for ", plans.batch(),
                     " rows, but the input has ", input.batch),
        {"batch", absl::StrCat(input.batch), absl::StrCat(plans.batch())});
  }
  if (cache_.batch() != 0 && cache_.batch() != input.batch) {
    return ArgumentError(
        absl::StrCat("the input has ", input.batch,
                     " rows, but the cache was filled with ", cache_.batch(),
                     "; reset the session to change the batch"),
        {"batch", absl::StrCat(cache_.batch()), absl::StrCat(input.batch)});
  }
  const int64_t needed = cache_.length() + input.length;
  if (options_.max_length > 0 && needed > options_.max_length) {
    return MakeError(absl::StatusCode::kResourceExhausted,
                     error_id::kSequenceTooLong,
                     absl::StrCat("the sequence would have ", needed,
                                  " positions, but the session was made for ",
                                  options_.max_length,
                                  "; make one with a larger max_length"),
                     {"max_length", absl::StrCat(options_.max_length),
                      absl::StrCat(needed)});
  }
  // Positions that are given have been looked at.
  if (input.position_ids == nullptr) PEFT_RETURN_IF_ERROR(CheckTable(needed));
  if (!writer_.empty() && !options.allow_activation_change &&
      !writer_.SameAs(plans, input.batch)) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, error_id::kActivationChanged,
        "other adapters are active than those that wrote the session's cache; "
        "reset the session, or allow the change in the forward's options");
  }
  return absl::OkStatus();
}

absl::StatusOr<Logits> SessionCore::Forward(const ForwardInput& input,
                                            const ForwardOptions& options,
                                            const BatchPlan& plans,
                                            int64_t gate_tokens) {
  outputs_ = 0;
  PEFT_RETURN_IF_ERROR(CheckInput(input));
  PEFT_RETURN_IF_ERROR(CheckOutputs(input, options));
  PEFT_RETURN_IF_ERROR(CheckState(input, options, plans));
  ForwardBatch batch =
      MakeBatch(input, options.logits_to_keep, plans, gate_tokens);
  batch.outputs = options.outputs == 0 ? DefaultOutputs() : options.outputs;
  PoolTokens(input, batch);
  PEFT_RETURN_IF_ERROR(cache_.Reserve(
      input.batch, cache_.length() + input.length, options_.max_length));
  PEFT_RETURN_IF_ERROR(executor_.Prepare(batch, cache_));
  // Nothing can fail from here on but a program's own threads.
  PEFT_RETURN_IF_ERROR(RunBatch(input, batch));
  if ((batch.outputs & kLogits) == 0) return Logits();
  const Description& description = base_.description();
  return Logits{executor_.logits(), input.batch, batch.keep,
                description.buffers[description.logits_buffer].width};
}

// An encoder reads nothing that an earlier forward has left.
absl::Status SessionCore::RunBatch(const ForwardInput& input,
                                   const ForwardBatch& batch) {
  const PoolCheck pool_check(pool_);
  if (rope_.has_value()) rope_->Update(NumPositions(input, cache_.length()));
  executor_.Run(batch, rope_.has_value() ? &*rope_ : nullptr, cache_);
  PEFT_RETURN_IF_ERROR(pool_check.status());
  outputs_ = batch.outputs;
  batch_ = batch.batch;
  length_ = batch.length;
  if (!base_.config().is_causal) return absl::OkStatus();
  cache_.Commit(input.batch, input.length, batch.has_padding);
  // They also keep the adapters that wrote the cache alive.
  if (writer_.empty() || !writer_.IsIdentical(*batch.plans)) {
    writer_ = *batch.plans;
  }
  return absl::OkStatus();
}

void SessionCore::PoolTokens(const ForwardInput& input, ForwardBatch& batch) {
  const Pooling pooling = base_.description().pooling;
  if (pooling == Pooling::kNone) return;
  const std::optional<int64_t>& padding = base_.config().pooling_pad_token_id;
  pooled_.assign(input.batch, 0);
  for (int64_t row = 0; row < input.batch; ++row) {
    if (pooling == Pooling::kFirst) continue;
    pooled_[row] =
        padding.has_value()
            ? LastToken(input.ids + row * input.length, input.length, *padding)
            : input.length - 1;
  }
  batch.keep = 1;
  batch.keep_at = pooled_.data();
}

HiddenStates SessionCore::last_hidden_state() const {
  if ((outputs_ & kLastHiddenState) == 0) return {};
  return {executor_.last_hidden_state(), batch_, length_,
          base_.config().hidden_size};
}

HiddenStates SessionCore::pooler_output() const {
  if ((outputs_ & kPoolerOutput) == 0) return {};
  return {executor_.pooler_output(), batch_, 1, base_.config().hidden_size};
}

void SessionCore::Reset() {
  cache_.Clear();
  if (rope_.has_value()) rope_->Reset();
  writer_ = BatchPlan();
}

}  // namespace peft
