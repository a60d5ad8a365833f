// How far downloads are.
#ifndef HUB_PROGRESS_H_
#define HUB_PROGRESS_H_

#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

namespace peft {
namespace hub {

struct Progress {
  int64_t bytes = 0;  // there, those of earlier attempts included
  int64_t total_bytes = 0;
  int files = 0;  // done
  int total_files = 0;
};

// Called by any thread, one at a time. Bytes go back when some that came are
// found to be wrong.
using ProgressCallback = std::function<void(const Progress&)>;

// Sums up what the threads of one download report. Thread-safe.
class ProgressMeter {
 public:
  explicit ProgressMeter(ProgressCallback callback)
      : callback_(std::move(callback)) {}

  void Expect(int64_t bytes) { Add({0, bytes, 0, 1}); }
  void AddBytes(int64_t bytes) { Add({bytes, 0, 0, 0}); }
  void FileDone() { Add({0, 0, 1, 0}); }

 private:
  void Add(const Progress& more) {
    const std::lock_guard<std::mutex> lock(mutex_);
    sum_.bytes += more.bytes;
    sum_.total_bytes += more.total_bytes;
    sum_.files += more.files;
    sum_.total_files += more.total_files;
    if (callback_) callback_(sum_);
  }

  const ProgressCallback callback_;
  std::mutex mutex_;
  Progress sum_;
};

}  // namespace hub
}  // namespace peft

#endif  // HUB_PROGRESS_H_
