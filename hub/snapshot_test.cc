#include "hub/snapshot.h"

#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "hub/testing/fake_hub.h"
#include "hub/testing/hub_fixture.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

namespace fs = std::filesystem;

class SnapshotTest : public HubFixture {
 protected:
  SnapshotTest() : large_(RandomText(300000)) {
    hub_.AddFile("config.json", "{}");
    hub_.AddFile("sub/adapter_config.json", "{ }");
    hub_.AddFile("sub/m.bin", large_, true);
  }

  absl::StatusOr<Snapshot> Get(const SnapshotOptions& options = {},
                               const std::string& revision = "main") {
    return DownloadSnapshot(*Client(), repo_, revision, options);
  }

  void ExpectWhole(const absl::StatusOr<Snapshot>& snapshot) {
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    const fs::path folder = snapshot->folder;
    EXPECT_EQ(folder, Folder() / "snapshots" / kFakeCommit);
    EXPECT_EQ(Read(folder / "config.json"), "{}");
    EXPECT_EQ(Read(folder / "sub/adapter_config.json"), "{ }");
    EXPECT_TRUE(Read(folder / "sub/m.bin") == large_);
  }

  const std::string large_;
};

TEST_F(SnapshotTest, HasAllFilesOfOneCommit) {
  ExpectWhole(Get());
  EXPECT_EQ(Read(Folder() / "refs/main"), kFakeCommit);
  // The commit, the listing, and the files: no HEAD for any.
  EXPECT_EQ(hub_.num_requests(), 2 + 3 + 1);
}

TEST_F(SnapshotTest, TheListingIsKeptAsPythonWritesIt) {
  ASSERT_TRUE(Get().ok());
  EXPECT_EQ(
      Read(Folder() / "trees" / (std::string(kFakeCommit) + ".json")),
      absl::StrCat("{\n \"format_version\": 1,\n \"files\": {\n"
                   "  \"config.json\": {\n   \"size\": 2,\n   \"blob_id\": \"",
                   FakeEtag("{}", false),
                   "\"\n  },\n  \"sub/adapter_config.json\": {\n"
                   "   \"size\": 3,\n   \"blob_id\": \"",
                   FakeEtag("{ }", false),
                   "\"\n  },\n  \"sub/m.bin\": {\n   \"size\": 300000,\n"
                   "   \"blob_id\": \"",
                   FakeEtag(large_, false), "\",\n   \"lfs_sha256\": \"",
                   FakeEtag(large_, true),
                   "\",\n   \"lfs_size\": 300000\n  }\n }\n}"));
}

TEST_F(SnapshotTest, ABranchThatIsThereCostsOneRequestAndACommitNone) {
  ASSERT_TRUE(Get().ok());
  hub_.ForgetRequests();
  ExpectWhole(Get());
  EXPECT_EQ(hub_.num_requests(), 1);
  ExpectWhole(Get({}, kFakeCommit));
  EXPECT_EQ(hub_.num_requests(), 1);
}

TEST_F(SnapshotTest, PatternsChooseFiles) {
  SnapshotOptions options;
  options.allow = {"*.json"};
  options.ignore = {"sub/"};
  const auto snapshot = Get(options);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_TRUE(fs::exists(fs::path(snapshot->folder) / "config.json"));
  EXPECT_FALSE(fs::exists(fs::path(snapshot->folder) / "sub"));
}

TEST_F(SnapshotTest, ADamagedListingIsFetchedAgain) {
  ASSERT_TRUE(Get().ok());
  for (
      const std::string text :
      {"", "[]", "{}", R"({"format_version": 2, "files": {}})",
       R"({"format_version": 1, "files": {"../x": {"size": 1, "blob_id": ""}}})",
       R"({"format_version": 1, "files": {"x": {"size": -1}}})"}) {
    Write(Folder() / "trees" / (std::string(kFakeCommit) + ".json"), text);
    hub_.ForgetRequests();
    ExpectWhole(Get());
    EXPECT_EQ(hub_.num_requests(), 2) << text;
  }
}

TEST_F(SnapshotTest, AListingThatLiesIsNotKept) {
  hub_.misbehave = [this](const HttpRequest& request,
                          int) -> absl::optional<FakeAnswer> {
    if (!absl::StrContains(request.url, "/tree/")) return absl::nullopt;
    FakeAnswer answer = hub_.Answer(request);
    const size_t at = answer.body.find("\"size\": 2}");
    answer.body.replace(at, 10, "\"size\": 4}");
    return answer;
  };
  EXPECT_EQ(ErrorId(Get().status()), "HUB_HASH_MISMATCH");
  hub_.misbehave = nullptr;
  ExpectWhole(Get());
}

TEST_F(SnapshotTest, AFileThatIsLostIsFetchedAgain) {
  ASSERT_TRUE(Get().ok());
  fs::remove_all(Folder() / "blobs");
  ExpectWhole(Get());
}

TEST_F(SnapshotTest, TheFirstErrorEndsTheRest) {
  for (int i = 0; i < 50; ++i) hub_.AddFile(absl::StrCat("f", i), "x");
  hub_.misbehave = [](const HttpRequest& request,
                      int) -> absl::optional<FakeAnswer> {
    if (!absl::StrContains(request.url, "/sub/m.bin")) return absl::nullopt;
    FakeAnswer answer;
    answer.status = 403;
    answer.fields = {{"X-Error-Code", "GatedRepo"}};
    return answer;
  };
  SnapshotOptions options;
  options.max_workers = 1;
  EXPECT_EQ(ErrorId(Get(options).status()), "HUB_GATED_REPO");
  EXPECT_EQ(hub_.num_requests(), 3);
}

TEST_F(SnapshotTest, OfflineTheCacheIsAllThereIs) {
  settings_.offline = true;
  for (const std::string revision : {"main", kFakeCommit}) {
    EXPECT_EQ(ErrorId(Get({}, revision).status()), "HUB_LOCAL_ENTRY_NOT_FOUND");
  }
  settings_.offline = false;
  SnapshotOptions json;
  json.allow = {"*.json"};
  ASSERT_TRUE(Get(json).ok());
  hub_.ForgetRequests();
  settings_.offline = true;
  for (const std::string revision : {"main", kFakeCommit}) {
    EXPECT_TRUE(Get(json, revision).ok());
    const absl::Status status = Get({}, revision).status();
    EXPECT_EQ(ErrorId(status), "HUB_LOCAL_ENTRY_NOT_FOUND");
    EXPECT_TRUE(absl::StrContains(status.message(), "sub/m.bin")) << status;
  }
  EXPECT_EQ(hub_.num_requests(), 0);
}

TEST_F(SnapshotTest, WhatTheCacheHasServesWhenTheHubDoesNot) {
  ASSERT_TRUE(Get().ok());
  hub_.misbehave = [](const HttpRequest&, int) {
    FakeAnswer answer;
    answer.status = 503;
    return answer;
  };
  ExpectWhole(Get());
  fs::remove_all(Folder());
  EXPECT_EQ(ErrorId(Get().status()), "HUB_HTTP");
}

TEST_F(SnapshotTest, TwoAtOnceDoNotBreakEachOther) {
  for (int i = 0; i < 30; ++i)
    hub_.AddFile(absl::StrCat("f", i), RandomText(i));
  std::thread other([&] { ExpectWhole(Get()); });
  ExpectWhole(Get());
  other.join();
  EXPECT_EQ(Blobs().size(), 33);
}

TEST_F(SnapshotTest, ProgressCountsFiles) {
  Progress last;
  SnapshotOptions options;
  options.on_progress = [&](const Progress& progress) { last = progress; };
  ASSERT_TRUE(Get(options).ok());
  EXPECT_EQ(last.files, 3);
  EXPECT_EQ(last.total_files, 3);
  EXPECT_EQ(last.bytes, 300005);
  ASSERT_TRUE(Get(options).ok());
  EXPECT_EQ(last.bytes, 300005);
}

}  // namespace
}  // namespace hub
}  // namespace peft
