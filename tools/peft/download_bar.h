// A bar on stderr that shows how far a download is.
#ifndef TOOLS_PEFT_DOWNLOAD_BAR_H_
#define TOOLS_PEFT_DOWNLOAD_BAR_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "hub/progress.h"

namespace peft_tool {

// How far a download is, and since when it runs.
struct DownloadState {
  int64_t bytes = 0;
  int64_t total_bytes = 0;
  int files = 0;
  int total_files = 0;
  // Bytes that were there before, and the seconds since the beginning.
  int64_t first_bytes = 0;
  double seconds = 0;
};

// "[=====>    ]  52%  1.3 GB of 2.5 GB, 3 of 8 files, 110.2 MB/s, 11 s left".
std::string DownloadLine(const DownloadState& state);

// "1.3 GB": three digits at most, in powers of ten.
std::string HumanSize(double bytes);

// Draws the line again ten times a second at most, if stderr is a terminal;
// clears it at its end. Thread-compatible.
class DownloadBar {
 public:
  DownloadBar();
  ~DownloadBar();
  DownloadBar(const DownloadBar&) = delete;
  DownloadBar& operator=(const DownloadBar&) = delete;

  // For a download that ends before this bar does.
  peft::hub::ProgressCallback Callback();
  void Show(const peft::hub::Progress& progress);

 private:
  using Clock = std::chrono::steady_clock;

  const bool is_terminal_;
  const Clock::time_point start_;
  Clock::time_point last_;
  int64_t first_bytes_ = -1;
  bool shown_ = false;
};

}  // namespace peft_tool

#endif  // TOOLS_PEFT_DOWNLOAD_BAR_H_
