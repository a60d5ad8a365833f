#include "peft_cc/adapters/site.h"

#include <utility>

#include "gtest/gtest.h"
#include "peft_cc/adapters/tiny_model.h"

namespace peft {
namespace {

TEST(SiteTableTest, FindsEverySiteByName) {
  const SiteTable sites = TinySites();
  for (size_t i = 0; i < sites.sites().size(); ++i) {
    EXPECT_EQ(sites.Find(sites.sites()[i].name), static_cast<int>(i));
  }
}

// The index points into the names.
TEST(SiteTableTest, FindsSitesAfterAMove) {
  SiteTable made = TinySites();
  const SiteTable sites = std::move(made);
  EXPECT_EQ(sites.Find(sites.sites()[1].name), 1);
}

TEST(SiteTableTest, ContainersAndUnknownNamesAreNoSites) {
  const SiteTable sites = TinySites();
  EXPECT_EQ(sites.Find("model.layers.0"), -1);
  EXPECT_EQ(sites.Find("absent"), -1);
  EXPECT_EQ(SiteTable().Find(""), -1);
}

TEST(SiteTest, BiasIsOptional) {
  const SiteTable sites = TinySites();
  const auto has_bias = [&](const char* name) {
    return sites.sites()[sites.Find(name)].has_bias();
  };
  EXPECT_TRUE(has_bias("model.layers.0.self_attn.q_proj"));
  EXPECT_FALSE(has_bias("model.layers.0.self_attn.o_proj"));
}

}  // namespace
}  // namespace peft
