#include "hub/partial_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "hub/partial_owner.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file.h"
#include "peft_cc/base/file_write_internal.h"
#include "peft_cc/base/new_folder.h"
#include "peft_cc/base/temporary_file.h"

namespace peft {
namespace hub {
namespace {

constexpr char kRecordSuffix[] = ".peft";  // after the file's own name
constexpr size_t kRecordSuffixSize = sizeof(kRecordSuffix) - 1;
constexpr uint64_t kMaxRecord = 64 << 20;
constexpr size_t kAheadBuffer = 1 << 20;

// Both move all bytes, to or from the place `offset`; false and errno where
// that fails, or where the file ends before.
bool WriteAllAt(int fd, absl::Span<const uint8_t> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written =
        pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return true;
}
bool ReadAllAt(int fd, absl::Span<uint8_t> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t got =
        pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return true;
}

// A line of the record, in one piece.
bool WriteLine(int fd, const std::string& line) {
  ssize_t written;
  do {
    written = write(fd, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  return written == static_cast<ssize_t>(line.size());
}

}  // namespace

PartialFile::PartialFile(const std::string& blob_path, uint64_t size)
    : blob_path_(blob_path),
      etag_(blob_path.substr(blob_path.rfind('/') + 1)),
      expected_size_(size),
      digest_(Digest::ForBlob(etag_, size)) {}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : blob_path_(other.blob_path_),
      etag_(other.etag_),
      expected_size_(other.expected_size_),
      path_(std::exchange(other.path_, "")),
      fd_(std::move(other.fd_)),
      record_(std::move(other.record_)),
      memory_(std::move(other.memory_)),
      digest_(other.digest_),
      size_(other.size_),
      recorded_(other.recorded_) {}

PartialFile::~PartialFile() {
  if (path_.empty()) return;
  if (size_ > recorded_ && size_ <= expected_size_) WritePart().IgnoreError();
  if (recorded_ == 0) Drop();
}

absl::Status PartialFile::Error(absl::string_view what) const {
  return WriteError(blob_path_, what, errno);
}

absl::StatusOr<PartialFile> PartialFile::Open(const std::string& blob_path,
                                              uint64_t size,
                                              CancelCheck is_cancelled) {
  PartialFile file(blob_path, size);
  if (file.is_in_memory() || file.TakeOverAny(is_cancelled)) return file;
  if (is_cancelled()) {
    return MakeError(absl::StatusCode::kCancelled, error_id::kCancelled,
                     "cancelled before the download of a file");
  }
  PEFT_RETURN_IF_ERROR(file.Create());
  return file;
}

absl::Status PartialFile::Create() {
  for (int attempt = 0; attempt < kMaxNameAttempts; ++attempt) {
    uint32_t random;
    if (getentropy(&random, sizeof(random)) != 0) break;
    const std::string path = absl::StrCat(
        blob_path_, absl::StrFormat(".%08x", random), kPartialSuffix);
    fd_ = ScopedFd(
        open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (fd_.is_open()) {
      path_ = path;
      if (flock(fd_.get(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
        return StartRecord();
      }
      // Another one looks whether it is abandoned, and would take it.
      Remove(std::exchange(path_, ""));
    } else if (errno != EEXIST) {
      break;
    }
  }
  return Error("cannot create a file beside it");
}

std::vector<std::string> PartialFile::Others(absl::string_view suffix) const {
  const std::string folder = FolderOf(blob_path_);
  std::vector<std::string> paths;
  for (const std::string& name :
       NamesIn(folder).value_or(std::vector<std::string>())) {
    if (absl::StartsWith(name, etag_ + ".") && absl::EndsWith(name, suffix)) {
      paths.push_back(absl::StrCat(folder, "/", name));
    }
  }
  return paths;
}

bool PartialFile::TakeOverAny(CancelCheck is_cancelled) {
  for (const std::string& path : Others(kPartialSuffix)) {
    if (TakeOver(path, is_cancelled)) return true;
  }
  return false;
}

bool PartialFile::TakeOver(const std::string& path, CancelCheck is_cancelled) {
  std::string record;
  ScopedFd fd = Claim(path, &record);
  if (!fd.is_open()) return false;
  // Where locks are granted to all, one of several still gets the new name. The
  // record says all that the old one said, should this process end soon.
  PartialFile own(blob_path_, expected_size_);
  if (!own.Create().ok() || !own.WriteParts(record).ok() ||
      rename(path.c_str(), own.path_.c_str()) != 0) {
    return false;
  }
  unlink((path + kRecordSuffix).c_str());
  path_ = std::exchange(own.path_, "");
  fd_ = std::move(fd);
  record_ = std::move(own.record_);
  const absl::Status trusted = TrustParts(record, is_cancelled);
  if (trusted.ok()) return true;
  // For the next one, if this one only has no time.
  if (absl::IsCancelled(trusted)) {
    path_.clear();
  } else {
    Drop();
  }
  return false;
}

ScopedFd PartialFile::Claim(const std::string& path,
                            std::string* record) const {
  ScopedFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.is_open() || flock(fd.get(), LOCK_EX | LOCK_NB) != 0 ||
      !IsNameOf(path, fd.get())) {
    return ScopedFd();
  }
  const absl::StatusOr<std::string> found =
      ReadTextFile(path + kRecordSuffix, kMaxRecord);
  // Without a record it may be Python's.
  if (!found.ok()) return ScopedFd();
  PartialHeader header;
  const bool has_owner = ParsePartialHeader(*found, &header);
  if (has_owner ? !IsAbandoned(header, path, fd.get()) : !IsQuiet(fd.get())) {
    return ScopedFd();
  }
  if (header.etag == etag_ && header.size == expected_size_) {
    *record = *found;
    return fd;
  }
  Remove(path);  // nobody can go on with it
  return ScopedFd();
}

void PartialFile::RemoveOthers() const {
  for (const std::string& path : Others(kPartialSuffix)) {
    std::string record;
    if (Claim(path, &record).is_open()) Remove(path);
  }
  // A record without its file is one that somebody had no time to remove.
  for (const std::string& path : Others(kPartialRecordSuffix)) {
    const std::string file = path.substr(0, path.size() - kRecordSuffixSize);
    if (access(file.c_str(), F_OK) != 0) unlink(path.c_str());
  }
}

void PartialFile::Remove(const std::string& path) {
  unlink(path.c_str());
  unlink((path + kRecordSuffix).c_str());
}

void PartialFile::Drop() {
  Remove(path_);
  path_.clear();
  digest_ = Digest::ForBlob(etag_, expected_size_);
  size_ = 0;
  recorded_ = 0;
}

absl::Status PartialFile::TrustParts(const std::string& record,
                                     CancelCheck is_cancelled) {
  std::vector<uint8_t> buffer(kPartSize);
  Digest digest = digest_;
  size_t begin = record.find('\n') + 1;  // of the next line
  for (size_t end_of_line = record.find('\n', begin);
       end_of_line != std::string::npos;
       begin = end_of_line + 1, end_of_line = record.find('\n', begin)) {
    if (is_cancelled()) return absl::CancelledError();
    const std::pair<std::string, std::string> part = absl::StrSplit(
        record.substr(begin, end_of_line - begin), absl::MaxSplits(' ', 1));
    uint64_t end = 0;
    if (!absl::SimpleAtoi(part.first, &end) || end <= size_ ||
        end - size_ > kPartSize || end > expected_size_) {
      break;
    }
    const auto bytes = absl::MakeSpan(buffer).first(end - size_);
    if (!ReadAllAt(fd_.get(), bytes, size_)) break;
    digest.Update(bytes);
    if (digest.Hex() != part.second) break;
    digest_ = digest;
    recorded_ = size_ = end;
  }
  if (ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0) {
    return Error("cannot cut what was left of a download");
  }
  if (begin == record.size()) return absl::OkStatus();
  const uint64_t trusted = size_;
  PEFT_RETURN_IF_ERROR(StartRecord());
  recorded_ = trusted;
  return WriteParts(record.substr(0, begin));
}

absl::Status PartialFile::WriteParts(const std::string& record) {
  const std::string parts = record.substr(record.find('\n') + 1);
  if (WriteLine(record_.get(), parts)) return absl::OkStatus();
  return Error("cannot write the record of its download");
}

std::string PartialFile::RecordPath() const { return path_ + kRecordSuffix; }

absl::Status PartialFile::StartRecord() {
  record_ = ScopedFd(open(RecordPath().c_str(),
                          O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  recorded_ = 0;
  if (record_.is_open() &&
      WriteLine(record_.get(), PartialHeaderLine(etag_, expected_size_))) {
    return absl::OkStatus();
  }
  return Error("cannot write the record of its download");
}

absl::Status PartialFile::WritePart() {
  if (!WriteLine(record_.get(),
                 absl::StrCat(size_, " ", digest_.Hex(), "\n"))) {
    return Error("cannot write the record of its download");
  }
  recorded_ = size_;
  return absl::OkStatus();
}

absl::Status PartialFile::Count(absl::Span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    // Parts end where their number says, however the bytes come.
    const uint64_t part_end =
        std::min((size_ / kPartSize + 1) * kPartSize, expected_size_);
    const size_t count = std::min<uint64_t>(bytes.size(), part_end - size_);
    digest_.Update(bytes.first(count));
    size_ += count;
    bytes.remove_prefix(count);
    if (size_ == part_end && !is_in_memory()) {
      PEFT_RETURN_IF_ERROR(WritePart());
    }
  }
  return absl::OkStatus();
}

absl::Status PartialFile::Append(absl::Span<const uint8_t> bytes) {
  if (size_ < expected_size_) {
    const size_t count =
        std::min<uint64_t>(bytes.size(), expected_size_ - size_);
    if (is_in_memory()) {
      memory_.insert(memory_.end(), bytes.begin(), bytes.begin() + count);
    } else {
      PEFT_RETURN_IF_ERROR(WriteAhead(size_, bytes.first(count)));
    }
    PEFT_RETURN_IF_ERROR(Count(bytes.first(count)));
    bytes.remove_prefix(count);
  }
  size_ += bytes.size();
  return absl::OkStatus();
}

absl::Status PartialFile::WriteAhead(uint64_t offset,
                                     absl::Span<const uint8_t> bytes) const {
  if (WriteAllAt(fd_.get(), bytes, offset)) return absl::OkStatus();
  return Error("write failed");
}

absl::Status PartialFile::AppendAhead(uint64_t end) {
  std::vector<uint8_t> buffer(kAheadBuffer);
  while (size_ < end) {
    const auto bytes = absl::MakeSpan(buffer).first(
        std::min<uint64_t>(buffer.size(), end - size_));
    errno = EIO;  // of a file that was cut meanwhile
    if (!ReadAllAt(fd_.get(), bytes, size_)) return Error("cannot read it");
    PEFT_RETURN_IF_ERROR(Count(bytes));
  }
  return absl::OkStatus();
}

absl::Status PartialFile::Restart() {
  size_ = 0;
  digest_ = Digest::ForBlob(etag_, expected_size_);
  memory_.clear();
  if (is_in_memory()) return absl::OkStatus();
  if (ftruncate(fd_.get(), 0) != 0) {
    return Error("cannot start its download again");
  }
  return StartRecord();
}

bool PartialFile::IsRight() const {
  return size_ == expected_size_ && digest_.Hex() == etag_;
}

absl::Status PartialFile::WriteMemory() const {
  TemporaryFile file(blob_path_);
  PEFT_RETURN_IF_ERROR(file.Create());
  PEFT_RETURN_IF_ERROR(file.Append(memory_));
  return file.Commit();
}

// A blob's name says what its bytes are, and is believed ever after without
// looking: they have to be on the disk before the file has it, or the machine's
// failure could leave the name and nothing behind it. So they are flushed, and
// then the file gets the name. That the name lasts as well is not waited for:
// where it is lost, the file is fetched again, and that is all.
absl::Status PartialFile::Commit() {
  if (is_in_memory()) return WriteMemory();
  if (fdatasync(fd_.get()) != 0) return Error("flush failed");
  if (rename(path_.c_str(), blob_path_.c_str()) != 0) {
    return Error("rename failed");
  }
  unlink(RecordPath().c_str());
  path_.clear();
  RemoveOthers();
  return absl::OkStatus();
}

}  // namespace hub
}  // namespace peft
