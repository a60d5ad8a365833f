#include "peft_c/session.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "peft_c/activation.h"
#include "peft_c/arguments.h"
#include "peft_c/model.h"
#include "peft_c/struct_size.h"
#include "peft_cc/base/error.h"

namespace peft {

absl::StatusOr<SessionUse> SessionUse::Begin(const peft_session_t* handle) {
  PEFT_ASSIGN_OR_RETURN(auto object, Lookup("session", handle));
  if (!object->is_busy.exchange(true)) return SessionUse(std::move(object));
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kSessionBusy,
      "the session is in use by another call that has not ended, on another "
      "thread or around this callback; make a session per conversation");
}

absl::StatusOr<ForwardInput> InputOf(const peft_forward_input_t* input) {
  peft_forward_input_t known = PEFT_FORWARD_INPUT_INIT;
  PEFT_RETURN_IF_ERROR(ReadStruct("input", input, &known));
  ForwardInput result;
  result.ids = known.ids;
  result.batch = known.batch;
  result.length = known.length;
  result.attention_mask = known.attention_mask;
  result.position_ids = known.position_ids;
  result.token_type_ids = known.token_type_ids;
  return result;
}

namespace {

absl::StatusOr<SessionOptions> OptionsOf(
    const peft_session_options_t* options) {
  peft_session_options_t known = PEFT_SESSION_OPTIONS_INIT;
  PEFT_RETURN_IF_ERROR(ReadOptions(options, &known));
  SessionOptions result;
  result.max_length = known.max_length;
  PEFT_ASSIGN_OR_RETURN(
      result.round_activations,
      FlagArgument("options.round_activations", known.round_activations));
  return result;
}

absl::StatusOr<ForwardOptions> OptionsOf(const peft_forward_options_t& known) {
  ForwardOptions result;
  result.logits_to_keep = known.logits_to_keep;
  PEFT_ASSIGN_OR_RETURN(result.allow_activation_change,
                        FlagArgument("options.allow_activation_change",
                                     known.allow_activation_change));
  if (known.outputs < 0) {
    return BadArgument("options.outputs",
                       absl::StrCat("is ", known.outputs,
                                    ", expected a sum of PEFT_OUTPUT_..."));
  }
  result.outputs = static_cast<uint32_t>(known.outputs);
  return result;
}

absl::StatusOr<Logits> Forward(const SessionUse& session,
                               const peft_forward_input_t* input,
                               const peft_forward_options_t* options,
                               bool wants_logits) {
  peft_forward_options_t known = PEFT_FORWARD_OPTIONS_INIT;
  PEFT_RETURN_IF_ERROR(ReadOptions(options, &known));
  PEFT_ASSIGN_OR_RETURN(const ForwardInput tokens, InputOf(input));
  PEFT_ASSIGN_OR_RETURN(ForwardOptions checked, OptionsOf(known));
  if (wants_logits) checked.outputs |= kLogits;
  const RowOptions rows = {known.adapter_names, known.num_adapter_names,
                           known.activations, known.num_activations};
  PEFT_ASSIGN_OR_RETURN(const std::optional<BatchPlan> plans,
                        ReadRows(rows, tokens.batch, *session.object().model));
  if (plans.has_value()) checked.plans = &*plans;
  session.object().ForgetOutputs();
  return session->Forward(tokens, checked);
}

// Remembers what a forward gave back. A sequence that has one row of logits, or
// is pooled, has no axis of positions.
void KeepOutputs(const Logits& logits, SessionObject& object) {
  const Description& description = object.model->base().description();
  const HiddenStates hidden = object.session->last_hidden_state();
  const HiddenStates pooled = object.session->pooler_output();
  if (description.pooling == Pooling::kNone) {
    object.logits = {
        logits.data, 3, {logits.batch, logits.positions, logits.vocabulary}};
  } else {
    object.logits = {logits.data, 2, {logits.batch, logits.vocabulary}};
  }
  object.last_hidden_state = {
      hidden.data, 3, {hidden.batch, hidden.positions, hidden.width}};
  object.pooler_output = {pooled.data, 2, {pooled.batch, pooled.width}};
}

void WriteOutput(const SessionObject::Output& output,
                 peft_tensor_view_t* out_view) {
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  view.data = output.data;
  view.dtype = PEFT_DTYPE_F32;
  view.rank = output.rank;
  view.sizes = output.sizes;
  WriteOutStruct(view, out_view);
}

absl::StatusOr<const SessionObject::Output*> FindOutput(
    const SessionObject& object, int32_t output) {
  const SessionObject::Output* found = nullptr;
  switch (output) {
    case PEFT_OUTPUT_LOGITS:
      found = &object.logits;
      break;
    case PEFT_OUTPUT_LAST_HIDDEN_STATE:
      found = &object.last_hidden_state;
      break;
    case PEFT_OUTPUT_POOLER_OUTPUT:
      found = &object.pooler_output;
      break;
    default:
      return BadArgument("output", absl::StrCat("is ", output,
                                                ", expected a "
                                                "PEFT_OUTPUT_..."));
  }
  if (found->data != nullptr) return found;
  return MakeError(
      absl::StatusCode::kFailedPrecondition, error_id::kOutputNotComputed,
      absl::StrCat("output ", output,
                   " was not computed by the session's last "
                   "call; ask for it in the outputs of a forward"));
}

}  // namespace
}  // namespace peft

void peft_session_options_init(peft_session_options_t* options,
                               size_t struct_size) {
  static constexpr peft_session_options_t kDefaults = PEFT_SESSION_OPTIONS_INIT;
  peft::InitStruct(kDefaults, options, struct_size);
}

peft_status_t* peft_session_create(const peft_model_t* model,
                                   const peft_session_options_t* options,
                                   peft_session_t** out_session) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOut("out_session", out_session));
    auto made = std::make_shared<peft::SessionObject>();
    PEFT_ASSIGN_OR_RETURN(made->model, peft::Lookup("model", model));
    PEFT_ASSIGN_OR_RETURN(const peft::SessionOptions known,
                          peft::OptionsOf(options));
    PEFT_ASSIGN_OR_RETURN(made->session,
                          peft::Session::Create(*made->model, known));
    return peft::NewHandle(std::move(made), out_session);
  });
}

void peft_session_free(peft_session_t* session) {
  peft::FreeHandle("peft_session_free", session);
}

peft_status_t* peft_session_reset(peft_session_t* session) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_ASSIGN_OR_RETURN(const peft::SessionUse use,
                          peft::SessionUse::Begin(session));
    use.object().ForgetOutputs();
    use->Reset();
    return absl::OkStatus();
  });
}

int64_t peft_session_cache_length(const peft_session_t* session) {
  return peft::GuardValue(int64_t{0}, [&] {
    const auto use = peft::SessionUse::Begin(session);
    return use.ok() ? (*use)->cache_length() : 0;
  });
}

void peft_forward_input_init(peft_forward_input_t* input, size_t struct_size) {
  static constexpr peft_forward_input_t kDefaults = PEFT_FORWARD_INPUT_INIT;
  peft::InitStruct(kDefaults, input, struct_size);
}

void peft_forward_options_init(peft_forward_options_t* options,
                               size_t struct_size) {
  static constexpr peft_forward_options_t kDefaults = PEFT_FORWARD_OPTIONS_INIT;
  peft::InitStruct(kDefaults, options, struct_size);
}

peft_status_t* peft_session_forward(peft_session_t* session,
                                    const peft_forward_input_t* input,
                                    const peft_forward_options_t* options,
                                    peft_tensor_view_t* out_logits) {
  return peft::Guard([&]() -> absl::Status {
    if (out_logits != nullptr) {
      PEFT_RETURN_IF_ERROR(peft::ClearOutStruct("out_logits", out_logits));
    }
    PEFT_ASSIGN_OR_RETURN(const peft::SessionUse use,
                          peft::SessionUse::Begin(session));
    PEFT_ASSIGN_OR_RETURN(
        const peft::Logits logits,
        peft::Forward(use, input, options, out_logits != nullptr));
    peft::KeepOutputs(logits, use.object());
    if (out_logits != nullptr) {
      peft::WriteOutput(use.object().logits, out_logits);
    }
    return absl::OkStatus();
  });
}

peft_status_t* peft_session_get_output(peft_session_t* session, int32_t output,
                                       peft_tensor_view_t* out_view) {
  return peft::Guard([&]() -> absl::Status {
    PEFT_RETURN_IF_ERROR(peft::ClearOutStruct("out_view", out_view));
    PEFT_ASSIGN_OR_RETURN(const peft::SessionUse use,
                          peft::SessionUse::Begin(session));
    PEFT_ASSIGN_OR_RETURN(const peft::SessionObject::Output* found,
                          peft::FindOutput(use.object(), output));
    peft::WriteOutput(*found, out_view);
    return absl::OkStatus();
  });
}
