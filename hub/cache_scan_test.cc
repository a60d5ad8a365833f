// What a cache holds, when it is as it should be and when it was made by an
// enemy; what can be removed from it. hub/cache_scan_oracle_test.py compares
// the scan with huggingface_hub's.
#include "hub/cache_scan.h"

#include <fcntl.h>
#include <sys/file.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "hub/cache_clean.h"
#include "hub/cache_verify.h"
#include "hub/hash.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/scoped_fd.h"

namespace peft {
namespace hub {
namespace {

namespace fs = std::filesystem;

constexpr char kFirst[] = "1111111111111111111111111111111111111111";
constexpr char kSecond[] = "2222222222222222222222222222222222222222";
constexpr int64_t kQuiet = 600;
constexpr int64_t kNow = 2000000000;  // all was changed long before
constexpr int64_t kStart = 0;         // all was changed a moment ago

bool Exists(const fs::path& path) {
  return fs::symlink_status(path).type() != fs::file_type::not_found;
}

// A cache with one repository, whose main is kFirst.
class CacheScanTest : public testing::Test {
 protected:
  CacheScanTest()
      : root_(fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(root_);
    fs::create_directories(root_ / "cache");
    root_ = fs::canonical(root_);
    cache_ = root_ / "cache";
    repo_ = cache_ / "models--org--name";
    outside_ = root_ / "outside";
    Write(outside_ / "precious", "precious");
    Add(kFirst, "config.json", "{}");
    Add(kFirst, "sub/model.bin", "weights");
    Write(repo_ / "refs" / "main", kFirst);
  }

  static void Write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }

  static std::string Name(const std::string& text) {
    Digest digest = Digest::Sha256();
    digest.Update(absl::MakeConstSpan(
        reinterpret_cast<const uint8_t*>(text.data()), text.size()));
    return digest.Hex();
  }

  fs::path Blob(const std::string& text) {
    return repo_ / "blobs" / Name(text);
  }

  void Link(const fs::path& from, const fs::path& to) {
    fs::create_directories(from.parent_path());
    fs::create_symlink(to, from);
  }

  void Add(const std::string& commit, const std::string& file,
           const std::string& text) {
    Write(Blob(text), text);
    const fs::path path = repo_ / "snapshots" / commit / file;
    Link(path, fs::relative(Blob(text), path.parent_path()));
  }

  CacheScan Scan() {
    const auto scan = ScanCache(cache_);
    EXPECT_TRUE(scan.ok()) << scan.status();
    return scan.ok() ? *scan : CacheScan();
  }

  CachedRepo Repo() {
    const CacheScan scan = Scan();
    EXPECT_EQ(scan.repos.size(), 1u);
    return scan.repos.empty() ? CachedRepo() : scan.repos[0];
  }

  VerifyReport Verify() {
    const auto report =
        VerifyRepo(cache_, Repo(), nullptr, [] { return false; });
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : VerifyReport();
  }

  Removed Prune(int64_t now = kNow, bool dry_run = false) {
    Removed all;
    for (const Removal& removal : PlanPrune(Scan(), now, kQuiet)) {
      const Removed removed = Remove(cache_, removal, now, kQuiet, dry_run);
      all.bytes += removed.bytes;
      for (const auto& path : removed.paths) all.paths.push_back(path);
      for (const auto& kept : removed.kept) all.kept.push_back(kept);
    }
    return all;
  }

  void ExpectUntouched() {
    EXPECT_TRUE(Exists(outside_ / "precious"));
    EXPECT_TRUE(Exists(Blob("{}")));
    EXPECT_TRUE(Exists(repo_ / "snapshots" / kFirst / "config.json"));
  }

  fs::path root_;
  fs::path cache_;
  fs::path repo_;
  fs::path outside_;
};

TEST_F(CacheScanTest, ListsRevisionsWithTheirFilesAndRefs) {
  Write(repo_ / "refs" / "refs" / "pr" / "1", kFirst);
  Add(kSecond, "config.json", "{}");
  const CachedRepo repo = Repo();
  EXPECT_EQ(repo.type, "model");
  EXPECT_EQ(repo.id, "org/name");
  EXPECT_EQ(repo.size, 9u);
  EXPECT_EQ(repo.num_files, 2);
  EXPECT_TRUE(repo.problems.empty());
  ASSERT_EQ(repo.revisions.size(), 2u);
  EXPECT_EQ(repo.revisions[0].refs,
            (std::vector<std::string>{"main", "refs/pr/1"}));
  EXPECT_EQ(repo.revisions[0].files[1].name, "sub/model.bin");
  EXPECT_TRUE(repo.revisions[1].refs.empty());
}

TEST_F(CacheScanTest, WhatIsNoFolderIsAnError) {
  EXPECT_EQ(ErrorId(ScanCache(root_ / "none").status()), "FILE_NOT_FOUND");
  EXPECT_EQ(ErrorId(ScanCache(outside_ / "precious").status()), "FILE_READ");
}

TEST_F(CacheScanTest, BlobsMayBeLinksToSharedOnes) {
  Write(cache_ / "blobs" / ".huggingface-shared-blobs", "1\n");
  Write(cache_ / "blobs" / "ab" / "abcd", "shared");
  Link(Blob("shared"), "../../blobs/ab/abcd");
  Link(repo_ / "snapshots" / kFirst / "x",
       fs::path("../../blobs") / Name("shared"));
  EXPECT_TRUE(Repo().problems.empty());
  EXPECT_EQ(Verify().num_blobs, 3);
  // The repository's link goes, the blob stays.
  const auto removal = PlanRemove(Scan(), "model", "org/name", "main");
  ASSERT_TRUE(removal.ok());
  Remove(cache_, *removal, kNow, kQuiet, false);
  EXPECT_FALSE(Exists(Blob("shared")));
  EXPECT_TRUE(Exists(cache_ / "blobs" / "ab" / "abcd"));
}

// -- Hostile caches

TEST_F(CacheScanTest, LinksThatLeadOutAreNotFollowed) {
  Link(repo_ / "snapshots" / kFirst / "a", outside_ / "precious");
  Link(repo_ / "snapshots" / kFirst / "b", "../../../../outside/precious");
  Link(repo_ / "snapshots" / kFirst / "folder", outside_);
  Link(repo_ / "blobs" / Name("x"), outside_ / "precious");
  Link(repo_ / "snapshots" / kFirst / "c", fs::path("../../blobs") / Name("x"));
  Link(repo_ / "refs" / "evil", outside_ / "precious");
  const CachedRepo repo = Repo();
  EXPECT_EQ(repo.problems.size(), 6u);
  EXPECT_EQ(repo.num_files, 2);
  EXPECT_EQ(Verify().num_blobs, 2);
  EXPECT_TRUE(Prune().paths.empty());
  ExpectUntouched();
}

TEST_F(CacheScanTest, FoldersThatAreLinksAreNotEntered) {
  for (const char* folder : {"snapshots", "blobs", "refs"}) {
    fs::rename(repo_ / folder, root_ / folder);
    Link(repo_ / folder, root_ / folder);
    EXPECT_FALSE(Repo().problems.empty()) << folder;
    EXPECT_TRUE(Prune().paths.empty()) << folder;
    fs::remove(repo_ / folder);
    fs::rename(root_ / folder, repo_ / folder);
  }
  ExpectUntouched();
  Link(cache_ / "models--a--b", outside_);
  EXPECT_EQ(Scan().problems.size(), 1u);
}

TEST_F(CacheScanTest, LoopsAndDepthsEnd) {
  Link(repo_ / "snapshots" / kFirst / "loop", ".");
  Link(repo_ / "snapshots" / kFirst / "self", "self");
  Link(repo_ / "blobs" / Name("a"), Name("b"));
  Link(repo_ / "blobs" / Name("b"), Name("a"));
  fs::path deep = repo_ / "snapshots" / kFirst;
  for (int i = 0; i < 100; ++i) deep /= "d";
  Write(deep / "file", "x");
  EXPECT_EQ(Repo().problems.size(), 5u);
  Verify();
}

TEST_F(CacheScanTest, OddNamesAreNames) {
  const std::string odd = "a\n\x1b[31m\xff ..";
  Add(kFirst, odd, "odd");
  Write(cache_ / odd, "x");
  fs::create_directories(cache_ / "models--");
  EXPECT_EQ(Scan().problems.size(), 1u);
  const auto removal = PlanRemove(Scan(), "model", "org/name", "");
  ASSERT_TRUE(removal.ok());
  Remove(cache_, *removal, kNow, kQuiet, false);
  EXPECT_FALSE(Exists(repo_));
  EXPECT_EQ(ErrorId(PlanRemove(Scan(), "model", "..", "").status()),
            "FILE_NOT_FOUND");
}

TEST_F(CacheScanTest, RemovingARepositoryFollowsNoLink) {
  Link(repo_ / "snapshots" / kFirst / "folder", outside_);
  Link(repo_ / "snapshots" / kSecond, outside_);
  Link(cache_ / ".locks" / "models--org--name", outside_);
  const auto removal = PlanRemove(Scan(), "model", "org/name", "");
  ASSERT_TRUE(removal.ok());
  Remove(cache_, *removal, kNow, kQuiet, false);
  EXPECT_FALSE(Exists(repo_));
  EXPECT_TRUE(Exists(outside_ / "precious"));
  EXPECT_EQ(std::distance(fs::directory_iterator(outside_), {}), 1);
}

// -- Verifying

TEST_F(CacheScanTest, ABlobWithOtherBytesIsFound) {
  EXPECT_TRUE(Verify().problems.empty());
  Write(Blob("weights"), "weighty");
  const VerifyReport report = Verify();
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_EQ(report.problems[0].path, Blob("weights"));
  EXPECT_EQ(report.num_blobs, 1);
}

TEST_F(CacheScanTest, ALinkWithoutItsBlobIsFound) {
  fs::remove(Blob("weights"));
  const VerifyReport report = Verify();
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_TRUE(absl::StrContains(report.problems[0].what, "missing"));
}

TEST_F(CacheScanTest, CopiesAreCheckedByTheListingOfTheirCommit) {
  Write(repo_ / "snapshots" / kSecond / "copy", "abc");
  EXPECT_EQ(Verify().num_unchecked, 1);
  const fs::path tree = repo_ / "trees" / absl::StrCat(kSecond, ".json");
  const auto list = [&](const std::string& text) {
    Write(tree, absl::StrCat(R"({"format_version": 1, "files": {"copy": )",
                             R"({"size": 3, "blob_id": ")",
                             std::string(40, '0'), R"(", "lfs_sha256": ")",
                             Name(text), R"(", "lfs_size": 3}}})"));
  };
  list("abc");
  EXPECT_EQ(Verify().num_unchecked, 0);
  EXPECT_EQ(Verify().num_blobs, 3);
  list("abd");
  EXPECT_EQ(Verify().problems.size(), 1u);
}

// -- Removing

TEST_F(CacheScanTest, PruneTakesWhatNobodyNames) {
  Add(kSecond, "config.json", "{}");
  Add(kSecond, "old.bin", "old");
  Write(repo_ / "trees" / absl::StrCat(kSecond, ".json"), "{}");
  Write(Blob("unused"), "unused");
  Write(repo_ / "blobs" / "abc.12345678.incomplete", "part");
  EXPECT_EQ(Prune(kNow, true).bytes, 13u);
  EXPECT_TRUE(Exists(Blob("old")));
  EXPECT_EQ(Prune().bytes, 13u);
  EXPECT_FALSE(Exists(repo_ / "snapshots" / kSecond));
  EXPECT_FALSE(Exists(repo_ / "trees" / absl::StrCat(kSecond, ".json")));
  EXPECT_FALSE(Exists(Blob("old")));
  EXPECT_FALSE(Exists(Blob("unused")));
  EXPECT_FALSE(Exists(repo_ / "blobs" / "abc.12345678.incomplete"));
  ExpectUntouched();
  EXPECT_TRUE(Prune().paths.empty());
}

TEST_F(CacheScanTest, PruneKeepsWhatWasChangedAMomentAgo) {
  Add(kSecond, "old.bin", "old");
  Write(Blob("unused"), "unused");
  Write(repo_ / "blobs" / "abc.12345678.incomplete", "part");
  EXPECT_TRUE(Prune(kStart).paths.empty());
  EXPECT_TRUE(Exists(repo_ / "snapshots" / kSecond / "old.bin"));
}

TEST_F(CacheScanTest, WhereSomebodyFetchesNothingGoes) {
  Add(kSecond, "old.bin", "old");
  const fs::path lock =
      cache_ / ".locks" / "models--org--name" / (Name("new") + ".lock");
  Write(lock, "");
  {
    const ScopedFd other(open(lock.c_str(), O_RDWR));
    ASSERT_EQ(flock(other.get(), LOCK_EX), 0);
    EXPECT_EQ(Prune().kept.size(), 1u);
    EXPECT_TRUE(Exists(Blob("old")));
    const auto removal = PlanRemove(Scan(), "model", "org/name", "");
    ASSERT_TRUE(removal.ok());
    EXPECT_TRUE(Remove(cache_, *removal, kNow, kQuiet, false).paths.empty());
    ExpectUntouched();
  }
  Prune();
  EXPECT_FALSE(Exists(Blob("old")));
}

TEST_F(CacheScanTest, APartialDownloadUnderItsLockStays) {
  const fs::path partial = repo_ / "blobs" / "abc.12345678.incomplete";
  Write(partial, "part");
  const ScopedFd other(open(partial.c_str(), O_RDWR));
  ASSERT_EQ(flock(other.get(), LOCK_EX), 0);
  EXPECT_EQ(Prune().kept.size(), 1u);
  EXPECT_TRUE(Exists(partial));
}

TEST_F(CacheScanTest, ARevisionGoesWithWhatIsItsAlone) {
  Add(kSecond, "config.json", "{}");
  Add(kSecond, "other.bin", "other");
  Write(repo_ / "refs" / "v2", kSecond);
  for (const char* name : {"v3", "22", "3333333"}) {
    EXPECT_EQ(ErrorId(PlanRemove(Scan(), "model", "org/name", name).status()),
              "FILE_NOT_FOUND");
  }
  EXPECT_EQ(ErrorId(PlanRemove(Scan(), "dataset", "org/name", "").status()),
            "FILE_NOT_FOUND");
  const auto removal = PlanRemove(Scan(), "model", "org/name", "22222");
  ASSERT_TRUE(removal.ok()) << removal.status();
  EXPECT_EQ(Remove(cache_, *removal, kNow, kQuiet, false).bytes, 5u);
  EXPECT_FALSE(Exists(repo_ / "snapshots" / kSecond));
  EXPECT_FALSE(Exists(repo_ / "refs" / "v2"));
  EXPECT_FALSE(Exists(Blob("other")));
  ExpectUntouched();
}

}  // namespace
}  // namespace hub
}  // namespace peft
