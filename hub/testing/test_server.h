// A server on loopback that does what a test tells it, right or wrong.
#ifndef HUB_TESTING_TEST_SERVER_H_
#define HUB_TESTING_TEST_SERVER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"
#include "openssl/ssl.h"

namespace peft {
namespace hub {

// A connection from the server's side. All calls return when the server stops.
class TestPeer {
 public:
  // `fd` stays the caller's.
  explicit TestPeer(int fd) : fd_(fd) {}
  ~TestPeer();
  TestPeer(const TestPeer&) = delete;
  TestPeer& operator=(const TestPeer&) = delete;

  // False if the client does not like the certificate.
  bool StartTls(SSL_CTX* context);

  // The header of the next request, with the empty line at its end; "" if the
  // client ends first.
  std::string ReadRequest();

  // False if the client is gone.
  bool Write(absl::string_view text);

  // Waits until the client ends the connection.
  void WaitForEnd();

  // Tells the client that TLS ends, as a server should.
  void EndTls();

  // The client will see a reset instead of an end.
  void Reset();

  // Passes bytes both ways between this and `port` until either ends.
  void Relay(uint16_t port);

 private:
  int ReadSome(char* bytes, int size);
  bool RelayOnce(int other);

  const int fd_;
  bssl::UniquePtr<SSL> ssl_;
};

// Runs `handler` for each connection, on a thread of its own; the connection
// ends when it returns.
class TestServer {
 public:
  using Handler = std::function<void(TestPeer&)>;

  // With a context every connection begins with TLS. It must outlive this.
  explicit TestServer(Handler handler, SSL_CTX* tls = nullptr);
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  uint16_t port() const { return port_; }
  // How many connections came.
  int connections() const { return connections_; }
  // "http://127.0.0.1:PORT" and `target`.
  std::string Url(absl::string_view target,
                  absl::string_view host = "127.0.0.1") const;

 private:
  void Accept();
  void Serve(int fd);

  const Handler handler_;
  SSL_CTX* const tls_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::mutex mutex_;
  bool stops_ = false;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_TESTING_TEST_SERVER_H_
