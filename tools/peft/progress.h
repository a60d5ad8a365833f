// A line on stderr that shows that long work goes on.
#ifndef TOOLS_PEFT_PROGRESS_H_
#define TOOLS_PEFT_PROGRESS_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace peft_tool {

// While it lives, and once a second has passed, keeps "<what> ... 3 s" up to
// date on stderr, if that is a terminal; clears the line when it ends.
class Progress {
 public:
  explicit Progress(const std::string& what,
                    const std::string& unit = " tokens");
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Shows a count with its unit behind the text ("generating, 17 tokens").
  void Count(int64_t count) { count_ = count; }

 private:
  void Run();

  const std::string what_;
  const std::string unit_;
  std::atomic<int64_t> count_{-1};
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread thread_;
};

}  // namespace peft_tool

#endif  // TOOLS_PEFT_PROGRESS_H_
