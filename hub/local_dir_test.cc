#include "hub/local_dir.h"

#include <string>

#include "hub/testing/fake_hub.h"
#include "hub/testing/hub_fixture.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

namespace fs = std::filesystem;

class LocalDirTest : public HubFixture {
 protected:
  LocalDirTest() : folder_(root_ / "mine"), large_(RandomText(100000)) {
    hub_.AddFile("config.json", "{}");
    hub_.AddFile("sub/m.bin", large_, true);
  }

  absl::StatusOr<Snapshot> Get(const SnapshotOptions& options = {},
                               const std::string& revision = "main") {
    return DownloadToFolder(*Client(), repo_, revision, folder_, options);
  }

  void ExpectWhole(const absl::StatusOr<Snapshot>& snapshot) {
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    EXPECT_EQ(snapshot->folder, folder_);
    EXPECT_EQ(Read(folder_ / "config.json"), "{}");
    EXPECT_TRUE(Read(folder_ / "sub/m.bin") == large_);
  }

  fs::path State(const std::string& name) const {
    return folder_ / ".cache/huggingface" / name;
  }

  const fs::path folder_;
  const std::string large_;
};

TEST_F(LocalDirTest, FilesAreRealAndTheirStateIsBeside) {
  ExpectWhole(Get());
  EXPECT_FALSE(fs::is_symlink(folder_ / "config.json"));
  const std::string metadata = Read(State("download/sub/m.bin.metadata"));
  EXPECT_EQ(metadata.substr(0, 41 + 65),
            std::string(kFakeCommit) + "\n" + FakeEtag(large_, true) + "\n");
  EXPECT_EQ(Read(State(".gitignore")), "*");
  EXPECT_TRUE(fs::exists(State("CACHEDIR.TAG")));
  EXPECT_TRUE(fs::exists(State("download/config.json.lock")));
  // Nothing of the work is left, and the cache is not touched.
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
    files += entry.is_directory() ? 0 : 1;
  }
  EXPECT_EQ(files, 2 + 4 + 3);
  EXPECT_FALSE(fs::exists(root_ / "cache"));
}

TEST_F(LocalDirTest, WhatIsThereCostsOneRequestAndForACommitNone) {
  ExpectWhole(Get());
  hub_.ForgetRequests();
  ExpectWhole(Get());
  EXPECT_EQ(hub_.num_requests(), 1);
  settings_.offline = true;
  ExpectWhole(Get({}, kFakeCommit));
  EXPECT_EQ(ErrorId(Get().status()), "HUB_OFFLINE");
  EXPECT_EQ(hub_.num_requests(), 1);
}

TEST_F(LocalDirTest, AChangedFileIsFetchedAgain) {
  ExpectWhole(Get());
  Write(folder_ / "config.json", "[]");
  fs::last_write_time(folder_ / "config.json",
                      fs::file_time_type::clock::now() + std::chrono::hours(1));
  ExpectWhole(Get());
}

TEST_F(LocalDirTest, ARightFileOfUnknownOriginStays) {
  Write(folder_ / "sub/m.bin", large_);
  ExpectWhole(Get());
  for (const std::string& request : hub_.requests()) {
    EXPECT_EQ(request.find(kFakeCdn), std::string::npos) << request;
  }
}

TEST_F(LocalDirTest, WrongBytesReplaceNothing) {
  Write(folder_ / "config.json", "mine");
  hub_.misbehave = [](const HttpRequest& request,
                      int) -> absl::optional<FakeAnswer> {
    if (request.url.find("/resolve/") == std::string::npos) {
      return absl::nullopt;
    }
    FakeAnswer answer;
    answer.body = "[]";
    return answer;
  };
  SnapshotOptions options;
  options.allow = {"config.json"};
  EXPECT_EQ(ErrorId(Get(options).status()), "HUB_HASH_MISMATCH");
  EXPECT_EQ(Read(folder_ / "config.json"), "mine");
}

TEST_F(LocalDirTest, WhatTheCacheHasIsCopied) {
  ASSERT_TRUE(DownloadSnapshot(*Client(), repo_, "main", {}).ok());
  settings_.offline = true;
  ExpectWhole(Get({}, kFakeCommit));
  EXPECT_FALSE(fs::is_symlink(folder_ / "config.json"));
}

TEST_F(LocalDirTest, ABlobOfAnotherCommitIsCopied) {
  ASSERT_TRUE(DownloadSnapshot(*Client(), repo_, "main", {}).ok());
  fs::remove_all(Folder() / "snapshots");
  hub_.ForgetRequests();
  ExpectWhole(Get());
  EXPECT_EQ(hub_.num_requests(), 1);
}

TEST_F(LocalDirTest, DamageInTheCacheIsNotCopied) {
  ASSERT_TRUE(DownloadSnapshot(*Client(), repo_, "main", {}).ok());
  Write(Folder() / "snapshots" / kFakeCommit / "sub/m.bin",
        std::string(large_.size(), 'x'));
  hub_.ForgetRequests();
  ExpectWhole(Get());
  EXPECT_EQ(hub_.num_requests(), 3);
}

TEST_F(LocalDirTest, AForcedDownloadCopiesNothing) {
  ASSERT_TRUE(DownloadSnapshot(*Client(), repo_, "main", {}).ok());
  hub_.ForgetRequests();
  SnapshotOptions options;
  options.force = true;
  ExpectWhole(Get(options));
  EXPECT_EQ(hub_.num_requests(), 4);
}

TEST_F(LocalDirTest, FilesOfTheSameContentDoNotMeet) {
  for (const char* name : {"a", "b", "c", "d", "e/f"}) {
    hub_.AddFile(name, large_, true);
  }
  ExpectWhole(Get());
  EXPECT_TRUE(Read(folder_ / "e/f") == large_);
}

}  // namespace
}  // namespace hub
}  // namespace peft
