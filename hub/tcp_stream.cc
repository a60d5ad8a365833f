#include "hub/tcp_stream.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

// How long an address may be silent before the next is tried beside it.
constexpr std::chrono::milliseconds kHeadStart{250};

absl::Status NetworkError(absl::string_view what, int error) {
  return MakeError(absl::StatusCode::kUnavailable, error_id::kHubConnect,
                   absl::StrCat(what, ": ", std::strerror(error)));
}

// An open file that is closed with it.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }

  int fd() const { return fd_; }

 private:
  int fd_;
};

bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

class TcpStream : public ByteStream {
 public:
  explicit TcpStream(Socket socket) : socket_(std::move(socket)) {
    // A request is written at once and must not wait for more to send.
    const int on = 1;
    setsockopt(socket_.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }

  absl::StatusOr<size_t> Read(absl::Span<uint8_t> bytes,
                              const Wait& wait) override {
    for (;;) {
      PEFT_RETURN_IF_ERROR(wait.Check());
      const ssize_t size = recv(socket_.fd(), bytes.data(), bytes.size(), 0);
      if (size >= 0) return static_cast<size_t>(size);
      if (WouldBlock(errno)) {
        PEFT_RETURN_IF_ERROR(WaitFor(POLLIN, wait));
      } else if (errno != EINTR) {
        return NetworkError("the connection broke", errno);
      }
    }
  }

  absl::Status Write(absl::Span<const uint8_t> bytes,
                     const Wait& wait) override {
    while (!bytes.empty()) {
      PEFT_RETURN_IF_ERROR(wait.Check());
      const ssize_t size =
          send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size >= 0) {
        bytes.remove_prefix(static_cast<size_t>(size));
      } else if (WouldBlock(errno)) {
        PEFT_RETURN_IF_ERROR(WaitFor(POLLOUT, wait));
      } else if (errno != EINTR) {
        return NetworkError("the connection broke", errno);
      }
    }
    return absl::OkStatus();
  }

  bool IsQuiet() override {
    pollfd file = {socket_.fd(), POLLIN, 0};
    return poll(&file, 1, 0) == 0;
  }

 private:
  absl::Status WaitFor(short events, const Wait& wait) const {
    pollfd file = {socket_.fd(), events, 0};
    return wait.ForFiles(absl::MakeSpan(&file, 1));
  }

  Socket socket_;
};

// Attempts to connect, some of them at once.
class Connector {
 public:
  explicit Connector(const std::vector<Address>& addresses)
      : addresses_(addresses) {}

  absl::StatusOr<std::unique_ptr<ByteStream>> Connect(const Wait& wait) {
    while (next_ < addresses_.size() || !pending_.empty()) {
      Wait::Clock::time_point until = Wait::Clock::time_point::max();
      if (next_ < addresses_.size()) {
        Start(addresses_[next_++]);
        if (next_ < addresses_.size()) until = Wait::Clock::now() + kHeadStart;
      }
      if (pending_.empty()) continue;
      PEFT_RETURN_IF_ERROR(wait.ForFiles(absl::MakeSpan(pending_), until));
      const int winner = TakeReady();
      if (winner >= 0) return std::make_unique<TcpStream>(Take(winner));
    }
    return NetworkError("no connection", error_);
  }

 private:
  void Start(const Address& address) {
    Socket socket(::socket(address.storage.ss_family,
                           SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const auto* const name =
        reinterpret_cast<const sockaddr*>(&address.storage);
    if (socket.fd() < 0 || (connect(socket.fd(), name, address.size) != 0 &&
                            errno != EINPROGRESS)) {
      error_ = errno;
      return;
    }
    pending_.push_back({socket.fd(), POLLOUT, 0});
    sockets_.push_back(std::move(socket));
  }

  // The index of an attempt that succeeded, or -1; those that failed are gone.
  int TakeReady() {
    for (size_t i = 0; i < pending_.size();) {
      if (pending_[i].revents == 0) {
        ++i;
        continue;
      }
      int error = 0;
      socklen_t size = sizeof(error);
      getsockopt(pending_[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error == 0) return static_cast<int>(i);
      error_ = error;
      pending_.erase(pending_.begin() + i);
      sockets_.erase(sockets_.begin() + i);
    }
    return -1;
  }

  Socket Take(int index) { return std::move(sockets_[index]); }

  const std::vector<Address>& addresses_;
  size_t next_ = 0;
  // In step: what is waited for, and who owns it.
  std::vector<pollfd> pending_;
  std::vector<Socket> sockets_;
  // The last one's.
  int error_ = EHOSTUNREACH;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ByteStream>> ConnectTcp(
    const std::vector<Address>& addresses, const Wait& wait) {
  return Connector(addresses).Connect(wait);
}

}  // namespace hub
}  // namespace peft
