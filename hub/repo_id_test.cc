#include "hub/repo_id.h"

#include <string>

#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

TEST(RepoId, TakesWhatTheHubHas) {
  for (const char* name : {"gpt2", "org/name", "a/b", "Org_1/na.me-x_y", "_/_",
                           "org/name.gi", "0/0"}) {
    EXPECT_TRUE(RepoId::Create(name).ok()) << name;
  }
  EXPECT_TRUE(RepoId::Create(std::string(96, 'a')).ok());
}

TEST(RepoId, RefusesWhatCannotBeOne) {
  for (const char* name :
       {"", "/", "a/", "/a", "a/b/c", "a--b", "a..b", "-a", "a-", ".a", "a.",
        "a b", "org/na:me", "org/name.git", "ö/a", "a/b\n", "..", "~/x"}) {
    const auto id = RepoId::Create(name);
    ASSERT_FALSE(id.ok()) << name;
    EXPECT_EQ(ErrorId(id.status()), "HUB_REPO_ID") << name;
  }
  EXPECT_FALSE(RepoId::Create(std::string(97, 'a')).ok());
}

TEST(RepoId, FoldersAreThoseOfHuggingfaceHub) {
  EXPECT_EQ(RepoId::Create("gpt2")->CacheFolder(), "models--gpt2");
  EXPECT_EQ(RepoId::Create("o/n", RepoType::kDataset)->CacheFolder(),
            "datasets--o--n");
  EXPECT_EQ(RepoId::Create("o/n", RepoType::kSpace)->CacheFolder(),
            "spaces--o--n");
}

TEST(RepoId, OwnedNamesHaveAnOwner) {
  EXPECT_TRUE(IsOwnedName("org/name"));
  EXPECT_FALSE(IsOwnedName("gpt2"));
  EXPECT_FALSE(IsOwnedName("./name"));
  EXPECT_FALSE(IsOwnedName("../name"));
  EXPECT_FALSE(IsOwnedName("/tmp/name"));
}

TEST(IsCommit, IsFortyLowerCaseDigits) {
  const std::string commit = "0123456789abcdef0123456789abcdef01234567";
  EXPECT_TRUE(IsCommit(commit));
  EXPECT_FALSE(IsCommit(commit.substr(1)));
  EXPECT_FALSE(IsCommit(commit + "0"));
  EXPECT_FALSE(IsCommit("A123456789abcdef0123456789abcdef01234567"));
  EXPECT_FALSE(IsCommit("main"));
}

TEST(CheckRevision, TakesBranchesTagsCommitsAndPullRequests) {
  for (const char* revision : {"main", "v1.0", "refs/pr/1", "abc123",
                               "feature/x", "a..b", "release@2"}) {
    EXPECT_TRUE(CheckRevision(revision).ok()) << revision;
  }
}

TEST(CheckRevision, RefusesWhatLeavesItsFolder) {
  for (const char* revision :
       {"", "..", "../main", "refs/../../x", "/etc/passwd", "a//b", "a/", ".",
        "a b", "a\nb", "a\\..\\b"}) {
    const absl::Status status = CheckRevision(revision);
    EXPECT_EQ(ErrorId(status), "HUB_REVISION") << revision;
  }
  EXPECT_FALSE(CheckRevision(std::string(256, 'a')).ok());
}

TEST(CheckFileName, TakesPathsInsideOfTheRepository) {
  for (const char* name :
       {"config.json", "a/b/c.bin", ".gitattributes", "a..b", "...", "ab:c"}) {
    EXPECT_TRUE(CheckFileName(name).ok()) << name;
  }
}

TEST(CheckFileName, RefusesWhatLeavesItOnAnySystem) {
  for (const std::string& name :
       {std::string(), std::string(".."), std::string("../a"),
        std::string("a/../b"), std::string("a\\..\\b"), std::string("/a"),
        std::string("\\a"), std::string("C:"), std::string("C:/a"),
        std::string("D:a"), std::string("a/C:b"), std::string("a//b"),
        std::string("a/"), std::string("\\\\server\\a"),
        std::string("a\0b", 3)}) {
    const absl::Status status = CheckFileName(name);
    EXPECT_EQ(ErrorId(status), "PATH_ESCAPES") << name;
  }
}

}  // namespace
}  // namespace hub
}  // namespace peft
