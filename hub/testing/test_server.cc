#include "hub/testing/test_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "openssl/err.h"
#include "openssl/ssl.h"

namespace peft {
namespace hub {
namespace {

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void Require(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::abort();
}

}  // namespace

TestPeer::~TestPeer() = default;

bool TestPeer::StartTls(SSL_CTX* context) {
  ssl_.reset(SSL_new(context));
  SSL_set_fd(ssl_.get(), fd_);
  ERR_clear_error();
  return SSL_accept(ssl_.get()) == 1;
}

int TestPeer::ReadSome(char* bytes, int size) {
  if (ssl_ != nullptr) return SSL_read(ssl_.get(), bytes, size);
  return static_cast<int>(recv(fd_, bytes, size, 0));
}

std::string TestPeer::ReadRequest() {
  std::string request;
  char byte = 0;
  while (!absl::EndsWith(request, "\r\n\r\n")) {
    if (ReadSome(&byte, 1) != 1) return "";
    request.push_back(byte);
  }
  return request;
}

bool TestPeer::Write(absl::string_view text) {
  while (!text.empty()) {
    const int size =
        ssl_ != nullptr
            ? SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()))
            : static_cast<int>(
                  send(fd_, text.data(), text.size(), MSG_NOSIGNAL));
    if (size <= 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

void TestPeer::WaitForEnd() {
  char byte = 0;
  while (ReadSome(&byte, 1) > 0) {
  }
}

void TestPeer::EndTls() { SSL_shutdown(ssl_.get()); }

void TestPeer::Reset() {
  const linger now = {1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

bool TestPeer::RelayOnce(int other) {
  char bytes[16 << 10];
  pollfd files[] = {{fd_, POLLIN, 0}, {other, POLLIN, 0}};
  const bool has_more = ssl_ != nullptr && SSL_pending(ssl_.get()) > 0;
  if (!has_more && poll(files, 2, -1) < 0) return false;
  if (has_more || files[0].revents != 0) {
    const int size = ReadSome(bytes, sizeof(bytes));
    return size > 0 && send(other, bytes, size, MSG_NOSIGNAL) == size;
  }
  const ssize_t size = recv(other, bytes, sizeof(bytes), 0);
  return size > 0 && Write(absl::string_view(bytes, size));
}

void TestPeer::Relay(uint16_t port) {
  const int other = socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = Loopback(port);
  if (connect(other, reinterpret_cast<const sockaddr*>(&address),
              sizeof(address)) == 0) {
    while (RelayOnce(other)) {
    }
  }
  close(other);
}

TestServer::TestServer(Handler handler, SSL_CTX* tls)
    : handler_(std::move(handler)), tls_(tls) {
  // BoringSSL writes to connections that a client has ended.
  signal(SIGPIPE, SIG_IGN);
  listener_ = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  Require(bind(listener_, name, size) == 0, "bind");
  Require(listen(listener_, 64) == 0, "listen");
  Require(getsockname(listener_, name, &size) == 0, "getsockname");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

TestServer::~TestServer() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stops_ = true;
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
  close(listener_);
}

std::string TestServer::Url(absl::string_view target,
                            absl::string_view host) const {
  return absl::StrCat(tls_ != nullptr ? "https" : "http", "://", host, ":",
                      port_, target);
}

void TestServer::Accept() {
  for (;;) {
    const int fd = accept(listener_, nullptr, nullptr);
    if (fd < 0) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stops_) {
      close(fd);
      return;
    }
    ++connections_;
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void TestServer::Serve(int fd) {
  {
    TestPeer peer(fd);
    if (tls_ == nullptr || peer.StartTls(tls_)) handler_(peer);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  open_.erase(std::find(open_.begin(), open_.end(), fd));
  close(fd);
}

}  // namespace hub
}  // namespace peft
