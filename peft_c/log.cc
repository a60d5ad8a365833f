#include "peft_c/log.h"

#include <atomic>
#include <cstdio>
#include <mutex>
#include <string>

#include "peft_c/peft_c.h"
#include "peft_c/used.h"

namespace peft {
namespace {

const char* LevelName(int32_t level) {
  switch (level) {
    case PEFT_LOG_INFO:
      return "info";
    case PEFT_LOG_WARNING:
      return "warning";
    default:
      return "error";
  }
}

void PrintToStderr(void*, int32_t level, const char* line) {
  std::fprintf(stderr, "peft: %s: %s\n", LevelName(level), line);
}

std::atomic<int32_t> lowest_level{PEFT_LOG_INFO};

struct Logger {
  // Recursive, so that a callback that breaks the rule and calls back into the
  // library does not lock itself out.
  std::recursive_mutex mutex;
  peft_log_fn callback = PrintToStderr;
  void* user_data = nullptr;
  bool is_logging = false;
};

// Never destroyed: handles may be freed while the process ends.
Logger& GlobalLogger() {
  static Logger* const logger = new Logger;
  return *logger;
}

}  // namespace

void SetLogLevel(int32_t level) noexcept {
  lowest_level.store(level, std::memory_order_relaxed);
}

void LogLine(int32_t level, absl::string_view line) noexcept {
  if (level < lowest_level.load(std::memory_order_relaxed)) return;
  try {
    const std::string text(line);
    Logger& logger = GlobalLogger();
    std::lock_guard<std::recursive_mutex> lock(logger.mutex);
    if (logger.callback == nullptr || logger.is_logging) return;
    logger.is_logging = true;
    try {
      logger.callback(logger.user_data, level, text.c_str());
    } catch (...) {
      // A line that cannot be logged is not worth a failure.
    }
    logger.is_logging = false;
  } catch (...) {
  }
}

}  // namespace peft

void peft_set_logger(peft_log_fn callback, void* user_data) {
  peft::MarkUsed();
  try {
    peft::Logger& logger = peft::GlobalLogger();
    std::lock_guard<std::recursive_mutex> lock(logger.mutex);
    logger.callback = callback;
    logger.user_data = user_data;
  } catch (...) {
    // Only the very first use allocates; without memory there is no log.
  }
}
