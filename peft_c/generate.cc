// Generate and its results.

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "peft_c/activation.h"
#include "peft_c/arguments.h"
#include "peft_c/session.h"
#include "peft_c/struct_size.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/utf8.h"

namespace peft {

template <>
struct HandleTraits<peft_generate_result_t> {
  using Object = const GenerateOutput;
  static constexpr HandleKind kKind = HandleKind::kGenerateResult;
};

namespace {

// The program's on_token. An exception that leaves it stops generation like a
// refusal, instead of unwinding through the engine.
class TokenCallback {
 public:
  TokenCallback(peft_token_fn function, void* user_data)
      : function_(function), user_data_(user_data) {}

  bool Call(int64_t row, int64_t token) {
    try {
      return function_(user_data_, row, token) == 0;
    } catch (const std::exception& exception) {
      problem_ = Printable(exception.what());
    } catch (...) {
      problem_ = "of a type that is no std::exception";
    }
    return false;
  }

  // `status`, which generate gave, with what the callback threw.
  absl::Status Explain(const absl::Status& status) const {
    if (problem_.empty()) return status;
    return MakeError(absl::StatusCode::kCancelled, error_id::kCancelled,
                     absl::StrCat("on_token threw an exception: ", problem_));
  }

 private:
  peft_token_fn function_;
  void* user_data_;
  std::string problem_;
};

absl::Status ReadStops(const peft_generate_options_t& options,
                       std::vector<std::vector<int64_t>>* stops) {
  PEFT_ASSIGN_OR_RETURN(
      const auto lengths,
      ArrayArgument("options.stop_sequence_lengths",
                    options.stop_sequence_lengths, options.num_stop_sequences));
  const int64_t* next = options.stop_tokens;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const std::string name =
        absl::StrCat("options.stop_sequence_lengths[", i, "]");
    if (lengths[i] == 0) return BadArgument(name, "is 0");
    if (lengths[i] > kMaxCount) return BadArgument(name, "is too large");
    if (next == nullptr) return BadArgument("options.stop_tokens", "is NULL");
    stops->emplace_back(next, next + lengths[i]);
    next += lengths[i];
  }
  return absl::OkStatus();
}

// The ranges of the numbers are the engine's to check.
absl::StatusOr<GenerateOptions> OptionsOf(
    const peft_generate_options_t& options, TokenCallback* callback) {
  GenerateOptions result;
  result.max_new_tokens = options.max_new_tokens;
  PEFT_ASSIGN_OR_RETURN(result.do_sample,
                        FlagArgument("options.do_sample", options.do_sample));
  result.temperature = options.temperature;
  result.top_k = options.top_k;
  result.top_p = options.top_p;
  result.min_p = options.min_p;
  result.repetition_penalty = options.repetition_penalty;
  result.seed = options.seed;
  PEFT_ASSIGN_OR_RETURN(
      const auto eos,
      ArrayArgument("options.eos_token_ids", options.eos_token_ids,
                    options.num_eos_token_ids));
  result.eos_token_ids.assign(eos.begin(), eos.end());
  PEFT_ASSIGN_OR_RETURN(result.ignore_eos,
                        FlagArgument("options.ignore_eos", options.ignore_eos));
  PEFT_RETURN_IF_ERROR(ReadStops(options, &result.stop_sequences));
  if (options.on_token != nullptr) {
    result.on_token = [callback](int64_t row, int64_t token) {
      return callback->Call(row, token);
    };
  }
  return result;
}

absl::StatusOr<GenerateOutput> Generate(
    const SessionUse& session, const peft_forward_input_t* input,
    const peft_generate_options_t* options) {
  peft_generate_options_t known = PEFT_GENERATE_OPTIONS_INIT;
  PEFT_RETURN_IF_ERROR(ReadOptions(options, &known));
  TokenCallback callback(known.on_token, known.user_data);
  PEFT_ASSIGN_OR_RETURN(const ForwardInput tokens, InputOf(input));
  PEFT_ASSIGN_OR_RETURN(GenerateOptions checked, OptionsOf(known, &callback));
  const RowOptions rows = {known.adapter_names, known.num_adapter_names,
                           known.activations, known.num_activations};
  PEFT_ASSIGN_OR_RETURN(const std::optional<BatchPlan> plans,
                        ReadRows(rows, tokens.batch, *session.object().model));
  if (plans.has_value()) checked.plans = &*plans;
  absl::StatusOr<GenerateOutput> output = session->Generate(tokens, checked);
  if (!output.ok()) return callback.Explain(output.status());
  return output;
}

// True when `result` has a row `row`.
bool HasRow(const std::shared_ptr<const GenerateOutput>& result, size_t row) {
  return result != nullptr && row < result->tokens.size();
}

}  // namespace
}  // namespace peft

void peft_generate_options_init(peft_generate_options_t* options,
                                size_t struct_size) {
  static constexpr peft_generate_options_t kDefaults =
      PEFT_GENERATE_OPTIONS_INIT;
  peft::InitStruct(kDefaults, options, struct_size);
}

peft_status_t* peft_session_generate(peft_session_t* session,
                                     const peft_forward_input_t* input,
                                     const peft_generate_options_t* options,
                                     peft_generate_result_t** out_result) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_result", out_result));
    PEFT_ASSIGN_OR_RETURN(const peft::SessionUse use,
                          peft::SessionUse::Begin(session));
    use.object().ForgetOutputs();
    PEFT_ASSIGN_OR_RETURN(peft::GenerateOutput output,
                          peft::Generate(use, input, options));
    return peft::NewHandle(
        std::make_shared<const peft::GenerateOutput>(std::move(output)),
        out_result);
  });
}

size_t peft_generate_result_num_rows(const peft_generate_result_t* result) {
  return peft::GuardValue(size_t{0}, [&] {
    const auto object = peft::Find(result);
    return object == nullptr ? 0 : object->tokens.size();
  });
}

const int64_t* peft_generate_result_tokens(const peft_generate_result_t* result,
                                           size_t row, size_t* out_num_tokens) {
  constexpr const int64_t* kNone = nullptr;
  if (out_num_tokens != nullptr) *out_num_tokens = 0;
  return peft::GuardValue(kNone, [&] {
    const auto object = peft::Find(result);
    if (!peft::HasRow(object, row)) return kNone;
    const std::vector<int64_t>& tokens = object->tokens[row];
    if (out_num_tokens != nullptr) *out_num_tokens = tokens.size();
    return tokens.data();
  });
}

int32_t peft_generate_result_finish_reason(const peft_generate_result_t* result,
                                           size_t row) {
  return peft::GuardValue(int32_t{0}, [&]() -> int32_t {
    const auto object = peft::Find(result);
    if (!peft::HasRow(object, row)) return 0;
    return static_cast<int32_t>(object->finish_reasons[row]);
  });
}

void peft_generate_result_free(peft_generate_result_t* result) {
  peft::FreeHandle("peft_generate_result_free", result);
}
