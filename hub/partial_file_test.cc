#include "hub/partial_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace peft {
namespace hub {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kPart = PartialFile::kPartSize;
constexpr uint64_t kSize = 2 * kPart + 1000;

bool NeverCancelled() { return false; }

class PartialFileTest : public testing::Test {
 protected:
  PartialFileTest() : bytes_(kSize) {
    folder_ = fs::path(testing::TempDir()) / "blobs";
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    for (size_t i = 0; i < bytes_.size(); ++i) {
      bytes_[i] = static_cast<uint8_t>(i * 7 + i / 1000);
    }
    Digest digest = Digest::ForBlob(std::string(64, '0'), kSize);
    digest.Update(bytes_);
    blob_ = folder_ / digest.Hex();
  }

  PartialFile Open(uint64_t size = kSize) {
    auto file = PartialFile::Open(blob_, size, NeverCancelled);
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }

  void AppendTo(uint64_t end, PartialFile* file) {
    const uint64_t begin = file->size();
    const auto part = absl::MakeConstSpan(bytes_).subspan(begin, end - begin);
    EXPECT_TRUE(file->Append(part).ok());
  }

  // A process that downloads up to `end`, and is then killed. It stays in the
  // table of processes until Reap.
  pid_t KilledAt(uint64_t end, uint64_t size = kSize) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
      PartialFile file = Open(size);
      AppendTo(end, &file);
      if (write(ready[1], "x", 1) == 1) pause();
      _exit(1);
    }
    char byte;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    kill(child, SIGKILL);
    siginfo_t info;
    EXPECT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT),
              0);
    return child;
  }

  static void Reap(pid_t child) { waitpid(child, nullptr, 0); }

  // As if nothing had been written to it for an hour.
  static void Age(const fs::path& path) {
    fs::last_write_time(
        path, fs::file_time_type::clock::now() - std::chrono::hours(1));
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  void Finish(PartialFile file) {
    AppendTo(kSize, &file);
    EXPECT_TRUE(file.IsRight());
    EXPECT_TRUE(file.Commit().ok());
  }

  void ExpectTheBlobAlone() const {
    EXPECT_EQ(Names(), std::vector<std::string>{blob_.filename()});
    EXPECT_EQ(fs::file_size(blob_), kSize);
  }

  fs::path folder_;
  std::vector<uint8_t> bytes_;
  fs::path blob_;
};

TEST_F(PartialFileTest, GoesOnAfterAKilledOwnerThatNobodyHasReaped) {
  const pid_t owner = KilledAt(kPart + 10);
  PartialFile file = Open();
  EXPECT_EQ(file.size(), kPart);
  Reap(owner);
  Finish(std::move(file));
  ExpectTheBlobAlone();
}

TEST_F(PartialFileTest, LeavesTheFileOfAnOwnerThatLives) {
  PartialFile first = Open();
  AppendTo(kPart, &first);
  PartialFile second = Open();
  EXPECT_EQ(second.size(), 0);
  Finish(std::move(second));
  EXPECT_EQ(first.size(), kPart);
  Finish(std::move(first));
  ExpectTheBlobAlone();
}

TEST_F(PartialFileTest, RemovesWhatOthersLeftWhenTheBlobIsThere) {
  PartialFile mine = Open();
  Reap(KilledAt(kPart));
  Reap(KilledAt(kPart));
  EXPECT_GT(Names().size(), 2u);
  Finish(std::move(mine));
  ExpectTheBlobAlone();
}

TEST_F(PartialFileTest, NothingIsLostToOneThatIsCancelledWhileItLooks) {
  Reap(KilledAt(2 * kPart));
  for (const int limit : {0, 1}) {
    int asked = 0;
    EXPECT_FALSE(
        PartialFile::Open(blob_, kSize, [&] { return asked++ >= limit; }).ok());
  }
  PartialFile file = Open();
  EXPECT_EQ(file.size(), 2 * kPart);
  Finish(std::move(file));
  ExpectTheBlobAlone();
}

TEST_F(PartialFileTest, ARecordEndsWhereItIsWrong) {
  Reap(KilledAt(2 * kPart));
  for (const std::string& name : Names()) {
    if (name.find(".peft") != std::string::npos) continue;
    std::fstream bytes(folder_ / name);
    bytes.seekp(kPart + 7);
    bytes.put('!');
  }
  EXPECT_EQ(Open().size(), kPart);
  // As a third one finds it.
  PartialFile file = Open();
  EXPECT_EQ(file.size(), kPart);
  Finish(std::move(file));
  ExpectTheBlobAlone();
}

TEST_F(PartialFileTest, RemovesRecordsWithoutTheirFiles) {
  std::ofstream(blob_.string() + ".00000001.incomplete.peft") << "a record";
  Finish(Open());
  ExpectTheBlobAlone();
}

TEST_F(PartialFileTest, RemovesWhatAKilledOwnerWithAnotherSizeInMindLeft) {
  Reap(KilledAt(kPart, kSize + 11));
  Finish(Open());
  ExpectTheBlobAlone();
}

TEST_F(PartialFileTest, ASmallFileIsNotThereUntilItIsWhole) {
  const auto bytes = absl::MakeConstSpan(bytes_).first(1000);
  Digest digest = Digest::ForBlob(std::string(64, '0'), bytes.size());
  digest.Update(bytes);
  blob_ = folder_ / digest.Hex();
  PartialFile file = Open(bytes.size());
  for (int attempt = 0; attempt < 2; ++attempt) {
    EXPECT_TRUE(file.Append(bytes.first(600)).ok());
    EXPECT_TRUE(Names().empty());
    EXPECT_FALSE(file.IsRight());
    EXPECT_TRUE(file.Restart().ok());
  }
  EXPECT_TRUE(file.Append(bytes).ok());
  EXPECT_TRUE(file.IsRight());
  EXPECT_TRUE(file.Commit().ok());
  EXPECT_EQ(Names(), std::vector<std::string>{blob_.filename()});
  EXPECT_EQ(fs::file_size(blob_), bytes.size());
}

TEST_F(PartialFileTest, RemovesFilesThatNobodyCanGoOnWithOnceTheyAreOld) {
  const std::string old = blob_.string() + ".00000001.incomplete";
  const std::string fresh = blob_.string() + ".00000002.incomplete";
  for (const std::string& path : {old, fresh}) {
    std::ofstream(path) << "bytes";
    std::ofstream(path + ".peft") << "no record";
  }
  Age(old);
  Finish(Open());
  EXPECT_FALSE(fs::exists(old));
  EXPECT_FALSE(fs::exists(old + ".peft"));
  EXPECT_TRUE(fs::exists(fresh));
}

TEST_F(PartialFileTest, LeavesPythonsFilesAndThoseOfOtherBlobs) {
  const std::string pythons = blob_.string() + ".00000001.incomplete";
  const std::string other =
      folder_ / (std::string(64, 'a') + ".00000001.incomplete");
  for (const std::string& path : {pythons, other}) {
    std::ofstream(path) << "bytes";
    Age(path);
  }
  Finish(Open());
  EXPECT_TRUE(fs::exists(pythons));
  EXPECT_TRUE(fs::exists(other));
}

}  // namespace
}  // namespace hub
}  // namespace peft
