// What the steps of a scenario share when they run through peft.hpp.
#ifndef TESTING_SCENARIO_CC_STATE_H_
#define TESTING_SCENARIO_CC_STATE_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"
#include "peft_c/peft.hpp"

namespace scenario {

using Json = nlohmann::json;

struct State {
  // That of scenario.json, and an empty one for what begins with "$TMP/".
  std::string folder;
  std::string temporary;
  peft::Model model;
  peft::Session session;
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

// Where the path in argument `key` leads.
std::string PathOf(const Json& step, const char* key, const State& state);

// Of a call that gives nothing.
inline Outcome Done(peft::Status status) {
  if (!status.ok()) return status;
  return Json::object();
}

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

}  // namespace scenario

#endif  // TESTING_SCENARIO_CC_STATE_H_
