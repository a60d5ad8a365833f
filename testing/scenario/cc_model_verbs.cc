#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "testing/scenario/cc_state.h"

namespace scenario {
namespace {

using Rows = std::vector<std::vector<int64_t>>;

std::vector<int64_t> Flat(const Rows& rows) {
  std::vector<int64_t> flat;
  for (const auto& row : rows) flat.insert(flat.end(), row.begin(), row.end());
  return flat;
}

// The tokens of a step.
struct Input {
  explicit Input(const Json& step)
      : ids(Flat(step.at("ids").get<Rows>())),
        mask(Flat(Get<Rows>(step, "attention_mask"))),
        input(ids, static_cast<int64_t>(step.at("ids").size())) {
    input.attention_mask = mask;
  }
  std::vector<int64_t> ids;
  std::vector<int64_t> mask;
  peft::ForwardInput input;
};

Outcome CreateSession(const Json& step, State* state) {
  peft::SessionOptions options;
  options.max_length = Get<int64_t>(step, "max_length");
  peft::Result<peft::Session> session =
      peft::Session::Create(state->model, options);
  if (!session) return std::move(session).status();
  state->session = *std::move(session);
  return Json::object();
}

Outcome OpenModel(const Json& step, State* state) {
  return TakeOpened(
      peft::Model::Open(PathOf(step, "path", *state), OneThread()), state);
}

Outcome ResetSession(const Json&, State* state) {
  return Done(state->session.Reset());
}

Outcome CacheLength(const Json&, State* state) {
  return Json{{"length", state->session.CacheLength()}};
}

peft::Output OutputOf(const std::string& name) {
  return name == "logits"              ? peft::Output::kLogits
         : name == "last_hidden_state" ? peft::Output::kLastHiddenState
                                       : peft::Output::kPoolerOutput;
}

// Keeps or compares the logits, as the step says.
Outcome Remember(const Json& step, const peft::TensorView& logits,
                 State* state) {
  Outcome outcome = Numbers(logits, "logits");
  const std::vector<float> values = *logits.Copy<float>();
  if (step.contains("save_as")) state->saved[step["save_as"]] = values;
  if (!step.contains("equal_to")) return outcome;
  const std::vector<float>& saved = state->saved.at(step["equal_to"]);
  if (saved.size() != values.size() ||
      std::memcmp(saved.data(), values.data(), 4 * values.size()) != 0) {
    (*outcome)["problem"] = "not equal bit by bit";
  }
  return outcome;
}

Outcome Forward(const Json& step, State* state) {
  if (!IsSet(step, "keep_cache")) {
    peft::Status status = state->session.Reset();
    if (!status.ok()) return status;
  }
  const Input input(step);
  peft::ForwardOptions options;
  options.logits_to_keep = Get<int64_t>(step, "logits_to_keep");
  SetRows(step, *state, &options);
  if (step.contains("outputs")) {
    for (const Json& name : step["outputs"]) {
      options.outputs = options.outputs | OutputOf(name);
    }
    return Done(state->session.Forward(input.input, options));
  }
  auto logits = state->session.ForwardLogits(input.input, options);
  if (!logits) return std::move(logits).status();
  return Remember(step, *logits, state);
}

Outcome GetOutput(const Json& step, State* state) {
  auto view = state->session.GetOutput(OutputOf(step.at("output")));
  if (!view) return std::move(view).status();
  return Numbers(*view, "values");
}

Json Generated(const peft::GenerateResult& result) {
  static constexpr const char* kFinish[] = {"", "length", "eos", "stop"};
  Json found = {{"tokens", Json::array()}, {"finish", Json::array()}};
  for (size_t row = 0; row < result.NumRows(); ++row) {
    const peft::Span<const int64_t> tokens = result.Tokens(row);
    found["tokens"].push_back(
        std::vector<int64_t>(tokens.begin(), tokens.end()));
    found["finish"].push_back(kFinish[static_cast<int>(result.Finish(row))]);
  }
  return found;
}

Outcome Generate(const Json& step, State* state) {
  const Input input(step);
  peft::GenerateOptions options;
  options.max_new_tokens = step.at("max_new_tokens");
  options.ignore_eos = IsSet(step, "ignore_eos");
  options.eos_token_ids = Get<std::vector<int64_t>>(step, "eos_token_ids");
  options.stop_sequences = Get<Rows>(step, "stop_sequences");
  SetRows(step, *state, &options);
  Rows streamed(step.at("ids").size());
  int calls = 0;
  if (IsSet(step, "stream") || step.contains("cancel_after")) {
    options.on_token = [&](int64_t row, int64_t token) {
      streamed[static_cast<size_t>(row)].push_back(token);
      return ++calls != step.value("cancel_after", -1);
    };
  }
  auto result = state->session.Generate(input.input, options);
  if (!result) return std::move(result).status();
  Json found = Generated(*result);
  if (IsSet(step, "stream") && found["tokens"] != Json(streamed)) {
    found["problem"] = "streamed " + Json(streamed).dump();
  }
  return found;
}

}  // namespace

std::map<std::string, Verb> ModelVerbs() {
  return {{"open_model", OpenModel},
          {"create_session", CreateSession},
          {"reset_session", ResetSession},
          {"cache_length", CacheLength},
          {"forward", Forward},
          {"get_output", GetOutput},
          {"generate", Generate}};
}

}  // namespace scenario
