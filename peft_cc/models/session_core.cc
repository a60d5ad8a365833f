#include "peft_cc/models/session_core.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
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

absl::Status CheckPositions(const ForwardInput& input) {
  if (input.position_ids == nullptr) return absl::OkStatus();
  for (int64_t i = 0; i < input.batch * input.length; ++i) {
    const int64_t position = input.position_ids[i];
    if (position >= 0 && position < kMaxPosition) continue;
    return ArgumentError(
        absl::StrCat("position id ", position, " at ", At(input, i),
                     " is negative or too large"),
        {"position_ids", absl::StrCat("0 to ", kMaxPosition - 1),
         absl::StrCat(position)});
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
  batch.batch = input.batch;
  batch.length = input.length;
  batch.keep = logits_to_keep == 0 ? input.length
                                   : std::min(logits_to_keep, input.length);
  batch.has_padding = HasPadding(input);
  batch.plans = &plans;
  batch.gate_tokens = gate_tokens;
  return batch;
}

}  // namespace

SessionCore::SessionCore(const BaseModel& base, kernels::ThreadPool& pool,
                         const SessionOptions& options)
    : base_(base),
      options_(options),
      cache_(base.description().num_layers,
             base.config().num_key_value_heads * base.config().head_dim),
      rope_(base.config().rope, base.config().head_dim,
            base.config().max_position_embeddings),
      executor_(base, pool) {}

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
  return CheckPositions(input);
}

// What depends on what the session has seen before.
absl::Status SessionCore::CheckState(const ForwardInput& input,
                                     const ForwardOptions& options,
                                     const BatchPlan& plans) const {
  if (options.logits_to_keep < 0) {
    return ArgumentError(absl::StrCat("logits_to_keep is ",
                                      options.logits_to_keep,
                                      ", expected 0 (all) or more"));
  }
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
  PEFT_RETURN_IF_ERROR(CheckInput(input));
  PEFT_RETURN_IF_ERROR(CheckState(input, options, plans));
  const ForwardBatch batch =
      MakeBatch(input, options.logits_to_keep, plans, gate_tokens);
  PEFT_RETURN_IF_ERROR(cache_.Reserve(
      input.batch, cache_.length() + input.length, options_.max_length));
  PEFT_RETURN_IF_ERROR(executor_.Prepare(batch, cache_));
  // Nothing can fail from here on.
  rope_.Update(NumPositions(input, cache_.length()));
  executor_.Run(batch, rope_, cache_);
  cache_.Commit(input.batch, input.length, batch.has_padding);
  // They also keep the adapters that wrote the cache alive.
  if (writer_.empty() || !writer_.IsIdentical(plans)) writer_ = plans;
  return Logits{executor_.logits(), input.batch, batch.keep,
                base_.config().vocab_size};
}

void SessionCore::Reset() {
  cache_.Clear();
  rope_.Reset();
  writer_ = BatchPlan();
}

}  // namespace peft
