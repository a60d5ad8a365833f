#include "hub/name_lookup.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "peft_cc/base/error.h"

namespace peft {
namespace hub {
namespace {

int Resolve(const std::string& host, uint16_t port, int flags,
            std::vector<Address>* addresses) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  addrinfo* list = nullptr;
  const std::string service = std::to_string(port);
  const int error = getaddrinfo(host.c_str(), service.c_str(), &hints, &list);
  if (error != 0) return error;
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list,
                                                             freeaddrinfo);
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    Address address;
    if (entry->ai_addrlen > sizeof(address.storage)) continue;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.size = entry->ai_addrlen;
    addresses->push_back(address);
  }
  return addresses->empty() ? EAI_NONAME : 0;
}

int ResolveName(const std::string& host, uint16_t port,
                std::vector<Address>* addresses) {
  return Resolve(host, port, 0, addresses);
}

absl::Status LookUpError(const std::string& host, int error) {
  return MakeError(
      absl::StatusCode::kUnavailable, error_id::kHubConnect,
      absl::StrCat("the address of \"", host,
                   "\" cannot be looked up: ", gai_strerror(error)));
}

// Shared by the caller and the thread that asks the system: either may be the
// last to need it.
class Question {
 public:
  Question(std::string host, uint16_t port, Resolver resolver)
      : host_(std::move(host)), port_(port), resolver_(std::move(resolver)) {}

  // On its own thread.
  void Ask() noexcept {
    std::vector<Address> addresses;
    int error = EAI_MEMORY;
    try {
      error = resolver_(host_, port_, &addresses);
    } catch (const std::bad_alloc&) {
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    error_ = error;
    addresses_ = std::move(addresses);
    is_answered_ = true;
    answered_.notify_all();
  }

  // Waits for the answer.
  absl::StatusOr<std::vector<Address>> Answer(const Wait& wait) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!is_answered_) {
      answered_.wait_for(lock, wait.Slice());
      if (!is_answered_) PEFT_RETURN_IF_ERROR(wait.Check());
    }
    if (error_ != 0) return LookUpError(host_, error_);
    return std::move(addresses_);
  }

 private:
  const std::string host_;
  const uint16_t port_;
  const Resolver resolver_;
  std::mutex mutex_;
  std::condition_variable answered_;
  bool is_answered_ = false;
  int error_ = 0;
  std::vector<Address> addresses_;
};

}  // namespace

absl::StatusOr<std::vector<Address>> LookUp(const std::string& host,
                                            uint16_t port, const Wait& wait) {
  std::vector<Address> addresses;
  if (Resolve(host, port, AI_NUMERICHOST, &addresses) == 0) return addresses;
  return LookUp(host, port, wait, ResolveName);
}

absl::StatusOr<std::vector<Address>> LookUp(const std::string& host,
                                            uint16_t port, const Wait& wait,
                                            Resolver resolver) {
  PEFT_RETURN_IF_ERROR(wait.Check());
  const auto question =
      std::make_shared<Question>(host, port, std::move(resolver));
  try {
    std::thread([question] { question->Ask(); }).detach();
  } catch (const std::system_error&) {
    return LookUpError(host, EAI_AGAIN);
  }
  return question->Answer(wait);
}

}  // namespace hub
}  // namespace peft
