#include "peft_cc/base/new_folder.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"

namespace peft {
namespace {

namespace fs = std::filesystem;

class NewFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/new_folder_XXXXXX";
    root_ = mkdtemp(pattern.data());
    target_ = root_ + "/target";
  }
  void TearDown() override { fs::remove_all(root_); }

  static void Write(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }

  static std::string Read(const std::string& path) {
    return ReadTextFile(path, 100).value_or("absent");
  }

  // A new folder for target_ that holds a.txt.
  std::unique_ptr<NewFolder> Make() {
    auto folder = NewFolder::Create(target_);
    EXPECT_TRUE(folder.ok()) << folder.status();
    Write((*folder)->path() + "/a.txt", "new");
    return *std::move(folder);
  }

  // Finds what is left behind beside the target.
  size_t NumNames() const {
    return std::distance(fs::directory_iterator(root_),
                         fs::directory_iterator());
  }

  std::string root_;
  std::string target_;
};

TEST_F(NewFolderTest, AppearsWithItsFilesWhenItIsCommitted) {
  auto folder = Make();
  EXPECT_FALSE(DirectoryExists(target_));
  ASSERT_TRUE(folder->Commit().ok());
  folder.reset();
  EXPECT_EQ(Read(target_ + "/a.txt"), "new");
  EXPECT_EQ(NumNames(), 1u);
}

TEST_F(NewFolderTest, LeavesNothingWhenItIsNotCommitted) {
  Make().reset();
  EXPECT_EQ(NumNames(), 0u);
}

TEST_F(NewFolderTest, ASlashAtTheEndIsNoOtherFolder) {
  target_ += "/";
  ASSERT_TRUE(Make()->Commit().ok());
  EXPECT_EQ(Read(root_ + "/target/a.txt"), "new");
}

TEST_F(NewFolderTest, TakesThePlaceOfAnEmptyFolder) {
  fs::create_directory(target_);
  EXPECT_TRUE(Make()->Commit().ok());
  EXPECT_EQ(Read(target_ + "/a.txt"), "new");
}

TEST_F(NewFolderTest, LeavesAFolderWithFilesAlone) {
  fs::create_directory(target_);
  Write(target_ + "/a.txt", "old");
  const absl::Status status = Make()->Commit();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ErrorId(status), error_id::kFileExists);
  EXPECT_EQ(Read(target_ + "/a.txt"), "old");
  EXPECT_EQ(NumNames(), 1u);
}

TEST_F(NewFolderTest, LeavesAFileAlone) {
  Write(target_, "old");
  EXPECT_EQ(ErrorId(Make()->Commit()), error_id::kFileExists);
  EXPECT_EQ(ErrorId(Make()->CommitOver({})), error_id::kFileExists);
  EXPECT_EQ(Read(target_), "old");
  EXPECT_EQ(NumNames(), 1u);
}

TEST_F(NewFolderTest, ReplacesItsOwnFilesAndKeepsAllOthers) {
  fs::create_directories(target_ + "/folder");
  Write(target_ + "/a.txt", "old");
  Write(target_ + "/gone.txt", "old");
  Write(target_ + "/kept.txt", "kept");
  Write(target_ + "/folder/kept.txt", "kept");
  ASSERT_TRUE(Make()->CommitOver({"a.txt", "gone.txt"}).ok());
  EXPECT_EQ(Read(target_ + "/a.txt"), "new");
  EXPECT_EQ(Read(target_ + "/gone.txt"), "absent");
  EXPECT_EQ(Read(target_ + "/kept.txt"), "kept");
  EXPECT_EQ(Read(target_ + "/folder/kept.txt"), "kept");
  EXPECT_EQ(NumNames(), 1u);
}

TEST_F(NewFolderTest, AFolderInThePlaceOfAReplacedFileIsRefusedAndKept) {
  fs::create_directories(target_ + "/a.txt");
  Write(target_ + "/a.txt/inside", "old");
  const absl::Status status = Make()->CommitOver({"b.txt", "a.txt"});
  EXPECT_EQ(ErrorId(status), error_id::kFileExists) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "/target/a.txt\" is a folder"))
      << status;
  EXPECT_EQ(Read(target_ + "/a.txt/inside"), "old");
  EXPECT_EQ(NumNames(), 1u);
}

TEST_F(NewFolderTest, SaysWhatItsCallerCanDoAboutWhatIsThere) {
  fs::create_directory(target_);
  Write(target_ + "/a.txt", "old");
  const absl::Status plain = Make()->Commit();
  EXPECT_TRUE(absl::EndsWith(plain.message(), "; choose another path"))
      << plain;
  const absl::Status own = Make()->Commit("look elsewhere");
  EXPECT_TRUE(absl::EndsWith(own.message(), "; look elsewhere")) << own;
}

TEST_F(NewFolderTest, ReplacesNothingWhereNothingIs) {
  ASSERT_TRUE(Make()->CommitOver({"a.txt"}).ok());
  EXPECT_EQ(Read(target_ + "/a.txt"), "new");
}

TEST_F(NewFolderTest, FollowsALinkToAFolder) {
  const std::string real = target_;
  fs::create_directory(real);
  Write(real + "/a.txt", "old");
  target_ = root_ + "/link";
  fs::create_directory_symlink(real, target_);
  ASSERT_TRUE(Make()->CommitOver({"a.txt"}).ok());
  EXPECT_EQ(Read(real + "/a.txt"), "new");
  EXPECT_TRUE(fs::is_symlink(target_));
}

TEST_F(NewFolderTest, NamesTheFolderWhoseParentIsAbsent) {
  const auto folder = NewFolder::Create(root_ + "/none/target");
  EXPECT_EQ(folder.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrorId(folder.status()), error_id::kFileWrite);
  EXPECT_TRUE(absl::StrContains(folder.status().message(), "none/target"));
}

TEST_F(NewFolderTest, RefusesPathsThatCannotBe) {
  for (const std::string& path : {std::string(), std::string("a\0b", 3)}) {
    EXPECT_EQ(NewFolder::Create(path).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace peft
