#include "peft_cc/base/folder.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace {

using Names = std::vector<std::string>;

// The same files on disk, and as a program gives them.
class FolderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/folder_test_XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(path_); }

  void Add(const std::string& name, const std::string& text) {
    const std::filesystem::path path = path_ + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    texts_.push_back(std::make_unique<std::string>(text));
    const std::string& kept = *texts_.back();
    (*files_)[name] = FileInMemory(
        {reinterpret_cast<const uint8_t*>(kept.data()), kept.size()}, false);
  }

  Folder OnDisk() const { return Folder(path_); }
  Folder Given() const { return Folder(files_); }

  std::string path_;
  std::vector<std::unique_ptr<std::string>> texts_;
  std::shared_ptr<GivenFiles> files_ = std::make_shared<GivenFiles>();
};

std::string TextOf(const File& file) {
  return ReadTextFile(file, 1000).value_or("(none)");
}

Names SortedNames(const Folder& folder) {
  Names names = folder.Names().value_or(Names{"(error)"});
  std::sort(names.begin(), names.end());
  return names;
}

TEST_F(FolderTest, HasTheFilesThatAreInside) {
  Add("a.json", "text");
  for (const Folder& folder : {OnDisk(), Given()}) {
    EXPECT_EQ(TextOf(folder.At("a.json")), "text");
    EXPECT_EQ(TextOf(*folder.Inside("a.json")), "text");
  }
}

TEST_F(FolderTest, AFileThatIsNotThereIsNotFound) {
  for (const Folder& folder : {OnDisk(), Given()}) {
    EXPECT_FALSE(FileExists(folder.At("b.json")));
    EXPECT_EQ(ErrorId(ReadTextFile(folder.At("b.json"), 10).status()),
              error_id::kFileNotFound);
  }
}

TEST_F(FolderTest, NamesFromOutsideDoNotLeaveIt) {
  for (const Folder& folder : {OnDisk(), Given()}) {
    for (const char* name : {"../a", "/a", "", "x/../../a"}) {
      EXPECT_EQ(ErrorId(folder.Inside(name).status()), error_id::kPathEscapes)
          << name;
    }
  }
}

TEST_F(FolderTest, NamesAreThoseDirectlyInIt) {
  Add("a.json", "");
  Add("b.bin", "");
  Add("sub/c.json", "");
  EXPECT_EQ(SortedNames(Given()), (Names{"a.json", "b.bin"}));
  EXPECT_EQ(SortedNames(OnDisk()), (Names{"a.json", "b.bin", "sub"}));
}

TEST_F(FolderTest, ItsDescriptionSaysWhatItIs) {
  EXPECT_TRUE(absl::StrContains(OnDisk().Description(), path_));
  EXPECT_EQ(Given().Description(), "the program's files");
  EXPECT_EQ(Given().path(), "");
}

TEST_F(FolderTest, AFolderOnDiskIsKeptAsItIs) {
  const absl::StatusOr<Folder> kept =
      OnDisk().Kept([](absl::string_view) { return false; }, 0);
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(kept->path(), path_);
}

TEST_F(FolderTest, KeptFilesOutliveTheProgramsMemory) {
  Add("a.json", "text");
  const absl::StatusOr<Folder> kept =
      Given().Kept([](absl::string_view) { return true; }, 100);
  ASSERT_TRUE(kept.ok());
  std::fill(texts_[0]->begin(), texts_[0]->end(), 'x');
  files_->clear();
  EXPECT_EQ(TextOf(kept->At("a.json")), "text");
  EXPECT_EQ(ReadFileStart(kept->At("a.json"), 2)->text, "te");
}

TEST_F(FolderTest, OnlyWantedFilesAreKept) {
  Add("a.json", "text");
  Add("b.bin", "text");
  Add("c.json", "a longer text");
  const absl::StatusOr<Folder> kept = Given().Kept(
      [](absl::string_view name) { return absl::EndsWith(name, ".json"); }, 4);
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(SortedNames(*kept), (Names{"a.json"}));
}

TEST_F(FolderTest, AFileThatCannotBeReadIsNotKept) {
  const ReadFunction fails = [](void*, int64_t, void*, int64_t) -> int64_t {
    return -1;
  };
  (*files_)["a.json"] = FileOfFunction(fails, nullptr, 4);
  EXPECT_EQ(
      ErrorId(
          Given().Kept([](absl::string_view) { return true; }, 100).status()),
      error_id::kFileRead);
}

}  // namespace
}  // namespace peft
