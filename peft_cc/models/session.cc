#include "peft_cc/models/session.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/models/generate.h"
#include "peft_cc/models/session_core.h"

namespace peft {

Session::Session(const Model& model, std::unique_ptr<SessionCore> core)
    : model_(model), core_(std::move(core)) {}

Session::~Session() = default;

absl::StatusOr<std::unique_ptr<Session>> Session::Create(
    const Model& model, const SessionOptions& options) {
  if (options.max_length < 0) {
    return ArgumentError(absl::StrCat("max_length is ", options.max_length,
                                      ", expected 0 (it grows) or more"));
  }
  if (model.is_host_model()) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, error_id::kModelNotRunnable,
        "the model was made of a program's own layers, which have no forward "
        "here: run them one by one, or open a model's folder");
  }
  auto core =
      std::make_unique<SessionCore>(model.base(), model.pool(), options);
  return std::unique_ptr<Session>(new Session(model, std::move(core)));
}

absl::StatusOr<Logits> Session::Forward(const ForwardInput& input,
                                        const ForwardOptions& options) {
  if (options.plans != nullptr) {
    return core_->Forward(input, options, *options.plans);
  }
  return core_->Forward(input, options, BatchPlan(model_.CurrentPlan()));
}

absl::StatusOr<GenerateOutput> Session::Generate(const ForwardInput& input,
                                                 const GenerateOptions& options,
                                                 GenerateOutput* out_partial) {
  const BatchPlan plans = options.plans != nullptr
                              ? *options.plans
                              : BatchPlan(model_.CurrentPlan());
  return RunGenerate(*core_, input, options, plans, out_partial);
}

HiddenStates Session::last_hidden_state() const {
  return core_->last_hidden_state();
}

HiddenStates Session::pooler_output() const { return core_->pooler_output(); }

void Session::Reset() { core_->Reset(); }

int64_t Session::cache_length() const { return core_->cache_length(); }

}  // namespace peft
