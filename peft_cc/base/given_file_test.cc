#include "peft_cc/base/given_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/scoped_fd.h"

namespace peft {
namespace {

constexpr char kName[] = "part.bin";

absl::Span<const uint8_t> BytesOf(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string ReadAll(const GivenFile& file, ReadMode mode = ReadMode::kRead) {
  const absl::StatusOr<Bytes> bytes = file.Read(kName, mode, RunPiecesHere);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  if (!bytes.ok()) return "";
  return std::string(bytes->data.begin(), bytes->data.end());
}

std::string ReadStart(const GivenFile& file, size_t size) {
  std::vector<uint8_t> start(size);
  EXPECT_TRUE(file.ReadStart(kName, absl::MakeSpan(start)).ok());
  return std::string(start.begin(), start.end());
}

void ExpectReadError(const GivenFile& file) {
  const absl::Status read =
      file.Read(kName, ReadMode::kRead, RunPiecesHere).status();
  EXPECT_EQ(read.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ErrorId(read), error_id::kFileRead) << read;
  uint8_t start[1];
  const absl::Status status = file.ReadStart(kName, absl::MakeSpan(start));
  EXPECT_EQ(ErrorId(status), error_id::kFileRead) << status;
}

TEST(FileInMemoryTest, ReadsItsBytes) {
  const std::string text = "some bytes";
  const auto file = FileInMemory(BytesOf(text), /*copy=*/false);
  EXPECT_EQ(file->size(), text.size());
  EXPECT_EQ(ReadAll(*file), text);
  EXPECT_EQ(ReadStart(*file, 4), "some");
}

TEST(FileInMemoryTest, GivesTheMemoryItself) {
  const std::string text = "some bytes";
  const auto file = FileInMemory(BytesOf(text), /*copy=*/false);
  const Bytes bytes = *file->Read(kName, ReadMode::kRead, RunPiecesHere);
  EXPECT_EQ(bytes.data.data(), BytesOf(text).data());
  EXPECT_EQ(bytes.owner, nullptr);
}

TEST(FileInMemoryTest, ACopyOutlivesTheMemory) {
  std::string text = "some bytes";
  const Bytes bytes = *FileInMemory(BytesOf(text), /*copy=*/true)
                           ->Read(kName, ReadMode::kMap, RunPiecesHere);
  std::fill(text.begin(), text.end(), 'x');
  EXPECT_EQ(std::string(bytes.data.begin(), bytes.data.end()), "some bytes");
}

TEST(FileInMemoryTest, MayBeEmpty) {
  EXPECT_EQ(ReadAll(*FileInMemory({}, /*copy=*/false)), "");
  EXPECT_EQ(ReadAll(*FileInMemory({}, /*copy=*/true)), "");
}

// Opens a file of its own, which has no name any more.
class FileOfDescriptorTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = testing::TempDir() + "/given_file_XXXXXX";
    fd_ = ScopedFd(mkstemp(path.data()));
    ASSERT_GE(fd_.get(), 0);
    ASSERT_EQ(unlink(path.c_str()), 0);
  }

  void Write(const std::string& text) {
    ASSERT_EQ(write(fd_.get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }

  ScopedFd fd_;
};

TEST_F(FileOfDescriptorTest, ReadsAPart) {
  Write("before|some bytes|behind");
  const auto file = FileOfDescriptor(fd_.get(), 7, 10);
  EXPECT_EQ(file->size(), 10u);
  EXPECT_EQ(ReadAll(*file), "some bytes");
  EXPECT_EQ(ReadStart(*file, 4), "some");
}

TEST_F(FileOfDescriptorTest, LeavesThePositionAlone) {
  Write("some bytes");
  const off_t position = lseek(fd_.get(), 3, SEEK_SET);
  EXPECT_EQ(ReadAll(*FileOfDescriptor(fd_.get(), 0, 10)), "some bytes");
  EXPECT_EQ(lseek(fd_.get(), 0, SEEK_CUR), position);
}

// The part begins within a page, and the map keeps the file.
TEST_F(FileOfDescriptorTest, AMapOutlivesTheDescriptor) {
  Write(std::string(5000, 'x') + "some bytes");
  const Bytes bytes = *FileOfDescriptor(fd_.get(), 5000, 10)
                           ->Read(kName, ReadMode::kMap, RunPiecesHere);
  fd_ = ScopedFd();
  EXPECT_EQ(std::string(bytes.data.begin(), bytes.data.end()), "some bytes");
}

TEST_F(FileOfDescriptorTest, APartOfNoBytesIsNotMapped) {
  Write("some bytes");
  EXPECT_EQ(ReadAll(*FileOfDescriptor(fd_.get(), 10, 0), ReadMode::kMap), "");
}

TEST_F(FileOfDescriptorTest, APartBehindTheEndIsAnError) {
  Write("some bytes");
  ExpectReadError(*FileOfDescriptor(fd_.get(), 0, 11));
  ExpectReadError(*FileOfDescriptor(fd_.get(), 5, 6));
  ExpectReadError(*FileOfDescriptor(fd_.get(), UINT64_MAX, 1));
  ExpectReadError(*FileOfDescriptor(fd_.get(), 1, UINT64_MAX));
}

TEST_F(FileOfDescriptorTest, OnlyRegularFilesAreRead) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const ScopedFd read_end(ends[0]);
  const ScopedFd write_end(ends[1]);
  ExpectReadError(*FileOfDescriptor(read_end.get(), 0, 1));
  ExpectReadError(*FileOfDescriptor(-1, 0, 1));
}

// Serves a text, at most `step` bytes at a time.
struct Served {
  std::string text;
  int64_t step = 1 << 20;
  // Returned in place of what was read, unless 0.
  int64_t answer = 0;
};

int64_t Serve(void* user_data, int64_t offset, void* buffer, int64_t size) {
  const auto& served = *static_cast<const Served*>(user_data);
  if (served.answer != 0) return served.answer;
  const int64_t left = static_cast<int64_t>(served.text.size()) - offset;
  const int64_t count = std::min({size, served.step, left});
  std::memcpy(buffer, served.text.data() + offset, static_cast<size_t>(count));
  return count;
}

TEST(FileOfFunctionTest, ReadsWhatTheFunctionGives) {
  Served served = {"some bytes"};
  const auto file = FileOfFunction(Serve, &served, 10);
  EXPECT_EQ(ReadAll(*file), "some bytes");
  EXPECT_EQ(ReadStart(*file, 4), "some");
}

TEST(FileOfFunctionTest, AsksAgainForWhatIsMissing) {
  Served served = {"some bytes", /*step=*/3};
  EXPECT_EQ(ReadAll(*FileOfFunction(Serve, &served, 10), ReadMode::kMap),
            "some bytes");
}

TEST(FileOfFunctionTest, AnEmptyOneIsNotCalled) {
  EXPECT_EQ(ReadAll(*FileOfFunction(nullptr, nullptr, 0)), "");
}

TEST(FileOfFunctionTest, AnEndThatComesTooSoonIsAnError) {
  Served served = {"some bytes"};
  std::vector<uint8_t> all(11);
  const absl::Status status =
      FileOfFunction(Serve, &served, 11)->ReadStart(kName, absl::MakeSpan(all));
  EXPECT_EQ(ErrorId(status), error_id::kFileRead) << status;
}

TEST(FileOfFunctionTest, AFailureIsAnError) {
  Served served = {"some bytes"};
  served.answer = -1;
  ExpectReadError(*FileOfFunction(Serve, &served, 10));
}

TEST(FileOfFunctionTest, MoreThanWasAskedForIsAnError) {
  Served served = {"some bytes"};
  served.answer = 11;
  ExpectReadError(*FileOfFunction(Serve, &served, 10));
}

TEST(FileOfFunctionTest, AnExceptionIsAnError) {
  const ReadFunction throws = [](void*, int64_t, void*, int64_t) -> int64_t {
    throw std::runtime_error("no");
  };
  ExpectReadError(*FileOfFunction(throws, nullptr, 10));
}

}  // namespace
}  // namespace peft
