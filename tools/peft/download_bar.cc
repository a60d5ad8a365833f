#include "tools/peft/download_bar.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace peft_tool {
namespace {

constexpr int kWidth = 20;
constexpr auto kInterval = std::chrono::milliseconds(100);
// Less says nothing about the rate yet.
constexpr double kMinSeconds = 0.5;

template <typename... Values>
std::string Format(const char* format, Values... values) {
  char text[160];
  std::snprintf(text, sizeof(text), format, values...);
  return text;
}

std::string RateAndRest(const DownloadState& state) {
  const double came = static_cast<double>(state.bytes - state.first_bytes);
  if (state.seconds < kMinSeconds || came <= 0) return "";
  const double rate = came / state.seconds;
  const double left = static_cast<double>(state.total_bytes - state.bytes);
  return ", " + HumanSize(rate) + "/s, " +
         Format("%.0f s left", std::max(left, 0.0) / rate);
}

}  // namespace

std::string HumanSize(double bytes) {
  const char* const units[] = {"B", "kB", "MB", "GB", "TB"};
  int unit = 0;
  while (bytes >= 999.5 && unit < 4) {
    bytes /= 1000;
    ++unit;
  }
  const bool whole = unit == 0 || bytes >= 99.95;
  return Format(whole ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

std::string DownloadLine(const DownloadState& state) {
  const double part =
      state.total_bytes <= 0
          ? 0
          : std::clamp(static_cast<double>(state.bytes) /
                           static_cast<double>(state.total_bytes),
                       0.0, 1.0);
  const int filled = static_cast<int>(part * kWidth);
  std::string bar(static_cast<size_t>(filled), '=');
  if (filled < kWidth) bar += '>';
  bar.resize(kWidth, ' ');
  return "[" + bar + "] " + Format("%3d%%  ", static_cast<int>(part * 100)) +
         HumanSize(static_cast<double>(state.bytes)) + " of " +
         HumanSize(static_cast<double>(state.total_bytes)) +
         Format(", %d of %d files", state.files, state.total_files) +
         RateAndRest(state);
}

DownloadBar::DownloadBar()
    : is_terminal_(isatty(STDERR_FILENO) != 0), start_(Clock::now()) {}

DownloadBar::~DownloadBar() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

peft::hub::ProgressCallback DownloadBar::Callback() {
  return [this](const peft::hub::Progress& progress) { Show(progress); };
}

void DownloadBar::Show(const peft::hub::Progress& progress) {
  if (first_bytes_ < 0) first_bytes_ = progress.bytes;
  const Clock::time_point now = Clock::now();
  if (!is_terminal_ || now - last_ < kInterval) return;
  last_ = now;
  DownloadState state;
  state.bytes = progress.bytes;
  state.total_bytes = progress.total_bytes;
  state.files = progress.files;
  state.total_files = progress.total_files;
  state.first_bytes = first_bytes_;
  state.seconds = std::chrono::duration<double>(now - start_).count();
  std::fprintf(stderr, "\r\033[K%s", DownloadLine(state).c_str());
  std::fflush(stderr);
  shown_ = true;
}

}  // namespace peft_tool
