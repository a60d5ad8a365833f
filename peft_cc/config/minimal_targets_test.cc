#include "peft_cc/config/minimal_targets.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace peft {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

std::vector<std::string> InLayers(const std::string& rest, int count = 12) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) {
    names.push_back(absl::StrCat("model.layers.", i, ".", rest));
  }
  return names;
}

std::vector<std::string> Joined(std::vector<std::string> a,
                                const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(MinimalTargetsTest, LastComponentsAreEnoughWhereNothingElseHasThem) {
  const auto targets =
      Joined(InLayers("self_attn.q_proj"), InLayers("mlp.up_proj"));
  EXPECT_THAT(MinimalTargets(targets, InLayers("self_attn.k_proj")),
              UnorderedElementsAre("q_proj", "up_proj"));
}

TEST(MinimalTargetsTest, OneMoreComponentTellsThemFromOthers) {
  EXPECT_THAT(MinimalTargets(InLayers("attention.output.dense"),
                             InLayers("intermediate.dense")),
              ElementsAre("output.dense"));
}

TEST(MinimalTargetsTest, WholeNamesStayWhereEveryEndIsTaken) {
  const std::vector<std::string> targets = {"model.layers.0.q", "b.q"};
  EXPECT_THAT(MinimalTargets(targets, {"x.model.layers.0.q", "x.b.q"}),
              UnorderedElementsAre("model.layers.0.q", "b.q"));
}

}  // namespace
}  // namespace peft
