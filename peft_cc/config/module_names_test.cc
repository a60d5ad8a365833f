#include "peft_cc/config/module_names.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace peft {
namespace {

using Strings = std::vector<std::string>;

Strings Minimal(const Strings& names,
                const std::vector<absl::string_view>& all) {
  Strings minimal = MinimalNames(ModuleNames(names), all);
  std::sort(minimal.begin(), minimal.end());
  return minimal;
}

TEST(ModuleNamesTest, FindsDottedSuffixesOnly) {
  const ModuleNames names({"q_proj", "attn.k_proj"});
  EXPECT_TRUE(names.HasSuffixOf("m.q_proj"));
  EXPECT_TRUE(names.HasSuffixOf("m.attn.k_proj"));
  EXPECT_FALSE(names.HasSuffixOf("q_proj"));
  EXPECT_FALSE(names.HasSuffixOf("m.xq_proj"));
  EXPECT_FALSE(names.HasSuffixOf("m.k_proj"));
  EXPECT_FALSE(names.HasSuffixOf("m.q_proj.x"));
  EXPECT_TRUE(names.Has("q_proj"));
  EXPECT_FALSE(names.Has("m.q_proj"));
}

TEST(ModuleNamesTest, ShrinksToSuffixesThatHitNothingElse) {
  EXPECT_EQ(Minimal({"a.0.q", "a.1.q", "a.0.v", "a.1.v"},
                    {"a", "a.0", "a.0.q", "a.0.v", "a.0.k", "a.1.q", "a.1.v"}),
            (Strings{"q", "v"}));
  EXPECT_EQ(Minimal({"a.0.q", "a.1.q"}, {"a.0.q", "a.1.q", "b.0.q"}),
            (Strings{"1.q", "a.0.q"}));
}

TEST(ModuleNamesTest, NamesWithoutModulesAreShrunkAsWell) {
  EXPECT_EQ(Minimal({"x.y", "z"}, {"a.b"}), (Strings{"y", "z"}));
}

}  // namespace
}  // namespace peft
