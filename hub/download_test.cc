#include "hub/download.h"

#include <sys/stat.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "hub/cache_lock.h"
#include "hub/partial_file.h"
#include "hub/testing/fake_hub.h"
#include "hub/testing/hub_fixture.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kPart = PartialFile::kPartSize;

bool IsFromCdn(const HttpRequest& request) {
  return absl::StartsWith(request.url, kFakeCdn);
}

class DownloadTest : public HubFixture {
 protected:
  DownloadTest() : large_(RandomText(2 * kPart + 1000)) {
    hub_.AddFile("config.json", "{}");
    hub_.AddFile("sub/m.bin", large_, true);
  }

  void ExpectFile(const absl::StatusOr<DownloadedFile>& file,
                  const std::string& content) {
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->commit, kFakeCommit);
    EXPECT_TRUE(Read(file->path) == content) << file->path;
  }

  // The large file breaks off after `bytes` of each answer; of the first
  // `times` answers only.
  void CutLargeFile(int64_t bytes, int times = 1000000) {
    hub_.misbehave = [this, bytes, times, cut = 0](
                         const HttpRequest& request,
                         int) mutable -> absl::optional<FakeAnswer> {
      if (!IsFromCdn(request) || cut >= times) return absl::nullopt;
      ++cut;
      FakeAnswer answer = hub_.Answer(request);
      if (answer.body.size() > static_cast<size_t>(bytes)) {
        answer.cut_at = bytes;
      }
      return answer;
    };
  }

  // "Range" of each request to the second origin.
  std::vector<std::string> Ranges() const {
    std::vector<std::string> ranges;
    for (const HttpRequest& request : hub_.full_requests()) {
      if (IsFromCdn(request)) {
        ranges.emplace_back(FindField(request.fields, "Range"));
      }
    }
    return ranges;
  }

  const std::string large_;
};

TEST_F(DownloadTest, TheCacheIsAsPythonLeavesIt) {
  ExpectFile(Download("config.json"), "{}");
  ExpectFile(Download("sub/m.bin", "refs/pr/1"), large_);
  const fs::path snapshot = Folder() / "snapshots" / kFakeCommit;
  EXPECT_EQ(fs::read_symlink(snapshot / "config.json"),
            "../../blobs/" + FakeEtag("{}", false));
  EXPECT_EQ(fs::read_symlink(snapshot / "sub/m.bin"),
            "../../../blobs/" + FakeEtag(large_, true));
  EXPECT_EQ(Read(Folder() / "refs/main"), kFakeCommit);
  EXPECT_EQ(Read(Folder() / "refs/refs/pr/1"), kFakeCommit);
  EXPECT_EQ(Blobs().size(), 2);
  EXPECT_TRUE(
      absl::StartsWith(Read(root_ / "cache/CACHEDIR.TAG"),
                       "Signature: 8a477f597d28d172789f06886806bc55\n"));
  EXPECT_TRUE(fs::is_empty(root_ / "cache/.locks/models--org--name" /
                           (FakeEtag("{}", false) + ".lock")));
}

TEST_F(DownloadTest, ModesAreTheUmasks) {
  const mode_t before = umask(027);
  const auto file = Download("config.json");
  umask(before);
  ASSERT_TRUE(file.ok());
  struct stat info;
  ASSERT_EQ(stat(file->path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640);
  ASSERT_EQ(stat(Folder().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0750);
}

TEST_F(DownloadTest, ASmallFileCostsTwoRequestsAndALargeOneToo) {
  ASSERT_TRUE(Download("config.json").ok());
  EXPECT_EQ(hub_.num_requests(), 2);
  ASSERT_TRUE(Download("sub/m.bin").ok());
  EXPECT_EQ(hub_.num_requests(), 4);
}

TEST_F(DownloadTest, ABranchThatIsThereCostsOneRequestAndACommitNone) {
  ASSERT_TRUE(Download("config.json").ok());
  hub_.ForgetRequests();
  ExpectFile(Download("config.json"), "{}");
  EXPECT_EQ(hub_.num_requests(), 1);
  ExpectFile(Download("config.json", kFakeCommit), "{}");
  EXPECT_EQ(hub_.num_requests(), 1);
}

TEST_F(DownloadTest, TheTokenDoesNotReachTheSecondOrigin) {
  ASSERT_TRUE(Download("sub/m.bin").ok());
  for (const HttpRequest& request : hub_.full_requests()) {
    EXPECT_EQ(FindField(request.fields, "Authorization").empty(),
              IsFromCdn(request));
  }
}

TEST_F(DownloadTest, ABlobThatIsThereIsNotFetchedAgain) {
  hub_.AddFile("copy.bin", large_, true);
  ASSERT_TRUE(Download("sub/m.bin").ok());
  hub_.ForgetRequests();
  ExpectFile(Download("copy.bin"), large_);
  EXPECT_EQ(hub_.num_requests(), 1);
}

TEST_F(DownloadTest, ABlobOfTheWrongSizeIsFetchedAgain) {
  Write(Folder() / "blobs" / FakeEtag("{}", false), "damaged");
  ExpectFile(Download("config.json"), "{}");
}

TEST_F(DownloadTest, WithoutLinksTheSnapshotHoldsFiles) {
  settings_.symlinks = false;
  hub_.AddFile("copy.json", "{}");
  const auto file = Download("config.json");
  ExpectFile(file, "{}");
  EXPECT_FALSE(fs::is_symlink(file->path));
  EXPECT_TRUE(Blobs().empty());
  Write(Folder() / "blobs" / FakeEtag("{}", false), "{}");
  const auto copy = Download("copy.json");
  ExpectFile(copy, "{}");
  EXPECT_FALSE(fs::is_symlink(copy->path));
  EXPECT_EQ(Blobs().size(), 1);
}

TEST_F(DownloadTest, AMissingFileIsRemembered) {
  EXPECT_EQ(ErrorId(Download("absent.json").status()), "HUB_ENTRY_NOT_FOUND");
  EXPECT_TRUE(
      fs::is_empty(Folder() / ".no_exist" / kFakeCommit / "absent.json"));
  EXPECT_EQ(Read(Folder() / "refs/main"), kFakeCommit);
}

TEST_F(DownloadTest, ABrokenConnectionGoesOnWhereItWas) {
  CutLargeFile(100000, 2);
  ExpectFile(Download("sub/m.bin"), large_);
  EXPECT_EQ(Ranges(),
            (std::vector<std::string>{"", "bytes=100000-", "bytes=200000-"}));
  EXPECT_EQ(Blobs().size(), 1);
}

TEST_F(DownloadTest, ConnectionsMayBreakAsOftenAsTheyGetFurther) {
  CutLargeFile(400000);
  ExpectFile(Download("sub/m.bin"), large_);
  EXPECT_GT(Ranges().size(), 20);
}

TEST_F(DownloadTest, AFewBytesEachTimeAreNoProgress) {
  CutLargeFile(1000);
  EXPECT_EQ(ErrorId(Download("sub/m.bin").status()), "HUB_CONNECT");
  EXPECT_LT(Ranges().size(), 10);
}

TEST_F(DownloadTest, AServerThatIgnoresRangesCannotLoopForever) {
  hub_.misbehave = [this](const HttpRequest& request,
                          int) -> absl::optional<FakeAnswer> {
    if (!IsFromCdn(request)) return absl::nullopt;
    FakeAnswer answer;
    answer.body = large_;
    answer.cut_at = 100000;
    return answer;
  };
  EXPECT_EQ(ErrorId(Download("sub/m.bin").status()), "HUB_CONNECT");
  EXPECT_LT(Ranges().size(), 10);
}

TEST_F(DownloadTest, AnAnswerThatIgnoresTheRangeStartsAgain) {
  int answers = 0;
  hub_.misbehave = [&](const HttpRequest& request,
                       int) -> absl::optional<FakeAnswer> {
    if (!IsFromCdn(request)) return absl::nullopt;
    FakeAnswer answer;
    answer.body = large_;
    if (answers++ == 0) answer.cut_at = 5000;
    return answer;
  };
  ExpectFile(Download("sub/m.bin"), large_);
}

TEST_F(DownloadTest, APartFromElsewhereIsNotTaken) {
  int answers = 0;
  hub_.misbehave = [&](const HttpRequest& request,
                       int) -> absl::optional<FakeAnswer> {
    if (!IsFromCdn(request)) return absl::nullopt;
    FakeAnswer answer = hub_.Answer(request);
    if (answers == 0) answer.cut_at = 5000;
    if (answers == 1) answer.fields[0].second = "bytes 4000-5000/6000";
    ++answers;
    return answer;
  };
  ExpectFile(Download("sub/m.bin"), large_);
  EXPECT_EQ(answers, 3);
}

TEST_F(DownloadTest, AnotherProcessGoesOnAtTheLastWholePart) {
  CutLargeFile(kPart + 5000, 1);
  client_options_.retry.max_retries = 0;
  EXPECT_EQ(ErrorId(Download("sub/m.bin").status()), "HUB_CONNECT");
  EXPECT_EQ(Blobs().size(), 2);  // the bytes and their record
  hub_.ForgetRequests();
  ExpectFile(Download("sub/m.bin"), large_);
  EXPECT_EQ(Ranges(), std::vector<std::string>{
                          absl::StrCat("bytes=", kPart + 5000, "-")});
  EXPECT_EQ(Blobs().size(), 1);
}

TEST_F(DownloadTest, DamageToWhatWasLeftIsFoundAndMended) {
  for (const uint64_t damaged : {uint64_t{0}, kPart - 1, kPart, kPart + 4999}) {
    fs::remove_all(root_);
    CutLargeFile(kPart + 5000, 1);
    client_options_.retry.max_retries = 0;
    EXPECT_FALSE(Download("sub/m.bin").ok());
    for (const auto& entry : fs::directory_iterator(Folder() / "blobs")) {
      if (entry.path().extension() != ".incomplete") continue;
      std::string bytes = Read(entry.path());
      ASSERT_EQ(bytes.size(), kPart + 5000);
      bytes[damaged] ^= 1;
      Write(entry.path(), bytes);
    }
    hub_.ForgetRequests();
    ExpectFile(Download("sub/m.bin"), large_);
    EXPECT_EQ(Ranges()[0],
              damaged < kPart ? "" : absl::StrCat("bytes=", kPart, "-"));
    EXPECT_EQ(Blobs().size(), 1);
  }
}

TEST_F(DownloadTest, ARecordOfAnythingElseIsNotTrusted) {
  const std::string etag = FakeEtag(large_, true);
  const fs::path partial = Folder() / "blobs" / (etag + ".00000000.incomplete");
  const std::string host_and_more = absl::StrCat(" ", getpid(), " x\n");
  for (const std::string& record :
       {std::string(), std::string("\n\n\n"),
        absl::StrCat("peft-partial-1 ", etag, " 5 1 x\n3 abc\n"),
        absl::StrCat("peft-partial-1 ", std::string(64, '0'), " ",
                     large_.size(), host_and_more),
        absl::StrCat("peft-partial-1 ", etag, " ", large_.size(), host_and_more,
                     "99999999999999999999 aa\n-1 b\n")}) {
    fs::remove_all(root_);
    Write(partial, large_.substr(0, 100));
    Write(partial.string() + ".peft", record);
    hub_.ForgetRequests();
    ExpectFile(Download("sub/m.bin"), large_);
    EXPECT_EQ(Ranges(), std::vector<std::string>{""}) << record;
  }
}

TEST_F(DownloadTest, WrongBytesAreFetchedOnceMoreAndNeverKept) {
  for (const int times : {1, 2}) {
    fs::remove_all(root_);
    hub_.ForgetRequests();
    int wrong = 0;
    hub_.misbehave = [&](const HttpRequest& request,
                         int) -> absl::optional<FakeAnswer> {
      if (!IsFromCdn(request) || wrong >= times) return absl::nullopt;
      ++wrong;
      FakeAnswer answer = hub_.Answer(request);
      answer.body[1234] ^= 1;
      return answer;
    };
    const auto file = Download("sub/m.bin");
    EXPECT_EQ(Ranges().size(), 2);
    if (times == 1) {
      ExpectFile(file, large_);
    } else {
      EXPECT_EQ(ErrorId(file.status()), "HUB_HASH_MISMATCH");
      EXPECT_TRUE(Blobs().empty());
      EXPECT_FALSE(fs::exists(Folder() / "snapshots"));
    }
  }
}

TEST_F(DownloadTest, WrongBytesOfASmallFileAreFoundToo) {
  hub_.misbehave = [&](const HttpRequest& request,
                       int) -> absl::optional<FakeAnswer> {
    if (request.method == "HEAD") return absl::nullopt;
    FakeAnswer answer;
    answer.body = "[]";
    return answer;
  };
  const absl::Status status = Download("config.json").status();
  EXPECT_EQ(ErrorId(status), "HUB_HASH_MISMATCH");
  EXPECT_TRUE(absl::StrContains(status.message(), "Consistency check failed"));
}

TEST_F(DownloadTest, ABodyOfTheWrongSizeIsAnError) {
  for (const std::string& body : {std::string(), std::string("{"),
                                  std::string("{}x"), RandomText(1 << 20)}) {
    hub_.misbehave = [&](const HttpRequest& request,
                         int) -> absl::optional<FakeAnswer> {
      if (request.method == "HEAD") return absl::nullopt;
      FakeAnswer answer;
      answer.body = body;
      return answer;
    };
    const absl::Status status = Download("config.json").status();
    EXPECT_EQ(ErrorId(status), "HUB_HASH_MISMATCH") << body.size();
    EXPECT_TRUE(Blobs().empty());
  }
}

TEST_F(DownloadTest, TheSecondOriginMayFailForAWhile) {
  int failed = 0;
  hub_.misbehave = [&](const HttpRequest& request,
                       int) -> absl::optional<FakeAnswer> {
    if (!IsFromCdn(request) || failed++ >= 3) return absl::nullopt;
    FakeAnswer answer;
    answer.status = 503;
    return answer;
  };
  ExpectFile(Download("sub/m.bin"), large_);
}

TEST_F(DownloadTest, AnExpiredAddressIsAskedForAgain) {
  int refused = 0;
  hub_.misbehave = [&](const HttpRequest& request,
                       int) -> absl::optional<FakeAnswer> {
    if (!IsFromCdn(request) || refused++ > 0) return absl::nullopt;
    FakeAnswer answer;
    answer.status = 403;
    return answer;
  };
  ExpectFile(Download("sub/m.bin"), large_);
  EXPECT_TRUE(sleeps_.empty());
}

TEST_F(DownloadTest, ErrorsDoNotRepeatASignedAddress) {
  hub_.misbehave = [&](const HttpRequest& request,
                       int) -> absl::optional<FakeAnswer> {
    if (!IsFromCdn(request)) return absl::nullopt;
    FakeAnswer answer;
    answer.status = 503;
    return answer;
  };
  const absl::Status status = Download("sub/m.bin").status();
  EXPECT_EQ(ErrorId(status), "HUB_HTTP");
  EXPECT_FALSE(absl::StrContains(status.message(), "S3CRET")) << status;
}

TEST_F(DownloadTest, WhatTheCacheHasServesWhenTheHubDoesNot) {
  ASSERT_TRUE(Download("config.json").ok());
  for (const int code : {0, 401, 403, 429, 500}) {
    hub_.ForgetRequests();
    hub_.misbehave = [code](const HttpRequest&, int) {
      FakeAnswer answer;
      answer.status = code;
      return answer;
    };
    ExpectFile(Download("config.json"), "{}");
    EXPECT_EQ(hub_.num_requests(), 1) << code;
    DownloadOptions force;
    force.force = true;
    EXPECT_FALSE(Download("config.json", "main", force).ok());
  }
}

TEST_F(DownloadTest, WhatTheHubSaysIsGoneIsGone) {
  ASSERT_TRUE(Download("config.json").ok());
  hub_.misbehave = [](const HttpRequest&, int) {
    FakeAnswer answer;
    answer.status = 404;
    answer.fields = {{"X-Error-Code", "RevisionNotFound"}};
    return answer;
  };
  EXPECT_EQ(ErrorId(Download("config.json").status()),
            "HUB_REVISION_NOT_FOUND");
}

TEST_F(DownloadTest, OfflineTheCacheIsAllThereIs) {
  ASSERT_TRUE(Download("config.json").ok());
  hub_.ForgetRequests();
  for (const bool offline : {true, false}) {
    settings_.offline = offline;
    client_options_.local_files_only = !offline;
    ExpectFile(Download("config.json"), "{}");
    EXPECT_EQ(ErrorId(Download("sub/m.bin").status()),
              "HUB_LOCAL_ENTRY_NOT_FOUND");
    DownloadOptions force;
    force.force = true;
    EXPECT_EQ(ErrorId(Download("config.json", "main", force).status()),
              "HUB_OFFLINE");
  }
  EXPECT_EQ(hub_.num_requests(), 0);
}

TEST_F(DownloadTest, AForcedDownloadReplacesWhatIsThere) {
  ASSERT_TRUE(Download("config.json").ok());
  Write(Folder() / "blobs" / FakeEtag("{}", false), "[]");
  ExpectFile(Download("config.json"), "[]");
  DownloadOptions force;
  force.force = true;
  ExpectFile(Download("config.json", "main", force), "{}");
  ExpectFile(Download("config.json", kFakeCommit, force), "{}");
}

TEST_F(DownloadTest, AHeldLockIsWaitedForAndNoLonger) {
  const fs::path lock = root_ / "cache/.locks/models--org--name" /
                        (FakeEtag("{}", false) + ".lock");
  Write(lock, "");
  const auto held = CacheLock::Acquire(
      lock, 0, [] { return 0; }, [] { return false; });
  ASSERT_TRUE(held.ok() && held->is_held());
  DownloadOptions options;
  options.lock_limit_ms = 100;
  ExpectFile(Download("config.json", "main", options), "{}");
}

TEST_F(DownloadTest, ACancelledDownloadLeavesNothingWrong) {
  int asked = 0;
  for (const int limit : {0, 1, 2, 3, 10, 50, 100}) {
    asked = 0;
    DownloadOptions options;
    options.is_cancelled = [&] { return asked++ >= limit; };
    const auto file = Download("sub/m.bin", "main", options);
    if (file.ok()) break;
    EXPECT_EQ(ErrorId(file.status()), "CANCELLED") << file.status();
    EXPECT_FALSE(fs::exists(Folder() / "blobs" / FakeEtag(large_, true)));
  }
  ExpectFile(Download("sub/m.bin"), large_);
}

TEST_F(DownloadTest, ProgressEndsAtTheWhole) {
  CutLargeFile(1000000, 1);
  Progress last;
  DownloadOptions options;
  options.on_progress = [&](const Progress& progress) { last = progress; };
  ASSERT_TRUE(Download("sub/m.bin", "main", options).ok());
  EXPECT_EQ(last.bytes, large_.size());
  EXPECT_EQ(last.total_bytes, large_.size());
  EXPECT_EQ(last.files, 1);
  EXPECT_EQ(last.total_files, 1);
}

TEST_F(DownloadTest, ACacheThatCannotBeWrittenIsAClearError) {
  // A file where a folder has to be: also root cannot write there.
  Write(root_ / "cache" / "models--org--name", "mine");
  const absl::Status status = Download("config.json").status();
  EXPECT_EQ(ErrorId(status), "FILE_WRITE") << status;
  EXPECT_EQ(Read(root_ / "cache" / "models--org--name"), "mine");
}

TEST_F(DownloadTest, AFullDiskIsAClearErrorWithoutDamage) {
  // A blob's folder that takes no bytes.
  fs::create_directories(Folder());
  fs::create_symlink("/dev/null", Folder() / "blobs");
  const absl::Status status = Download("config.json").status();
  EXPECT_EQ(ErrorId(status), "FILE_WRITE") << status;
  EXPECT_FALSE(fs::exists(Folder() / "snapshots"));
}

TEST_F(DownloadTest, NamesAndRevisionsAreCheckedFirst) {
  EXPECT_EQ(ErrorId(Download("../x").status()), "PATH_ESCAPES");
  EXPECT_EQ(ErrorId(Download("x", "../y").status()), "HUB_REVISION");
  EXPECT_EQ(hub_.num_requests(), 0);
}

TEST_F(DownloadTest, AnEmptyFileNeedsNoBytes) {
  hub_.AddFile("empty", "");
  ExpectFile(Download("empty"), "");
  EXPECT_EQ(hub_.num_requests(), 1);
}

}  // namespace
}  // namespace hub
}  // namespace peft
