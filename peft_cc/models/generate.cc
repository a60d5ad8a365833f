#include "peft_cc/models/generate.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/float_buffer.h"
#include "peft_cc/models/sampler.h"

namespace peft {
namespace {

// Room for so many tokens is made at once, so that a step allocates nothing.
constexpr int64_t kMaxReservedTokens = 1 << 16;

// An empty sequence would end every row at once.
absl::Status CheckStopSequences(const GenerateOptions& options) {
  for (const std::vector<int64_t>& sequence : options.stop_sequences) {
    if (sequence.empty()) {
      return ArgumentError("stop_sequences: a sequence is empty");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLength(const ForwardInput& input,
                         const GenerateOptions& options, int64_t max_length) {
  if (options.max_new_tokens < 1) {
    return ArgumentError(absl::StrCat(
        "max_new_tokens is ", options.max_new_tokens, ", expected at least 1"));
  }
  // The last token is not run, so it needs no position.
  const int64_t new_positions = options.max_new_tokens - 1;
  if (max_length == 0 || (input.length <= max_length &&
                          new_positions <= max_length - input.length)) {
    return absl::OkStatus();
  }
  return MakeError(
      absl::StatusCode::kResourceExhausted, error_id::kSequenceTooLong,
      absl::StrCat("a prompt of ", input.length, " positions and ",
                   options.max_new_tokens,
                   " new tokens do not fit the session's max_length of ",
                   max_length),
      {"max_length", absl::StrCat(max_length),
       absl::StrCat(input.length, " + ", new_positions)});
}

// The position that the last token to run may get. Positions count what the
// mask shows.
int64_t GreatestPosition(const ForwardInput& input, int64_t max_new_tokens) {
  int64_t longest = 0;
  for (int64_t row = 0; row < input.batch; ++row) {
    int64_t shown = input.length;
    if (input.attention_mask != nullptr) {
      const int64_t* const begin = input.attention_mask + row * input.length;
      shown -= std::count(begin, begin + input.length, 0);
    }
    longest = std::max(longest, shown);
  }
  // Far beyond any table, and no sum of it overflows.
  constexpr int64_t kMany = int64_t{1} << 40;
  return longest + std::min(max_new_tokens - 1, kMany) - 1;
}

bool EndsWith(const std::vector<int64_t>& tokens,
              const std::vector<int64_t>& end) {
  return tokens.size() >= end.size() &&
         std::equal(end.begin(), end.end(), tokens.end() - end.size());
}

// One run of generate: greedy or sampled, all rows in step.
class Generator {
 public:
  Generator(SessionCore& session, const ForwardInput& prompt,
            const GenerateOptions& options, const BatchPlan& plans)
      : session_(session),
        prompt_(prompt),
        options_(options),
        plans_(plans),
        rows_(prompt.batch),
        sampler_(options, session.base().config().vocab_size, prompt.batch),
        next_ids_(rows_, PadToken()),
        next_mask_(rows_, 1),
        next_types_(prompt.token_type_ids == nullptr ? 0 : rows_),
        positions_(rows_, 0),
        is_done_(rows_, false) {
    output_.tokens.resize(rows_);
    output_.finish_reasons.assign(rows_, FinishReason::kLength);
    for (std::vector<int64_t>& tokens : output_.tokens) {
      tokens.reserve(std::min(options.max_new_tokens, kMaxReservedTokens));
    }
    if (!options.ignore_eos) {
      eos_ = options.eos_token_ids.empty()
                 ? session.base().config().eos_token_ids
                 : options.eos_token_ids;
    }
    ReadPrompt();
  }

  absl::Status Run() {
    ForwardInput input = prompt_;
    input.position_ids = prompt_positions_.data();
    ForwardOptions forward_options;
    forward_options.logits_to_keep = 1;
    for (int64_t step = 0; step < options_.max_new_tokens; ++step) {
      PEFT_ASSIGN_OR_RETURN(
          const Logits logits,
          session_.Forward(input, forward_options, plans_, prompt_.length));
      PEFT_RETURN_IF_ERROR(TakeTokens(logits));
      if (num_done_ == rows_) break;
      input = NextInput();
    }
    return absl::OkStatus();
  }

  GenerateOutput TakeOutput() { return std::move(output_); }

 private:
  // What ended rows are fed; any token of the vocabulary will do, as nothing
  // attends to it.
  int64_t PadToken() const {
    const ModelConfig& config = session_.base().config();
    const int64_t pad = config.pad_token_id.value_or(0);
    return pad >= 0 && pad < config.vocab_size ? pad : 0;
  }

  bool IsVisible(int64_t row, int64_t column) const {
    return prompt_.attention_mask == nullptr ||
           prompt_.attention_mask[row * prompt_.length + column] != 0;
  }

  // Positions count what the mask shows (0 under padding); the penalty knows
  // what comes after the padding on the left.
  void ReadPrompt() {
    prompt_positions_.resize(rows_ * prompt_.length);
    for (int64_t row = 0; row < rows_; ++row) {
      int64_t position = 0;
      for (int64_t i = 0; i < prompt_.length; ++i) {
        const int64_t index = row * prompt_.length + i;
        const bool visible = IsVisible(row, i);
        prompt_positions_[index] = visible ? position++ : 0;
        if (position > 0) sampler_.Observe(row, prompt_.ids[index]);
      }
      positions_[row] = position - 1;
      if (next_types_.empty()) continue;
      next_types_[row] = prompt_.token_type_ids[(row + 1) * prompt_.length - 1];
    }
  }

  // Chooses a token for every row that goes on. The callback comes last, so
  // that what it sees is in the output when it cancels.
  absl::Status TakeTokens(const Logits& logits) {
    for (int64_t row = 0; row < rows_; ++row) {
      if (is_done_[row]) continue;
      PEFT_ASSIGN_OR_RETURN(
          const int64_t token,
          sampler_.Next(row, logits.data + row * logits.vocabulary));
      sampler_.Observe(row, token);
      output_.tokens[row].push_back(token);
      next_ids_[row] = token;
      CheckEnd(row, token);
      if (options_.on_token && !options_.on_token(row, token)) {
        return MakeError(absl::StatusCode::kCancelled, error_id::kCancelled,
                         "the token callback cancelled the generation");
      }
    }
    return absl::OkStatus();
  }

  // An end token counts before a stop sequence that it completes.
  void CheckEnd(int64_t row, int64_t token) {
    const std::vector<int64_t>& tokens = output_.tokens[row];
    if (std::find(eos_.begin(), eos_.end(), token) != eos_.end()) {
      Finish(row, FinishReason::kEos);
      return;
    }
    for (const std::vector<int64_t>& sequence : options_.stop_sequences) {
      if (EndsWith(tokens, sequence)) {
        Finish(row, FinishReason::kStop);
        return;
      }
    }
  }

  void Finish(int64_t row, FinishReason reason) {
    output_.finish_reasons[row] = reason;
    is_done_[row] = true;
    ++num_done_;
  }

  // One token per row. Rows that ended go on as padding.
  ForwardInput NextInput() {
    for (int64_t row = 0; row < rows_; ++row) {
      if (is_done_[row]) {
        next_ids_[row] = PadToken();
        next_mask_[row] = 0;
      }
    }
    for (int64_t& position : positions_) ++position;
    ForwardInput input;
    input.ids = next_ids_.data();
    input.batch = rows_;
    input.length = 1;
    input.attention_mask = num_done_ > 0 ? next_mask_.data() : nullptr;
    input.position_ids = positions_.data();
    if (!next_types_.empty()) input.token_type_ids = next_types_.data();
    return input;
  }

  SessionCore& session_;
  const ForwardInput prompt_;
  const GenerateOptions& options_;
  const BatchPlan& plans_;
  const int64_t rows_;
  Sampler sampler_;
  std::vector<int64_t> eos_;
  std::vector<int64_t> prompt_positions_;
  std::vector<int64_t> next_ids_;
  std::vector<int64_t> next_mask_;
  std::vector<int64_t> next_types_;  // of each prompt's last token
  std::vector<int64_t> positions_;   // of each row's last token
  std::vector<bool> is_done_;
  int64_t num_done_ = 0;
  GenerateOutput output_;
};

}  // namespace

absl::StatusOr<GenerateOutput> RunGenerate(SessionCore& session,
                                           const ForwardInput& input,
                                           const GenerateOptions& options,
                                           const BatchPlan& plans,
                                           GenerateOutput* out_partial) {
  if (out_partial != nullptr) *out_partial = GenerateOutput();
  PEFT_RETURN_IF_ERROR(session.CheckGenerates());
  PEFT_RETURN_IF_ERROR(session.CheckInput(input));
  if (input.position_ids != nullptr) {
    return ArgumentError(
        "position_ids cannot be given to generate, which counts positions from "
        "attention_mask; use forward");
  }
  PEFT_RETURN_IF_ERROR(CheckSamplingOptions(options));
  PEFT_RETURN_IF_ERROR(CheckStopSequences(options));
  PEFT_RETURN_IF_ERROR(CheckLength(input, options, session.max_length()));
  PEFT_RETURN_IF_ERROR(
      session.CheckTable(GreatestPosition(input, options.max_new_tokens) + 1));
  session.Reset();
  Generator generator(session, input, options, plans);
  const absl::Status status = generator.Run();
  GenerateOutput output = generator.TakeOutput();
  if (status.ok()) return output;
  if (out_partial != nullptr) *out_partial = std::move(output);
  return status;
}

}  // namespace peft
