// Large files over several connections at once, from a Hub in memory.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "hub/download.h"
#include "hub/partial_file.h"
#include "hub/snapshot.h"
#include "hub/testing/fake_hub.h"
#include "hub/testing/hub_fixture.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

constexpr uint64_t kPart = PartialFile::kPartSize;
constexpr char kFile[] = "m.bin";

bool IsFromCdn(const HttpRequest& request) {
  return absl::StartsWith(request.url, kFakeCdn);
}

class RangeFetchTest : public HubFixture {
 protected:
  RangeFetchTest() {
    hub_.AddFile(kFile, content_, true);
    options_.ranges = {4, 1};
  }

  void ExpectFile() {
    const auto file = Download(kFile, "main", options_);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE(Read(file->path) == content_);
    EXPECT_EQ(Blobs().size(), 1);
  }

  // "Range" of each request to the second origin, sorted.
  std::vector<std::string> Ranges() const {
    std::vector<std::string> ranges;
    for (const HttpRequest& request : hub_.full_requests()) {
      if (IsFromCdn(request)) {
        ranges.emplace_back(FindField(request.fields, "Range"));
      }
    }
    std::sort(ranges.begin(), ranges.end());
    return ranges;
  }

  static std::string Range(uint64_t begin, uint64_t end) {
    return absl::StrCat("bytes=", begin, "-", end - 1);
  }

  std::vector<std::string> AllPieces() const {
    std::vector<std::string> ranges;
    for (uint64_t at = 0; at < content_.size(); at += kPart) {
      ranges.push_back(
          Range(at, std::min<uint64_t>(at + kPart, content_.size())));
    }
    std::sort(ranges.begin(), ranges.end());
    return ranges;
  }

  // Waits until the download's record says that it has the first `bytes`.
  void WaitForRecordOf(uint64_t bytes) const {
    const std::string line = absl::StrCat("\n", bytes, " ");
    for (int i = 0; i < 6000; ++i) {
      for (const std::string& name : Blobs()) {
        if (absl::EndsWith(name, ".peft") &&
            absl::StrContains(Read(Folder() / "blobs" / name), line)) {
          return;
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ADD_FAILURE() << "no record of " << bytes << " bytes";
  }

  // Changes the answers to requests for the piece with the number `piece`; the
  // first `times` of them.
  template <typename Change>
  void ChangePiece(int piece, int times, Change change) {
    hub_.misbehave = [=, count = std::make_shared<std::atomic<int>>(0)](
                         const HttpRequest& request,
                         int) -> absl::optional<FakeAnswer> {
      const std::string begin = absl::StrCat("bytes=", piece * kPart, "-");
      if (!IsFromCdn(request) ||
          !absl::StartsWith(FindField(request.fields, "Range"), begin) ||
          (*count)++ >= times) {
        return absl::nullopt;
      }
      FakeAnswer answer = hub_.Answer(request);
      change(&answer);
      return answer;
    };
  }

  static const std::string content_;
  DownloadOptions options_;
};

const std::string RangeFetchTest::content_ = RandomText(3 * kPart + 1000);

TEST_F(RangeFetchTest, EachPieceIsAskedForOnce) {
  ExpectFile();
  EXPECT_EQ(Ranges(), AllPieces());
  EXPECT_EQ(hub_.num_requests(), 1 + Ranges().size());
}

TEST_F(RangeFetchTest, SmallFilesAndOneConnectionAreOneStream) {
  for (const RangeOptions ranges :
       {RangeOptions{1, 1}, RangeOptions{4, content_.size() + 1}}) {
    std::filesystem::remove_all(root_);
    hub_.ForgetRequests();
    options_.ranges = ranges;
    ExpectFile();
    EXPECT_EQ(Ranges(), std::vector<std::string>{""});
  }
}

TEST_F(RangeFetchTest, SeveralPiecesAreUnderWayAtOnce) {
  std::mutex mutex;
  std::condition_variable changed;
  int waiting = 0;
  hub_.misbehave = [&](const HttpRequest& request,
                       int) -> absl::optional<FakeAnswer> {
    const absl::string_view range = FindField(request.fields, "Range");
    if (range.empty() || absl::StartsWith(range, "bytes=0-")) {
      return absl::nullopt;
    }
    std::unique_lock<std::mutex> lock(mutex);
    ++waiting;
    changed.notify_all();
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(60),
                                 [&] { return waiting >= 3; }));
    return absl::nullopt;
  };
  ExpectFile();
}

TEST_F(RangeFetchTest, APieceThatBreaksOffGoesOnWhereItWas) {
  ChangePiece(2, 1, [](FakeAnswer* answer) { answer->cut_at = 1000000; });
  ExpectFile();
  std::vector<std::string> wanted = AllPieces();
  wanted.push_back(Range(2 * kPart + 1000000, 3 * kPart));
  std::sort(wanted.begin(), wanted.end());
  EXPECT_EQ(Ranges(), wanted);
}

TEST_F(RangeFetchTest, PiecesThatKeepFailingAreTheNetworksError) {
  ChangePiece(2, 1000, [](FakeAnswer* answer) { answer->status = 0; });
  EXPECT_EQ(ErrorId(Download(kFile, "main", options_).status()), "HUB_CONNECT");
  EXPECT_EQ(sleeps_.size(), 5);
}

TEST_F(RangeFetchTest, WhatIsNotTheWantedPartIsLeftToOneStream) {
  const auto ignore_range = [&](FakeAnswer* answer) {
    *answer = FakeAnswer();
    answer->body = content_;
  };
  const auto another = [](FakeAnswer* answer) {
    answer->fields = {{"Content-Range", "bytes 1-4194304/20972520"}};
  };
  const auto named_else = [](FakeAnswer* answer) {
    answer->fields.emplace_back("ETag", "\"another\"");
  };
  const auto shorter = [](FakeAnswer* answer) { answer->body.resize(10); };
  const auto longer = [](FakeAnswer* answer) { answer->body += "x"; };
  const auto refused = [](FakeAnswer* answer) { answer->status = 416; };
  struct Case {
    std::function<void(FakeAnswer*)> change;
    int piece;
  };
  // ETags are compared with the first answer's.
  const std::vector<Case> cases = {
      {ignore_range, 0}, {ignore_range, 3}, {another, 3}, {named_else, 1},
      {shorter, 3},      {longer, 3},       {refused, 0}};
  for (const Case& wrong : cases) {
    SCOPED_TRACE(absl::StrCat("case ", &wrong - cases.data()));
    std::filesystem::remove_all(root_);
    hub_.ForgetRequests();
    ChangePiece(wrong.piece, 2, wrong.change);
    ExpectFile();
    const std::vector<std::string> ranges = Ranges();
    EXPECT_TRUE(
        std::any_of(ranges.begin(), ranges.end(), [](const std::string& range) {
          return range.empty() || absl::EndsWith(range, "-");
        }));
  }
}

TEST_F(RangeFetchTest, AnExpiredAddressIsAskedForAgain) {
  ChangePiece(2, 1, [](FakeAnswer* answer) { answer->status = 403; });
  ExpectFile();
  std::vector<std::string> wanted = AllPieces();
  wanted.push_back(Range(2 * kPart, 3 * kPart));
  std::sort(wanted.begin(), wanted.end());
  EXPECT_EQ(Ranges(), wanted);
}

TEST_F(RangeFetchTest, WrongBytesOfOnePieceAreFetchedOnceMoreInOneStream) {
  ChangePiece(3, 1, [](FakeAnswer* answer) { answer->body[7] ^= 1; });
  ExpectFile();
  std::vector<std::string> wanted = AllPieces();
  wanted.insert(wanted.begin(), "");
  EXPECT_EQ(Ranges(), wanted);
}

TEST_F(RangeFetchTest, AnotherProcessGoesOnBehindThePiecesInOrder) {
  client_options_.retry.max_retries = 0;
  ChangePiece(3, 1, [&](FakeAnswer* answer) {
    WaitForRecordOf(kPart);
    answer->status = 0;
  });
  EXPECT_EQ(ErrorId(Download(kFile, "main", options_).status()), "HUB_CONNECT");
  hub_.ForgetRequests();
  ExpectFile();
  // Those between may have been stopped.
  const std::vector<std::string> ranges = Ranges();
  EXPECT_LT(ranges.size(), AllPieces().size());
  for (const std::string& range : ranges) {
    EXPECT_FALSE(absl::StartsWith(range, "bytes=0-")) << range;
  }
}

TEST_F(RangeFetchTest, ProgressEndsAtTheWholeWhateverBreaks) {
  ChangePiece(3, 2, [&](FakeAnswer* answer) { answer->status = 416; });
  Progress last;
  int64_t most = 0;
  options_.on_progress = [&](const Progress& progress) {
    last = progress;
    most = std::max(most, progress.bytes);
  };
  ExpectFile();
  EXPECT_EQ(last.bytes, content_.size());
  EXPECT_EQ(most, content_.size());
}

TEST_F(RangeFetchTest, ACancelledDownloadEnds) {
  std::atomic<int> asked{0};
  for (const int limit : {0, 5, 50, 500}) {
    asked = 0;
    options_.is_cancelled = [&] { return asked++ >= limit; };
    const auto file = Download(kFile, "main", options_);
    if (file.ok()) break;
    EXPECT_EQ(ErrorId(file.status()), "CANCELLED") << file.status();
  }
  options_.is_cancelled = [] { return false; };
  ExpectFile();
}

TEST_F(RangeFetchTest, FilesOfASnapshotShareTheWorkers) {
  SnapshotOptions options;
  options.ranges = options_.ranges;
  options.max_workers = 1;
  ASSERT_TRUE(DownloadSnapshot(*Client(), repo_, "main", options).ok());
  EXPECT_EQ(Ranges(), std::vector<std::string>{""});
  std::filesystem::remove_all(root_);
  hub_.ForgetRequests();
  options.max_workers = 2;
  ASSERT_TRUE(DownloadSnapshot(*Client(), repo_, "main", options).ok());
  EXPECT_EQ(Ranges(), AllPieces());
  // What leads to the file is asked for once.
  EXPECT_EQ(hub_.num_requests(), 3 + AllPieces().size());
}

}  // namespace
}  // namespace hub
}  // namespace peft
