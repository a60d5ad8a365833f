// Runs the scenario through peft.hpp.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "testing/scenario/cc_state.h"

namespace scenario {
namespace {

// The largest difference over the largest expected value.
double Error(const std::vector<double>& found,
             const std::vector<double>& expected) {
  if (found.size() != expected.size()) return INFINITY;
  double difference = 0, largest = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    if (!std::isfinite(found[i])) return INFINITY;
    difference = std::max(difference, std::abs(found[i] - expected[i]));
    largest = std::max(largest, std::abs(expected[i]));
  }
  return difference / largest;
}

// Expects that the outcome of a step is what it says.
void Check(const Json& step, const Outcome& outcome, double tolerance) {
  const Json& expect = step.at("expect");
  if (expect.contains("error")) {
    ASSERT_EQ(outcome.status().id(), expect["error"].get<std::string>());
    ASSERT_EQ(static_cast<int>(outcome.status().code()), expect["code"]);
    return;
  }
  ASSERT_TRUE(outcome.ok()) << outcome.status().message();
  ASSERT_FALSE(outcome->contains("problem")) << (*outcome)["problem"];
  for (const auto& [key, expected] : expect.items()) {
    const Json& found = outcome->at(key);
    if (key == "logits" || key == "values") {
      ASSERT_LE(Error(found, expected), tolerance) << key;
    } else {
      ASSERT_EQ(found, expected) << key;
    }
  }
}

void RunSteps(const std::string& name) {
  State state;
  state.folder = "testing/scenario";
  state.temporary = testing::TempDir();
  std::ifstream file(state.folder + "/" + name);
  const Json scenario = Json::parse(file);
  ASSERT_EQ(scenario.at("format"), 1);
  std::map<std::string, Verb> verbs = ModelVerbs();
  verbs.merge(AdapterVerbs());
  verbs.merge(HostVerbs());
  int index = 0;
  for (const Json& step : scenario.at("steps")) {
    const std::string verb = step.at("verb");
    SCOPED_TRACE("step " + std::to_string(index++) + ", " + verb);
    ASSERT_EQ(verbs.count(verb), 1u);
    Check(step, verbs.at(verb)(step, &state), scenario.at("tolerance"));
    if (testing::Test::HasFatalFailure()) return;
  }
  EXPECT_GT(index, 50);
}

TEST(ScenarioTest, PeftHppAgreesAtEachStep) { RunSteps("scenario.json"); }

TEST(ScenarioTest, PeftHppAgreesAtEachStepOfAHost) {
  RunSteps("host_scenario.json");
}

}  // namespace
}  // namespace scenario
