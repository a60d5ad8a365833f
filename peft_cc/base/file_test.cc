#include "peft_cc/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/huge_pages.h"

namespace peft {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kNoLimit = UINT64_MAX;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/file_test_XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Path(const std::string& name) { return folder_ + "/" + name; }

  std::string Write(const std::string& name, const std::string& content) {
    std::ofstream(Path(name), std::ios::binary) << content;
    return Path(name);
  }

  // All names in the folder: finds what a failed write left behind.
  size_t NumFiles() {
    return std::distance(fs::directory_iterator(folder_),
                         fs::directory_iterator());
  }

  std::string folder_;
};

std::string ToString(const Bytes& bytes) {
  return std::string(bytes.data.begin(), bytes.data.end());
}

absl::Status WriteText(const std::string& path, const std::string& text) {
  const absl::Span<const uint8_t> chunk(
      reinterpret_cast<const uint8_t*>(text.data()), text.size());
  return WriteFileAtomically(path, {chunk});
}

void ExpectError(const absl::Status& status, absl::StatusCode code,
                 const std::string& id, const std::string& part) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_EQ(ErrorId(status), id) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
}

TEST_F(FileTest, ReadsTheStartOfAFile) {
  const auto start = ReadFileStart(Write("a", "abcdef"), 3);
  ASSERT_TRUE(start.ok()) << start.status();
  EXPECT_EQ(start->text, "abc");
  EXPECT_EQ(start->file_size, 6u);
  EXPECT_EQ(ReadFileStart(Path("a"), 100)->text, "abcdef");
  EXPECT_EQ(ErrorId(ReadFileStart(Path("b"), 3).status()), "FILE_NOT_FOUND");
}

TEST_F(FileTest, BothModesReadTheSameBytes) {
  // Sizes around the page, and one that is read into huge pages.
  for (size_t size : {1u, 4095u, 4096u, 4097u, 3u << 20}) {
    std::string content(size, 'x');
    for (size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 31);
    const std::string path = Write("data", content);
    for (ReadMode mode : {ReadMode::kRead, ReadMode::kMap}) {
      const auto bytes = ReadFile(path, mode, kNoLimit);
      ASSERT_TRUE(bytes.ok()) << bytes.status();
      EXPECT_EQ(ToString(*bytes), content);
    }
  }
}

TEST_F(FileTest, ThreadsReadTheSameBytes) {
  // Three pieces, the last one cut short.
  std::string content((9u << 20) + 5, 'x');
  for (size_t i = 0; i < content.size(); ++i) {
    content[i] = static_cast<char>(i >> 12);
  }
  const auto run = [](int64_t count, absl::FunctionRef<void(int64_t)> piece) {
    std::vector<std::thread> threads;
    for (int64_t i = 0; i < count; ++i) threads.emplace_back(piece, i);
    for (std::thread& thread : threads) thread.join();
  };
  const auto bytes =
      ReadFile(Write("data", content), ReadMode::kRead, kNoLimit, run);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(ToString(*bytes), content);
}

TEST_F(FileTest, LargeReadsAreAlignedToHugePages) {
  const auto bytes = ReadFile(Write("data", std::string(5 << 20, 'x')),
                              ReadMode::kRead, kNoLimit);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes->data.data()) % (2 << 20), 0u);
}

// Emulators of other processors ignore what a program asks for here.
#if defined(__linux__) && defined(__x86_64__)
TEST_F(FileTest, MapsAskForHugePages) {
  if (!FileExists("/sys/kernel/mm/transparent_hugepage/enabled")) {
    GTEST_SKIP() << "this system has no transparent huge pages";
  }
  const auto bytes = ReadFile(Write("mapped", std::string(4 * kHugePage, 'x')),
                              ReadMode::kMap, kNoLimit);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  std::ifstream file("/proc/self/smaps");
  const std::string maps((std::istreambuf_iterator<char>(file)),
                         std::istreambuf_iterator<char>());
  const size_t map = maps.find("/mapped\n");
  ASSERT_NE(map, std::string::npos);
  const size_t flags = maps.find("VmFlags:", map);
  EXPECT_NE(maps.substr(flags, maps.find('\n', flags) - flags).find(" hg"),
            std::string::npos);
}
#endif

TEST_F(FileTest, BytesOutliveTheFile) {
  const std::string path = Write("data", "content");
  for (ReadMode mode : {ReadMode::kRead, ReadMode::kMap}) {
    Write("data", "content");
    const auto bytes = ReadFile(path, mode, kNoLimit);
    fs::remove(path);
    EXPECT_EQ(ToString(*bytes), "content");
  }
}

TEST_F(FileTest, EmptyFileIsEmpty) {
  const std::string path = Write("empty", "");
  for (ReadMode mode : {ReadMode::kRead, ReadMode::kMap}) {
    const auto bytes = ReadFile(path, mode, kNoLimit);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    EXPECT_TRUE(bytes->data.empty());
  }
  EXPECT_EQ(*ReadTextFile(path, kNoLimit), "");
}

TEST_F(FileTest, MissingFileIsNotFound) {
  ExpectError(ReadFile(Path("none"), ReadMode::kRead, kNoLimit).status(),
              absl::StatusCode::kNotFound, "FILE_NOT_FOUND", Path("none"));
  const std::string below_a_file = Write("data", "x") + "/none";
  ExpectError(ReadTextFile(below_a_file, kNoLimit).status(),
              absl::StatusCode::kNotFound, "FILE_NOT_FOUND", "none");
}

TEST_F(FileTest, DirectoryIsRefused) {
  ExpectError(ReadFile(folder_, ReadMode::kMap, kNoLimit).status(),
              absl::StatusCode::kInvalidArgument, "FILE_READ", "a directory");
}

TEST_F(FileTest, PipeIsRefusedWithoutWaiting) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  ExpectError(ReadFile(Path("pipe"), ReadMode::kRead, kNoLimit).status(),
              absl::StatusCode::kInvalidArgument, "FILE_READ", "a pipe");
}

TEST_F(FileTest, DeviceIsRefused) {
  ExpectError(ReadFile("/dev/zero", ReadMode::kRead, kNoLimit).status(),
              absl::StatusCode::kInvalidArgument, "FILE_READ", "a device");
}

TEST_F(FileTest, FileAboveTheLimitIsRefused) {
  const std::string path = Write("data", "12345");
  EXPECT_TRUE(ReadFile(path, ReadMode::kRead, 5).ok());
  const absl::Status status = ReadFile(path, ReadMode::kRead, 4).status();
  ExpectError(status, absl::StatusCode::kResourceExhausted, "FILE_TOO_LARGE",
              "5 bytes, expected at most 4");
  EXPECT_EQ(GetErrorDetails(status).found, "5 bytes");
}

TEST_F(FileTest, PathWithNulIsRefused) {
  const std::string path = Write("data", "x") + std::string("\0.json", 6);
  ExpectError(ReadFile(path, ReadMode::kRead, kNoLimit).status(),
              absl::StatusCode::kInvalidArgument, "FILE_READ", "NUL");
  EXPECT_FALSE(FileExists(path));
  ExpectError(WriteText(path, "x"), absl::StatusCode::kInvalidArgument,
              "FILE_WRITE", "NUL");
}

TEST_F(FileTest, FileOfTheKernelThatLiesAboutItsSizeDoesNotCrash) {
  // Its size is reported as 0 or a page, whatever it contains.
  const auto bytes = ReadFile("/proc/self/status", ReadMode::kRead, kNoLimit);
  if (bytes.ok()) {
    EXPECT_TRUE(bytes->data.empty());
  }
}

TEST_F(FileTest, ExistenceKnowsKinds) {
  const std::string path = Write("data", "x");
  EXPECT_TRUE(FileExists(path));
  EXPECT_FALSE(FileExists(folder_));
  EXPECT_FALSE(FileExists(Path("none")));
  EXPECT_TRUE(DirectoryExists(folder_));
  EXPECT_FALSE(DirectoryExists(path));
  fs::create_symlink(path, Path("link"));
  EXPECT_TRUE(FileExists(Path("link")));
}

TEST_F(FileTest, WriteConcatenatesChunks) {
  const std::vector<uint8_t> first = {'a', 'b'};
  const std::vector<uint8_t> second = {'c'};
  const absl::Status status = WriteFileAtomically(
      Path("out"), {absl::MakeConstSpan(first), absl::Span<const uint8_t>(),
                    absl::MakeConstSpan(second)});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(*ReadTextFile(Path("out"), kNoLimit), "abc");
  EXPECT_EQ(NumFiles(), 1u);
}

TEST_F(FileTest, WriteConcatenatesChunksOfAnySize) {
  // Around the huge page that is written at once, from any place in it.
  constexpr size_t kPage = kHugePage;
  std::string all;
  const absl::Status status =
      WriteFileAtomically(Path("out"), [&](FileSink sink) -> absl::Status {
        for (const size_t size :
             {size_t{1}, kPage - 2, size_t{1}, kPage, size_t{0}, 2 * kPage + 5,
              kPage - 5, 3 * kPage, size_t{7}}) {
          std::string chunk(size, '\0');
          for (char& c : chunk) {
            c = static_cast<char>(all.size() + (&c - &chunk[0]) * 31);
          }
          all += chunk;
          PEFT_RETURN_IF_ERROR(
              sink({reinterpret_cast<const uint8_t*>(chunk.data()), size}));
        }
        return absl::OkStatus();
      });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(*ReadTextFile(Path("out"), kNoLimit) == all);
}

TEST_F(FileTest, WriteReplacesAndLeavesOpenMapsAlone) {
  const std::string path = Write("out", "old");
  const auto map = ReadFile(path, ReadMode::kMap, kNoLimit);
  ASSERT_TRUE(WriteText(path, "new").ok());
  EXPECT_EQ(*ReadTextFile(path, kNoLimit), "new");
  EXPECT_EQ(ToString(*map), "old");
}

TEST_F(FileTest, WriteHonoursTheUmask) {
  const mode_t old_mask = umask(027);
  EXPECT_TRUE(WriteText(Path("out"), "x").ok());
  umask(old_mask);
  struct stat info;
  ASSERT_EQ(stat(Path("out").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST_F(FileTest, WriteIntoMissingFolderIsNotFound) {
  ExpectError(WriteText(Path("none/out"), "x"), absl::StatusCode::kNotFound,
              "FILE_WRITE", "none/out");
}

TEST_F(FileTest, WriteOverDirectoryFailsAndCleansUp) {
  fs::create_directory(Path("out"));
  ExpectError(WriteText(Path("out"), "x"), absl::StatusCode::kInvalidArgument,
              "FILE_WRITE", "is a directory");
  EXPECT_EQ(NumFiles(), 1u);
  EXPECT_TRUE(DirectoryExists(Path("out")));
}

// A rename would put a file in their place, in that of /dev/null too.
TEST_F(FileTest, WriteOverAPipeIsRefusedBeforeAnythingIsWritten) {
  ASSERT_EQ(mkfifo(Path("out").c_str(), 0600), 0);
  bool has_begun = false;
  const absl::Status status =
      WriteFileAtomically(Path("out"), [&](FileSink) -> absl::Status {
        has_begun = true;
        return absl::OkStatus();
      });
  ExpectError(status, absl::StatusCode::kInvalidArgument, "FILE_WRITE",
              "is a pipe");
  EXPECT_FALSE(has_begun);
  EXPECT_TRUE(fs::is_fifo(Path("out")));
  fs::create_symlink(Path("out"), Path("link"));
  ExpectError(WriteText(Path("link"), "x"), absl::StatusCode::kInvalidArgument,
              "FILE_WRITE", "is a pipe");
  EXPECT_EQ(NumFiles(), 2u);
}

TEST_F(FileTest, WriteFollowsALink) {
  fs::create_directory(Path("real"));
  Write("real/file", "old");
  fs::create_symlink("real/file", Path("link"));
  ASSERT_TRUE(WriteText(Path("link"), "new").ok());
  EXPECT_TRUE(fs::is_symlink(Path("link")));
  EXPECT_FALSE(fs::is_symlink(Path("real/file")));
  EXPECT_EQ(*ReadTextFile(Path("real/file"), kNoLimit), "new");
  EXPECT_EQ(NumFiles(), 2u);
}

TEST_F(FileTest, WriteToALinkThatLeadsNowhereIsRefused) {
  fs::create_symlink("none", Path("link"));
  ExpectError(WriteText(Path("link"), "x"), absl::StatusCode::kInvalidArgument,
              "FILE_WRITE", "a link that leads nowhere");
  EXPECT_EQ(NumFiles(), 1u);
}

TEST_F(FileTest, FailedWriteKeepsTheOldFile) {
  const std::string path = Write("out", "old");
  // A limit on the size of files stands in for a full disk.
  rlimit old_limit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const rlimit small = {4096, old_limit.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status status = WriteText(path, std::string(10000, 'x'));
  setrlimit(RLIMIT_FSIZE, &old_limit);
  ExpectError(status, absl::StatusCode::kUnavailable, "FILE_WRITE",
              "write failed");
  EXPECT_EQ(*ReadTextFile(path, kNoLimit), "old");
  EXPECT_EQ(NumFiles(), 1u);
}

TEST_F(FileTest, AWriteThatIsKilledLeavesNothing) {
  const int probe = open(folder_.c_str(), O_TMPFILE | O_WRONLY, 0600);
  if (probe < 0) GTEST_SKIP() << "this file system has no files without names";
  close(probe);
  const std::string path = Write("out", "old");
  const pid_t child = fork();
  if (child == 0) {
    const std::vector<uint8_t> half(5 << 20);
    (void)WriteFileAtomically(path, [&](FileSink sink) {
      (void)sink(half);
      raise(SIGKILL);
      return absl::OkStatus();
    });
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(*ReadTextFile(path, kNoLimit), "old");
  EXPECT_EQ(NumFiles(), 1u);
}

TEST(JoinInside, AcceptsNamesInside) {
  EXPECT_EQ(*JoinInside("dir", "a.json"), "dir/a.json");
  EXPECT_EQ(*JoinInside("dir", "sub/a..b"), "dir/sub/a..b");
  EXPECT_EQ(*JoinInside("dir", "..."), "dir/...");
  EXPECT_EQ(*JoinInside("/", "a"), "/a");
}

TEST(JoinInside, RefusesNamesThatLeave) {
  const std::string cases[] = {"",
                               "/etc/passwd",
                               "\\\\server\\x",
                               "..",
                               "../a",
                               "a/../../b",
                               "a/..",
                               "a\\..\\b",
                               "C:\\a",
                               "c:a",
                               std::string("a\0b", 3)};
  for (const std::string& bad : cases) {
    ExpectError(JoinInside("dir", bad).status(),
                absl::StatusCode::kInvalidArgument, "PATH_ESCAPES", "path ");
  }
}

}  // namespace
}  // namespace peft
