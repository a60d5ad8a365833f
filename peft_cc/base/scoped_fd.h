// Owner of a file descriptor.
#ifndef PEFT_CC_BASE_SCOPED_FD_H_
#define PEFT_CC_BASE_SCOPED_FD_H_

#include <unistd.h>

#include <utility>

namespace peft {

// Closes its descriptor at the end. Thread-compatible.
class ScopedFd {
 public:
  ScopedFd() = default;

  // Takes `fd`; a negative one stands for "not open".
  explicit ScopedFd(int fd) : fd_(fd) {}

  ScopedFd(ScopedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ScopedFd& operator=(ScopedFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~ScopedFd() { Close(); }

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

  // Closes now. False when the system reports an error, which for a file that
  // was written can mean that the bytes are lost.
  bool Close() {
    const int fd = std::exchange(fd_, -1);
    return fd < 0 || close(fd) == 0;
  }

 private:
  int fd_ = -1;
};

}  // namespace peft

#endif  // PEFT_CC_BASE_SCOPED_FD_H_
