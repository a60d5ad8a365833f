// What the steps of a scenario share when they run through peft.hpp.
#ifndef TESTING_SCENARIO_CC_STATE_H_
#define TESTING_SCENARIO_CC_STATE_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"
#include "peft_c/peft.hpp"

namespace scenario {

using Json = nlohmann::json;

// A tensor in the program's own memory.
struct HostTensor {
  std::vector<int64_t> sizes;
  std::vector<float> values;
};

struct State {
  // That of scenario.json, and an empty one for what begins with "$TMP/".
  std::string folder;
  std::string temporary;
  // Those that the model's layers may use.
  std::map<std::string, HostTensor> weights;
  peft::Model model;
  peft::Session session;
  peft::LayerRunner runner;
  std::map<std::string, peft::Activation> activations;
  // Logits by the name of save_as.
  std::map<std::string, std::vector<float>> saved;
};

// What a verb gave: an object with the keys of `expect`, and maybe "problem", a
// text, where it did not do what the step says.
using Outcome = peft::Result<Json>;
using Verb = Outcome (*)(const Json& step, State* state);

// The verbs by name.
std::map<std::string, Verb> ModelVerbs();
std::map<std::string, Verb> AdapterVerbs();
std::map<std::string, Verb> HostVerbs();

// -- What a step says

// Where the path in argument `key` leads.
std::string PathOf(const Json& step, const char* key, const State& state);

// An argument, or what it is where the step has none.
template <typename T>
T Get(const Json& step, const char* key, T otherwise = T()) {
  return step.value(key, std::move(otherwise));
}

// The flags of a step are 0 or 1.
inline bool IsSet(const Json& step, const char* flag) {
  return step.value(flag, 0) != 0;
}

// A list of names.
inline std::vector<std::string> NamesOf(const Json& step) {
  return step.at("names").get<std::vector<std::string>>();
}

// Sets which adapters the rows run under.
template <typename Options>
void SetRows(const Json& step, const State& state, Options* options) {
  options->adapter_names =
      step.value("adapter_names", std::vector<std::string>());
  for (const auto& name :
       step.value("activations", std::vector<std::string>())) {
    options->activations.push_back(name.empty() ? nullptr
                                                : &state.activations.at(name));
  }
}

// -- What becomes of the state

// Options for one thread.
peft::ModelOptions OneThread();
// Makes the model the scenario's, without a session; or the reason why not.
Outcome TakeModel(peft::Result<peft::Model> model, State* state);
// The same with a session, and what is known of the model.
Outcome TakeOpened(peft::Result<peft::Model> model, State* state);
Outcome ModelInfo(const State& state);

// -- What a verb gave

// Of a call that gives nothing.
inline Outcome Done(peft::Status status) {
  if (!status.ok()) return status;
  return Json::object();
}

// A load report.
Outcome Reported(peft::Status status, const peft::LoadReport& report);
// A text that is JSON.
Outcome Parsed(peft::Result<std::string> text);
// The shape of a tensor, and its elements, which must be f32, under `key`.
Outcome Numbers(const peft::TensorView& view, const char* key);
// Element type, shape and hash of a tensor.
Json Described(const peft::TensorView& view);

}  // namespace scenario

#endif  // TESTING_SCENARIO_CC_STATE_H_
