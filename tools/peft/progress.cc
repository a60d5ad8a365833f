#include "tools/peft/progress.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace peft_tool {

Progress::Progress(const std::string& what, const std::string& unit)
    : what_(what), unit_(unit) {
  if (isatty(STDERR_FILENO) != 0) thread_ = std::thread([this] { Run(); });
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    end_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

void Progress::Run() {
  const auto start = std::chrono::steady_clock::now();
  bool shown = false;
  std::unique_lock<std::mutex> lock(mutex_);
  auto next = start + std::chrono::seconds(1);
  while (!ended_.wait_until(lock, next, [this] { return end_; })) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::steady_clock::now() - start);
    const int64_t count = count_;
    const std::string text =
        count < 0 ? what_ : what_ + ", " + std::to_string(count) + unit_;
    std::fprintf(stderr, "\r\033[K%s ... %lld s", text.c_str(),
                 static_cast<long long>(seconds.count()));
    std::fflush(stderr);
    shown = true;
    next += std::chrono::milliseconds(250);
  }
  if (shown) std::fprintf(stderr, "\r\033[K");
}

}  // namespace peft_tool
