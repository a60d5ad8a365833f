#include "peft_cc/base/given_file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"
#include "peft_cc/base/file_read_internal.h"

namespace peft {
namespace {

// A function is asked for so much at a time.
constexpr uint64_t kMaxRead = uint64_t{1} << 30;

absl::StatusOr<Bytes> CopyOf(const GivenFile& file, const std::string& name) {
  PEFT_ASSIGN_OR_RETURN(const std::shared_ptr<uint8_t> buffer,
                        AllocateBuffer(name, file.size()));
  PEFT_RETURN_IF_ERROR(
      file.ReadStart(name, absl::MakeSpan(buffer.get(), file.size())));
  return Bytes{absl::MakeConstSpan(buffer.get(), file.size()), buffer};
}

class MemoryFile : public GivenFile {
 public:
  MemoryFile(absl::Span<const uint8_t> data, bool copy)
      : GivenFile(data.size()), data_(data), copy_(copy) {}

  absl::StatusOr<Bytes> Read(const std::string& name, ReadMode,
                             PieceRunner) const override {
    if (copy_) return CopyOf(*this, name);
    return Bytes{data_, nullptr};
  }

  absl::Status ReadStart(const std::string&,
                         absl::Span<uint8_t> out) const override {
    std::copy_n(data_.begin(), out.size(), out.begin());
    return absl::OkStatus();
  }

 private:
  const absl::Span<const uint8_t> data_;
  const bool copy_;
};

class DescriptorFile : public GivenFile {
 public:
  DescriptorFile(int fd, uint64_t offset, uint64_t size)
      : GivenFile(size), fd_(fd), offset_(offset) {}

  absl::StatusOr<Bytes> Read(const std::string& name, ReadMode mode,
                             PieceRunner run) const override {
    PEFT_RETURN_IF_ERROR(CheckEnd(name));
    // Nothing can be mapped for an empty file, and nothing needs to be.
    if (mode == ReadMode::kMap && size() > 0) {
      return MapRange(name, fd_, offset_, size());
    }
    PEFT_ASSIGN_OR_RETURN(const std::shared_ptr<uint8_t> buffer,
                          AllocateBuffer(name, size()));
    PEFT_RETURN_IF_ERROR(
        ReadRange(name, fd_, offset_, size(), buffer.get(), run));
    return Bytes{absl::MakeConstSpan(buffer.get(), size()), buffer};
  }

  absl::Status ReadStart(const std::string& name,
                         absl::Span<uint8_t> out) const override {
    PEFT_RETURN_IF_ERROR(CheckEnd(name));
    return ReadRange(name, fd_, offset_, out.size(), out.data(), RunPiecesHere);
  }

 private:
  // Bytes behind the end of a file cannot be mapped.
  absl::Status CheckEnd(const std::string& name) const {
    struct stat info;
    if (fstat(fd_, &info) != 0) return ReadError(name, strerror(errno));
    if (!S_ISREG(info.st_mode)) {
      return ReadError(name, "its fd is that of no regular file");
    }
    const auto end = static_cast<uint64_t>(info.st_size);
    if (offset_ <= end && size() <= end - offset_) return absl::OkStatus();
    return ReadError(
        name, absl::StrCat("is said to have ", size(), " bytes from ", offset_,
                           " on, but what is open has ", end));
  }

  const int fd_;
  const uint64_t offset_;
};

class FunctionFile : public GivenFile {
 public:
  FunctionFile(ReadFunction read, void* user_data, uint64_t size)
      : GivenFile(size), read_(read), user_data_(user_data) {}

  absl::StatusOr<Bytes> Read(const std::string& name, ReadMode,
                             PieceRunner) const override {
    return CopyOf(*this, name);
  }

  absl::Status ReadStart(const std::string& name,
                         absl::Span<uint8_t> out) const override {
    for (uint64_t done = 0; done < out.size();) {
      const uint64_t wanted = std::min(out.size() - done, kMaxRead);
      const int64_t got = Call(done, out.data() + done, wanted);
      if (got < 1 || static_cast<uint64_t>(got) > wanted) {
        return ReadError(
            name, absl::StrCat("its function returned ", got, " for ", wanted,
                               " bytes from ", done, " on"));
      }
      done += static_cast<uint64_t>(got);
    }
    return absl::OkStatus();
  }

 private:
  int64_t Call(uint64_t offset, uint8_t* buffer, uint64_t size) const {
    try {
      return read_(user_data_, static_cast<int64_t>(offset), buffer,
                   static_cast<int64_t>(size));
    } catch (...) {
      return -1;
    }
  }

  const ReadFunction read_;
  void* const user_data_;
};

}  // namespace

std::shared_ptr<const GivenFile> FileInMemory(absl::Span<const uint8_t> data,
                                              bool copy) {
  return std::make_shared<MemoryFile>(data, copy);
}

std::shared_ptr<const GivenFile> FileOfDescriptor(int fd, uint64_t offset,
                                                  uint64_t size) {
  return std::make_shared<DescriptorFile>(fd, offset, size);
}

std::shared_ptr<const GivenFile> FileOfFunction(ReadFunction read,
                                                void* user_data,
                                                uint64_t size) {
  return std::make_shared<FunctionFile>(read, user_data, size);
}

}  // namespace peft
